package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.postgres.Lsn;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What is due between two connections: decided from what is recorded alone, so that any worker comes to the same, wherever the
 * one before it ended.
 *
 * @param from where the next connection begins
 * @param takeUp builds that are written from there on
 * @param cut append-only builds whose load has another boundary than the one below which the stream's rows were removed
 * @param ignore builds of which other changes are to be ignored than so far
 * @param swap replacements that take the live tables' places; all of the pipe at once
 * @param follow the builds that are written, those taken up among them
 * @param awaited the next position at which something more is due; {@link Lsn#ZERO} when none is waited for
 */
record Agenda(
        Lsn from,
        List<TableDefinition> takeUp,
        List<TableDefinition> cut,
        List<TableDefinition> ignore,
        List<TableDefinition> swap,
        List<TableDefinition> follow,
        Lsn awaited) {

    /** @param offset all commits before this are in ClickHouse */
    static Agenda of(List<TableDefinition> recorded, Lsn offset) {
        var published =
                recorded.stream().filter(build -> build.publishing() != null).toList();
        var written = published.stream().filter(Agenda::isWritten).toList();
        var waiting =
                published.stream().filter(build -> build.streaming() == null).toList();
        // Where nothing is written there is nothing to read before the position that is waited for.
        var from = written.isEmpty()
                ? waiting.stream().map(Agenda::publishedFrom).reduce(offset, Agenda::greater)
                : offset;
        var takeUp = waiting.stream()
                .filter(build -> publishedFrom(build).compareTo(from) <= 0)
                .toList();
        var cut = written.stream().filter(Agenda::isUncut).toList();
        var replacements = published.stream().filter(TableDefinition::replaces).toList();
        boolean swap = replacements.stream()
                .allMatch(build -> isWritten(build) && !cut.contains(build) && isSettled(build, from));
        return new Agenda(
                from,
                takeUp,
                cut,
                written.stream()
                        .filter(build ->
                                !build.ignored().equals(build.streaming().ignored()))
                        .toList(),
                swap ? replacements : List.of(),
                Stream.concat(written.stream(), takeUp.stream()).toList(),
                Stream.concat(
                                waiting.stream().map(Agenda::publishedFrom),
                                written.stream()
                                        .filter(TableDefinition::loaded)
                                        .map(build -> Lsn.parse(build.loading().complete())))
                        .filter(position -> position.compareTo(from) > 0)
                        .min(Lsn::compareTo)
                        .orElse(Lsn.ZERO));
    }

    /** What a connection at work goes by: without the builds that it has not taken up. */
    Agenda begun() {
        return new Agenda(
                from,
                takeUp,
                cut,
                ignore,
                swap,
                follow.stream().filter(build -> build.streaming() != null).toList(),
                awaited);
    }

    /** Whether a connection that was begun with another agenda, all of it carried out, has to end. */
    boolean isDue(Agenda begunWith) {
        return !(takeUp.isEmpty()
                && cut.isEmpty()
                && ignore.isEmpty()
                && swap.isEmpty()
                && followed().equals(begunWith.followed()));
    }

    /**
     * Whether the stream has passed everything that may have been committed while rows of this build were still to be loaded. Until
     * then its target is no place to look values up that a change left out.
     */
    static boolean isSettled(TableDefinition build, Lsn offset) {
        return build.loaded() && Lsn.parse(build.loading().complete()).compareTo(offset) <= 0;
    }

    /** The same while nobody may swap. */
    Agenda withoutSwap() {
        return new Agenda(from, takeUp, cut, ignore, List.of(), follow, awaited);
    }

    /** Those to read. */
    List<String> publications() {
        return follow.stream()
                .map(build -> build.publishing().publication())
                .distinct()
                .sorted()
                .toList();
    }

    /** What of the builds a connection goes by. */
    private List<String> followed() {
        return follow.stream()
                .map(build -> build.build() + " " + build.publishing().publication() + " " + build.target() + " "
                        + isSettled(build, from))
                .sorted()
                .toList();
    }

    private static boolean isWritten(TableDefinition build) {
        return build.streaming() != null && build.failure() == null;
    }

    private static boolean isUncut(TableDefinition build) {
        return build.engine().appendOnly()
                && build.boundary() != null
                && !Objects.equals(build.boundary(), build.streaming().cut());
    }

    private static Lsn publishedFrom(TableDefinition build) {
        return build.publishing().from() == null
                ? Lsn.ZERO
                : Lsn.parse(build.publishing().from());
    }

    private static Lsn greater(Lsn a, Lsn b) {
        return a.compareTo(b) >= 0 ? a : b;
    }
}
