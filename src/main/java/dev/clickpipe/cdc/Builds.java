package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.Swap;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Streaming;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.clickhouse.Views;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PipeLock;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Slots;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out what is due between two connections, and records it. Only while this worker holds the slot, and no former worker's
 * insert runs: then nobody else writes rows of the stream. Each step may be cut off and is done again.
 */
final class Builds {
    private static final Logger LOG = LoggerFactory.getLogger(Builds.class);

    private static final Duration POSTPONEMENT = Duration.ofSeconds(5);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final Swap swap;
    /** When the lock on the pipe's tables was refused; {@link Long#MIN_VALUE}: never. Of {@link System#nanoTime}. */
    private volatile long refusedAt = Long.MIN_VALUE;

    Builds(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, Definitions definitions) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = definitions;
        this.swap = new Swap(clickHouse, pipe);
    }

    /**
     * @param source as it is now
     * @throws TableFailure a step failed for reasons that lie in its table
     */
    void carryOut(Agenda agenda, List<TableDefinition> recorded, SourceTables source) {
        // One that was cut off is ended whatever else is due: the names stand for other tables already.
        var swaps = recorded.stream()
                .filter(build -> build.replaces() && (agenda.swap().contains(build) || swap.begun(build)))
                .toList();
        if (!swaps.isEmpty() && swap(swaps, recorded)) {
            return; // the rest is said of tables that are others now: at the next connection
        }
        agenda.takeUp().forEach(build -> {
            var published = source.published().get(build.build());
            definitions.record(
                    build,
                    Streaming.takenUp(agenda.from().toString(), published)
                            .withIgnored(build.ignored(), Lsn.ZERO, Lsn.ZERO));
            LOG.info("{}: changes from {} on go to {}", build.source(), agenda.from(), build.target());
        });
        // What is recorded of a build may have changed with it: the rest is due at the next connection.
        agenda.cut().forEach(build -> TableFailure.of(build, () -> cut(build)));
        if (agenda.cut().isEmpty() && !agenda.ignore().isEmpty()) {
            ignore(agenda.ignore(), agenda.from());
        }
    }

    /**
     * From the source's position of now on: all that any worker has read was committed before it, and is taken as it was then,
     * should it be read again.
     */
    private void ignore(List<TableDefinition> builds, Lsn offset) {
        try (var connection = postgres.connectImpatiently("position")) {
            var now = Slots.retention(connection, pipe.slot()).current();
            builds.forEach(build -> {
                definitions.record(build, build.streaming().withIgnored(build.ignored(), now, offset));
                LOG.info("{}: of what is committed from {} on {}", build.source(), now, build.ignored());
            });
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    /**
     * The rows that the stream wrote while it did not know the load's boundary are in the load too, as far as they are older.
     * The condition spares the load's own.
     */
    private TableDefinition cut(TableDefinition build) {
        var boundary = new Version(Lsn.parse(build.boundary()), 0);
        if (build.engine().stores()) {
            clickHouse.execute("ALTER TABLE " + identifier(build.target()) + " DELETE WHERE " + SystemColumns.VERSION
                    + " < toUInt128('" + boundary + "') SETTINGS mutations_sync = 2");
        }
        LOG.info("{}: the load has what was committed before {}", build.source(), build.boundary());
        return definitions.record(build, build.streaming().withCut(build.boundary()));
    }

    /** Whether a swap that is due waits for a Setup that is deciding on the pipe's tables. */
    boolean swapPostponed() {
        return refusedAt != Long.MIN_VALUE && System.nanoTime() - refusedAt < POSTPONEMENT.toNanos();
    }

    /** @return false when somebody else decides on the pipe's tables at this moment */
    private boolean swap(List<TableDefinition> replacements, List<TableDefinition> recorded) {
        try (var lock = PipeLock.tryTake(postgres, pipe).orElse(null)) {
            if (lock == null) {
                refusedAt = System.nanoTime();
                if (replacements.stream().anyMatch(swap::begun)) {
                    throw PipeException.retryable(
                            new Problem(
                                    "AnotherWorkerRuns",
                                    "pipe " + pipe,
                                    "a swap was cut off, and another worker sets the pipe up",
                                    "It goes on when that worker ends"),
                            null);
                }
                LOG.info("the swap waits for the setup that runs");
                return false;
            }
            if (definitions.all().equals(recorded)) {
                replacements.forEach(build -> TableFailure.of(build, () -> swap.run(build, recorded)));
            }
            return true;
        }
    }

    /**
     * The build as this connection writes it.
     *
     * @param tenure of this connection; null when no build is append-only
     */
    Target target(TableDefinition build, Lsn from, Manifests.Tenure tenure) {
        if (!build.engine().appendOnly()) {
            boolean whole = !pipe.settings().replicationMode().loads() || Agenda.isSettled(build, from);
            return new Target(build.withDropped(from), Lsn.ZERO, false, null, null, whole);
        }
        var definition = build.withDropped(from);
        var cut = build.streaming().cut();
        var boundary = cut == null ? Lsn.ZERO : Lsn.parse(cut);
        TableFailure.of(build, () -> Views.countingTwice(clickHouse, build.target()))
                .forEach(table -> LOG.warn(
                        "{}, which a materialized view behind {} writes to, has no deduplication window: what is sent again"
                                + " after a crash counts twice in it",
                        table,
                        build.target()));
        if (TableFailure.of(build, () -> TargetTable.deduplicates(clickHouse, build.target()))) {
            var last = tenure.last(build.build());
            return last == null
                    ? new Target(definition, boundary, true, null, null, true)
                    : new Target(
                            definition, boundary, true, Version.parse(last.after()), Version.parse(last.end()), true);
        }
        LOG.warn(
                "{} has no deduplication window: after a crash materialized views behind it may miss a batch",
                build.target());
        var greatest = TableFailure.of(
                        build,
                        () -> clickHouse.query(
                                "SELECT toString(max(" + SystemColumns.VERSION + ")) AS version FROM "
                                        + identifier(build.target()) + " WHERE " + SystemColumns.VERSION
                                        + " >= {from:UInt128}",
                                Map.of("from", new Version(from, 0).toString())))
                .getFirst()
                .get("version");
        return new Target(definition, boundary, false, Version.parse((String) greatest), null, true);
    }

    /**
     * Records that a table is written no more, unless it is gone meanwhile. Everything the stream has read of it since the
     * recorded offset counts as not written.
     *
     * @param offset recorded
     */
    void park(TableFailure failure, Lsn offset) {
        var recorded = definitions.all().stream()
                .filter(build -> Objects.equals(build.build(), failure.table().build()))
                .findFirst();
        if (recorded.isEmpty()) {
            return;
        }
        var problem = withRemedy(failure.problem());
        var streaming = recorded.get().streaming();
        definitions.record(
                recorded.get(),
                (streaming == null ? Streaming.takenUp(offset.toString(), null) : streaming).withFailure(problem));
        LOG.error(
                "{} is written no more, the other tables are: {}",
                recorded.get().target(),
                problem.sentence());
    }

    private Problem withRemedy(Problem problem) {
        var resync = (pipe.settings().replicationMode().loads() ? "set" : "set replicationMode to cdc and")
                + " the mapping's resync to a new value, and the table is built anew";
        var remedy = problem.remedy() == null || problem.remedy().isEmpty()
                ? Character.toUpperCase(resync.charAt(0)) + resync.substring(1)
                : problem.remedy().replaceFirst("[.\\s]+$", "") + "; then " + resync;
        return new Problem(problem.reason(), problem.object(), problem.message(), remedy);
    }
}
