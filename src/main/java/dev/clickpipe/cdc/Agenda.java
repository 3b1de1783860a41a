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
 * @param swap replacements that take the live tables' places; all of the pipe at once
 * @param follow the builds that are written, those taken up among them
 * @param awaited the next position at which something more is due; {@link Lsn#ZERO} when none is waited for
 */
record Agenda(
        Lsn from,
        List<TableDefinition> takeUp,
        List<TableDefinition> cut,
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
        boolean complete = cut.stream().noneMatch(TableDefinition::replaces)
                && replacements.stream().allMatch(build -> isWritten(build) && build.loaded());
        var swapFrom = replacements.stream()
                .filter(TableDefinition::loaded)
                .map(build -> Lsn.parse(build.loading().complete()))
                .reduce(Lsn.ZERO, Agenda::greater);
        boolean swap = complete && swapFrom.compareTo(from) <= 0;
        return new Agenda(
                from,
                takeUp,
                cut,
                swap ? replacements : List.of(),
                Stream.concat(written.stream(), takeUp.stream()).toList(),
                Stream.concat(
                                waiting.stream().map(Agenda::publishedFrom),
                                complete ? Stream.of(swapFrom) : Stream.empty())
                        .filter(position -> position.compareTo(from) > 0)
                        .min(Lsn::compareTo)
                        .orElse(Lsn.ZERO));
    }

    /** Whether a connection that writes these builds has to end. */
    boolean isDue(List<TableDefinition> following) {
        return !(takeUp.isEmpty()
                && cut.isEmpty()
                && swap.isEmpty()
                && builds(follow).equals(builds(following)));
    }

    /** Those to read. */
    List<String> publications() {
        return follow.stream()
                .map(build -> build.publishing().publication())
                .distinct()
                .sorted()
                .toList();
    }

    private static List<String> builds(List<TableDefinition> definitions) {
        return definitions.stream()
                .map(build -> build.build() + " " + build.publishing().publication() + " " + build.target())
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
