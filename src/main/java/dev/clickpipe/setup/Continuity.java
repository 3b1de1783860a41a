package dev.clickpipe.setup;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lineage;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.Slots.Slot;
import java.util.Optional;
import java.util.Set;

/** Whether a pipe that ran already can go on where it was: otherwise it would skip changes without a word. Pure. */
final class Continuity {
    private static final String ANEW = "Set spec.resync to a new value: every table is built anew beside the live one";

    private final Pipe pipe;
    private final Recorded recorded;
    private final Source source;

    /**
     * The source as it is.
     *
     * @param object as messages name it
     * @param lineage null when it was not told
     * @param slot the one that is to be read; empty when it is not there
     * @param written where it writes; null while it recovers
     * @param publications those of the pipe that are there
     */
    record Source(String object, Lineage lineage, Optional<Slot> slot, Lsn written, Set<String> publications) {}

    private Continuity(Pipe pipe, Recorded recorded, Source source) {
        this.pipe = pipe;
        this.recorded = recorded;
        this.source = source;
    }

    /**
     * @param problem why it can't go on; empty when it can
     * @param recorded what counts: where the spec asks for a resync of the whole pipe, what has missed changes is followed by
     *     nobody, so that it is built anew
     */
    record Result(Optional<Problem> problem, Recorded recorded) {}

    static Result of(Pipe pipe, Recorded recorded, Source source) {
        var check = new Continuity(pipe, recorded, source);
        if (recorded.followed(pipe).isEmpty()) {
            return new Result(Optional.empty(), recorded);
        }
        var problem = check.problem();
        boolean unsure = !pipe.settings().ownsPublication()
                && source.slot().filter(slot -> slot.activePid() == null).isPresent();
        if (!check.mayBeginAnew() || problem.isEmpty() && !unsure) {
            return new Result(problem, recorded);
        }
        // Nobody can tell whether a publication of the user's was dropped and made again, before which no stream gets
        // on.
        return new Result(Optional.empty(), recorded.unfollowed());
    }

    /** Whether the spec asks for a resync of the whole pipe that is not begun, and the slot is the pipe's to make again. */
    private boolean mayBeginAnew() {
        var token = pipe.spec().resync();
        return pipe.settings().replicationMode().loads()
                && pipe.settings().ownsSlot()
                && token != null
                && recorded.followed(pipe).stream()
                        .anyMatch(build -> build.request() == null
                                || !token.equals(build.request().resync()));
    }

    private Optional<Problem> problem() {
        if (recorded.offset().isEmpty()) {
            return problem(
                    "OffsetMissing",
                    "pipe " + pipe,
                    "how far the change stream has come is recorded no more in _clickpipe_offsets");
        }
        var offset = recorded.offset().get();
        var lineage = source.lineage();
        if (lineage != null && !offset.systemIdentifier().equals(lineage.systemIdentifier())) {
            return Optional.of(new Problem(
                    "SourceReplaced",
                    source.object(),
                    "is another database cluster than the pipe was made for: its system identifier is %s, not %s"
                            .formatted(lineage.systemIdentifier(), offset.systemIdentifier()),
                    "Point the pipe back to the former one. If this one takes its place: " + lower(ANEW)));
        }
        var left = Optional.ofNullable(lineage)
                .flatMap(now -> now.end(offset.timeline()))
                .filter(end -> end.compareTo(offset.lsn()) < 0);
        if (left.isPresent()) {
            return problem(
                    "SourceWentBack",
                    source.object(),
                    "has the WAL of timeline " + offset.timeline() + " up to " + left.get()
                            + " and went on in timeline "
                            + lineage.timeline() + ", but changes up to " + offset.lsn()
                            + " were replicated already: it was restored to an earlier state, or a standby without all"
                            + " changes took over");
        }
        if (source.written() != null && source.written().compareTo(offset.lsn()) < 0) {
            return problem(
                    "SourceWentBack",
                    source.object(),
                    "its WAL ends at " + source.written() + ", before the position that was replicated already, "
                            + offset.lsn() + ": it was restored to an earlier state, or a standby without all changes"
                            + " took over");
        }
        return slotProblem(offset.lsn()).or(this::publicationProblem);
    }

    private Optional<Problem> slotProblem(Lsn offset) {
        var object = "slot " + pipe.slot();
        if (source.slot().isEmpty()) {
            return problem("SlotMissing", object, "was dropped: changes after " + offset + " can't be read any more");
        }
        var slot = source.slot().get();
        if (slot.lost()) {
            return Optional.of(new Problem(
                    "SlotInvalidated",
                    object,
                    "is invalidated (wal_status lost): the changes it was to keep are gone",
                    "Raise max_slot_wal_keep_size on the source. " + ANEW));
        }
        if (slot.confirmed() != null && slot.confirmed().compareTo(offset) > 0) {
            return problem(
                    "SlotAdvanced",
                    object,
                    "stands at " + slot.confirmed() + ", but only the commits before " + offset
                            + " are in ClickHouse: it was advanced, or dropped and created again, by someone else");
        }
        return Optional.empty();
    }

    private Optional<Problem> publicationProblem() {
        return recorded.followed(pipe).stream()
                .map(TableDefinition::publishing)
                .map(TableDefinition.Publishing::publication)
                .filter(name -> !source.publications().contains(name))
                .findFirst()
                .flatMap(name -> problem(
                        "PublicationMissing",
                        "publication " + name,
                        "was dropped: changes made since then were not published"));
    }

    private Optional<Problem> problem(String reason, String object, String message) {
        return Optional.of(new Problem(
                reason,
                object,
                message,
                pipe.settings().replicationMode().loads() ? ANEW : "Set replicationMode to cdc. " + ANEW));
    }

    private static String lower(String text) {
        return Character.toLowerCase(text.charAt(0)) + text.substring(1);
    }
}
