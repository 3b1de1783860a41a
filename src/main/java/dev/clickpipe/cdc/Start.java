package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Offsets.Offset;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lineage;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Slots;
import dev.clickpipe.postgres.Slots.Slot;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Where the stream is taken up, once it is sure that it goes on where it ended: on the same database, and with nothing skipped.
 *
 * @param slot that is read from now on
 * @param source as it was when it was looked at
 * @param former the offset as it is recorded
 */
record Start(String slot, Lineage source, Offset former) {
    private static final String LOAD_ANEW = "set spec.resync to a new value, so that all tables are built anew";

    /** All commits before its LSN are in ClickHouse, and the source as it is has them. */
    Offset offset() {
        return new Offset(slot, source.systemIdentifier(), source.timeline(), former.lsn());
    }

    /** Whether the source's address leads to the server that was looked at. */
    boolean isStill(PostgresClient postgres) {
        return lineage(postgres).equals(source);
    }

    /**
     * Goes over to the source's timeline, if it has another one, when nothing more arrives of what was read from the former: an
     * insert that was confirmed may not be in the offset, and its commit not on the source.
     *
     * @throws PipeException fatal, when there are such rows
     */
    void takeUp(PostgresClient postgres, Offsets offsets, List<TableDefinition> builds) {
        if (former.timeline().equals(source.timeline()) || source.timeline().isEmpty()) {
            return;
        }
        if (source.end(former.timeline()).isPresent()) {
            var stored = former.at(offsets.stored(builds));
            var left = left(stored, source, postgres);
            if (left.isPresent()) {
                offsets.record(stored); // so that Setup knows, too
                throw PipeException.fatal(left.get());
            }
        }
        offsets.record(offset());
    }

    /** Why what is in ClickHouse is not on the source any more, as it has left the timeline before that. */
    private static Optional<Problem> left(Offset reached, Lineage source, PostgresClient postgres) {
        return source.end(reached.timeline())
                .filter(end -> end.compareTo(reached.lsn()) < 0)
                .map(end -> new Problem(
                        "SourceWentBack",
                        postgres.object(),
                        "it has the WAL of timeline " + reached.timeline() + " up to " + end
                                + " and went on in timeline " + source.timeline() + ", but changes up to "
                                + reached.lsn()
                                + " were replicated already: it was restored to an earlier state, or a standby without"
                                + " all changes took over",
                        "S" + LOAD_ANEW.substring(1)));
    }

    /**
     * Checks, before anything is read, and records the first offset.
     *
     * @throws PipeException fatal with all that is wrong, or retryable
     */
    static Start find(Pipe pipe, PostgresClient postgres, Offsets offsets) {
        var lineage = lineage(postgres);
        offsets.create();
        try (var connection = postgres.connectImpatiently("stream checks")) {
            var problems = new ArrayList<Problem>();
            // Another worker may still be at work: it records its offset before the slot moves, so the slot comes
            // first.
            var slot = Slots.find(connection, pipe.slot());
            var recorded = offsets.read();
            recorded.ifPresent(offset -> checkSource(offset, lineage, connection, postgres, problems));
            if (problems.isEmpty()) {
                checkSlot(pipe, slot, recorded, problems);
            }
            if (!problems.isEmpty()) {
                throw PipeException.fatal(problems);
            }
            var offset = recorded.orElseGet(() -> {
                var first = new Offset(
                        pipe.slot(),
                        lineage.systemIdentifier(),
                        lineage.timeline(),
                        slot.orElseThrow().confirmed());
                offsets.record(first);
                return first;
            });
            return new Start(pipe.slot(), lineage, offset);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private static Lineage lineage(PostgresClient postgres) {
        try (var connection = postgres.connectReplication("identifies the source")) {
            return Lineage.of(connection);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private static void checkSource(
            Offset recorded, Lineage lineage, Connection connection, PostgresClient postgres, List<Problem> problems) {
        if (!recorded.systemIdentifier().equals(lineage.systemIdentifier())) {
            problems.add(new Problem(
                    "SourceReplaced",
                    postgres.object(),
                    "this is another database cluster (system identifier " + lineage.systemIdentifier()
                            + ") than the one that was replicated so far (" + recorded.systemIdentifier() + ")",
                    "Point the pipe to the former one; if this one takes its place, " + LOAD_ANEW));
            return;
        }
        var left = left(recorded, lineage, postgres);
        if (left.isPresent()) {
            problems.add(left.get());
            return;
        }
        try (var statement = connection.createStatement();
                var row = statement.executeQuery(
                        "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_insert_lsn() END")) {
            row.next();
            var current = row.getString(1);
            if (current != null && Lsn.parse(current).compareTo(recorded.lsn()) < 0) {
                problems.add(new Problem(
                        "SourceWentBack",
                        postgres.object(),
                        "its WAL ends at " + current + ", before the position that was replicated already, "
                                + recorded.lsn() + ": it was restored to an earlier state, or a standby without all"
                                + " changes took over",
                        "S" + LOAD_ANEW.substring(1)));
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private static void checkSlot(Pipe pipe, Optional<Slot> found, Optional<Offset> recorded, List<Problem> problems) {
        var object = "replication slot " + pipe.slot();
        var database = pipe.spec().source().postgres().database();
        if (found.isEmpty()) {
            problems.add(new Problem(
                    "SlotMissing",
                    object,
                    "it does not exist: whoever dropped it, the changes since then are not kept",
                    "S" + LOAD_ANEW.substring(1)));
            return;
        }
        var slot = found.get();
        if (!"pgoutput".equals(slot.plugin()) || !database.equals(slot.database())) {
            problems.add(new Problem(
                    "SlotUnsuitable",
                    object,
                    slot.plugin() == null
                            ? "it is a physical slot"
                            : "it has the plugin " + slot.plugin() + " and belongs to database " + slot.database(),
                    "Name a slot with the plugin pgoutput in database " + database));
        } else if (slot.lost() || slot.confirmed() == null) {
            problems.add(new Problem(
                    "SlotInvalidated",
                    object,
                    "wal_status is " + slot.walStatus() + ": WAL that was still to be read is gone",
                    "Raise max_slot_wal_keep_size on the source, and " + LOAD_ANEW));
        } else if (recorded.isPresent()
                && slot.confirmed().compareTo(recorded.get().lsn()) > 0) {
            problems.add(new Problem(
                    "SlotAdvanced",
                    object,
                    "it stands at " + slot.confirmed() + ", but only the commits before "
                            + recorded.get().lsn()
                            + " are in ClickHouse: it was advanced, or dropped and created again, by someone else",
                    "S" + LOAD_ANEW.substring(1)));
        }
    }
}
