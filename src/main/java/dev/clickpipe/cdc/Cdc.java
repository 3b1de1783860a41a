package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Patience;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.ChangeSource;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The run mode that follows the replication slot.
 *
 * <p>One thread reads, decodes and encodes; it never waits for anything but the socket, and so always answers Postgres. The
 * batch it has filled goes to ClickHouse on other threads, one at a time; the next fills meanwhile, and when that is full too,
 * reading pauses. A batch is acknowledged when all of it is in ClickHouse. So memory holds two batches at most, whatever the size
 * of the transaction, and what a crash interrupts is sent again.
 */
public final class Cdc implements Mode {
    private static final Logger LOG = LoggerFactory.getLogger(Cdc.class);

    /** Where no rows come, progress is recorded and acknowledged this often. */
    private static final Duration IDLE_INTERVAL = Duration.ofSeconds(10);

    /** The stream confirms nothing for the sake of a load that has not begun, but not longer than this. */
    private static final Duration LONGEST_HOLD = Duration.ofMinutes(10);
    /** How long a former worker's insert may take to end. */
    private static final Duration FORMER_INSERTS = Duration.ofSeconds(30);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Offsets offsets;
    private final RecordedDefinitions recorded;
    private final Builds builds;
    private final Schemas schemas;
    private final Progress progress;
    private final Duration idleInterval;
    private final Duration longestHold;
    private final CatchUp catchUp;
    private final SourceMonitor monitor;
    /** When a build was first seen whose load has not begun, by {@link System#nanoTime}. */
    private final Map<String, Long> heldSince = new HashMap<>();

    private final Patience patience = new Patience();

    private boolean accompanied;
    /** What ended the last connection; null when no table did. */
    private Failed failed;
    /** By build the numbers of columns that held NULL, though they must not by what is recorded. */
    private final Map<String, Set<Integer>> nullArrived = new HashMap<>();
    /** What the connection goes by; written where it begins, on one thread at a time. */
    private volatile List<TableDefinition> definitions = List.of();

    public Cdc(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters) {
        this(pipe, postgres, clickHouse, meters, IDLE_INTERVAL, LONGEST_HOLD, CatchUp.Limits.USUAL);
    }

    Cdc(
            Pipe pipe,
            PostgresClient postgres,
            ClickHouseClient clickHouse,
            MeterRegistry meters,
            Duration idleInterval,
            Duration longestHold,
            CatchUp.Limits catchUp) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.offsets = new Offsets(clickHouse, pipe);
        this.recorded = new RecordedDefinitions(new Definitions(clickHouse, pipe));
        this.builds = new Builds(pipe, postgres, clickHouse, new Definitions(clickHouse, pipe));
        this.schemas = new Schemas(postgres, clickHouse, new Definitions(clickHouse, pipe));
        this.progress = new Progress(pipe, meters, Clock.systemUTC());
        this.idleInterval = idleInterval;
        this.longestHold = longestHold;
        this.catchUp = new CatchUp(pipe, postgres, catchUp);
        this.monitor = new SourceMonitor(pipe, postgres, progress);
    }

    @Override
    public WorkerStatus status() {
        return progress.status();
    }

    /**
     * Follows the slot until stopped, over as many connections as it takes: one ends when something is due that can't be done
     * under it, see {@link Agenda}. Called again after a failure, it goes on where ClickHouse has got to.
     */
    @Override
    public void run(Stop stop) throws InterruptedException {
        if (!accompanied) {
            accompanied = true;
            Thread.ofVirtual().name("monitor").start(() -> monitor.run(stop));
            Thread.ofVirtual().name("definitions").start(() -> recorded.run(stop));
        }
        progress.starting();
        while (!stop.requested()) {
            definitions = recorded.read();
            try {
                connect(stop);
            } catch (SchemaChanged e) {
                LOG.info(
                        "{}: connecting again to bring {} to it",
                        e.getMessage(),
                        e.table().target());
                if (e.nullArrived() > 0) {
                    nullArrived
                            .computeIfAbsent(e.table().build(), build -> new HashSet<>())
                            .add(e.nullArrived());
                }
            } catch (TableFailure e) {
                failed = new Failed(e, recorded(e.table().build()));
            } catch (PipeException e) {
                if (stop.requested() || definitions.equals(recorded.read())) {
                    throw e;
                }
                LOG.info("starting over, as the tables have changed; it had failed: {}", e.getMessage());
            }
        }
        progress.stopping();
    }

    /** @param was what was recorded of the table then; empty: nothing any more */
    private record Failed(TableFailure failure, Optional<TableDefinition> was) {}

    private Optional<TableDefinition> recorded(String build) {
        return definitions.stream().filter(one -> one.build().equals(build)).findFirst();
    }

    /**
     * Parks the table that has failed, only while this worker holds the slot: one that was frozen, and replaced by another
     * worker, may have missed that the table was swapped, altered or built anew. If it really is the table, it fails again.
     */
    private void judge(Failed table, Lsn offset) {
        if (table.was().equals(recorded(table.failure().table().build()))) {
            builds.park(table.failure(), offset);
        } else {
            LOG.info(
                    "{} has changed since it failed, and is tried again: {}",
                    table.failure().table().target(),
                    table.failure().getMessage());
        }
    }

    private void connect(Stop stop) throws InterruptedException {
        if (definitions.isEmpty()) {
            throw PipeException.fatal(new Problem(
                    "NotSetUp",
                    "pipe " + pipe,
                    "no table definitions are recorded in " + clickHouse.object(),
                    "Run setup first"));
        }
        progress.tables(definitions);
        var found = Start.find(pipe, postgres, offsets);
        var offset = found.offset();
        var agenda = Agenda.of(definitions, offset.lsn());
        if (agenda.follow().isEmpty()) {
            throw nothingToFollow();
        }
        var tables = lookAtSource(agenda.follow());
        var missed = agenda.follow().stream()
                .filter(build -> tables.failures().containsKey(build.build()))
                .findFirst();
        if (missed.isPresent()) { // of what is published no more the server does not even begin to send anything
            builds.park(
                    new TableFailure(
                            missed.get(), tables.failures().get(missed.get().build())),
                    offset.lsn());
            return;
        }
        var start = offset.at(agenda.from());
        var unchanged = new UnchangedValues(new TargetLookup(clickHouse), new SourceLookup(postgres), progress);
        boolean confirms = waiting(agenda.follow()).isEmpty();
        try (var source = catchUp.open(agenda.publications(), start.lsn(), confirms);
                var catalogue = postgres.connectImpatiently("schema")) {
            // From here on no other worker reads the slot. One that did until now may have got further.
            awaitFormerInserts(source, stop);
            // Or the address has become another server's.
            if (!offsets.read().equals(Optional.of(found.former()))
                    || !Follower.whileAlive(source, () -> found.isStill(postgres))) {
                return;
            }
            Follower.whileAlive(source, () -> {
                found.takeUp(postgres, offsets, definitions);
                return null;
            });
            if (failed != null) {
                judge(failed, offset.lsn());
                failed = null;
                return;
            }
            if (!start.lsn().equals(offset.lsn())) {
                offsets.record(start);
            }
            var begun = Follower.whileAlive(source, () -> carryOut(agenda, tables));
            var tenure = Follower.whileAlive(source, () -> tenure(begun.follow()));
            var held = held(begun.follow());
            var targets = Follower.whileAlive(source, () -> begun.follow().stream()
                    .filter(build -> !held.contains(build))
                    .map(build -> builds.target(build, begun.from(), tenure))
                    .toList());
            progress.started(start.lsn());
            LOG.info("following slot {} from {} into {} tables", pipe.slot(), start.lsn(), targets.size());
            monitor.watch(begun.follow());
            try (var applier = new Applier(
                            clickHouse,
                            held.isEmpty() ? Optional.of(offsets) : Optional.empty(),
                            start,
                            tenure,
                            comment(),
                            unchanged,
                            patience,
                            progress);
                    source) { // ends first: a server that shuts down need not wait for what is abandoned
                new Follower(
                                pipe,
                                postgres,
                                catalogue,
                                source,
                                applier,
                                new Changes(writers(targets), progress),
                                begun,
                                new AgendaWatch(recorded, builds, progress, begun),
                                held.isEmpty(),
                                () -> held.stream().anyMatch(this::isHoldOver)
                                        || confirms && catchUp.isBehind(source, monitor.current()),
                                monitor,
                                progress,
                                idleInterval)
                        .follow(stop);
            }
            catchUp.ended(source);
            LOG.info("acknowledged up to {}", source.acknowledged());
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        } finally {
            monitor.watch(List.of());
        }
    }

    private PipeException nothingToFollow() {
        return PipeException.fatal(definitions.stream()
                .map(TableDefinition::failure)
                .filter(Objects::nonNull)
                .findFirst()
                .orElseGet(() -> new Problem(
                        "NotSetUp",
                        "pipe " + pipe,
                        "no table is set up to be followed by a stream",
                        "Run setup with replicationMode cdc or cdc_only")));
    }

    /**
     * Append-only builds whose load has not begun: nobody knows yet which commits will be in its rows, and what is inserted can
     * be deleted again, but not be taken back from the materialized views that have seen it. So they are not written, and the
     * position stays; when the load's boundary is known the stream is read again from here, which is before it.
     *
     * <p>A load that does not begin must not fill the source with WAL. After {@link #longestHold} the table is written, and cut
     * when the boundary is known.
     */
    private List<TableDefinition> held(List<TableDefinition> follow) {
        var waiting = waiting(follow);
        heldSince
                .keySet()
                .retainAll(waiting.stream().map(TableDefinition::build).toList());
        waiting.forEach(build -> heldSince.putIfAbsent(build.build(), System.nanoTime()));
        return waiting.stream()
                .filter(build -> {
                    if (!isHoldOver(build)) {
                        LOG.info("{}: the stream waits for its load to begin", build.source());
                        return true;
                    }
                    LOG.warn(
                            "{}: its load has not begun in {} s, and the stream goes on; materialized views behind"
                                    + " {} will see some rows twice, in the stream and in the load",
                            build.source(),
                            longestHold.toSeconds(),
                            build.target());
                    return false;
                })
                .toList();
    }

    private List<TableDefinition> waiting(List<TableDefinition> follow) {
        return follow.stream()
                .filter(build -> pipe.settings().replicationMode().loads()
                        && build.engine().appendOnly()
                        && build.boundary() == null)
                .toList();
    }

    private boolean isHoldOver(TableDefinition build) {
        return System.nanoTime() - heldSince.get(build.build()) > longestHold.toNanos();
    }

    private Manifests.Tenure tenure(List<TableDefinition> follow) {
        return follow.stream().anyMatch(build -> build.engine().appendOnly())
                ? new Manifests(clickHouse, pipe).begin()
                : null;
    }

    private SourceTables lookAtSource(List<TableDefinition> follow) {
        try (var connection = postgres.connectImpatiently("stream checks")) {
            return SourceTables.look(connection, follow);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    /** @return by which the connection goes: nothing is due any more, or it ends at once */
    private Agenda carryOut(Agenda agenda, SourceTables source) {
        builds.carryOut(agenda, definitions, source);
        definitions = recorded.read();
        if (schemas.follow(Agenda.of(definitions, agenda.from()).begun().follow(), nullArrived)) {
            definitions = recorded.read();
        }
        nullArrived.clear();
        progress.tables(definitions);
        return Agenda.of(definitions, agenda.from()).begun();
    }

    /**
     * An insert whose client vanished may go on in ClickHouse. What it stores must be there before the greatest stored version is
     * asked for.
     */
    private void awaitFormerInserts(ChangeSource source, Stop stop) throws InterruptedException {
        long deadline = System.nanoTime() + FORMER_INSERTS.toNanos();
        while (formerInsertRuns()) {
            source.keepAlive();
            if (System.nanoTime() > deadline) {
                throw PipeException.retryable(
                        new Problem(
                                "FormerInsertRuns",
                                clickHouse.object(),
                                "an insert of this pipe's former worker still runs",
                                "It is waited for; see system.processes"),
                        null);
            }
            if (stop.await(Duration.ofMillis(200))) {
                return;
            }
        }
    }

    private boolean formerInsertRuns() {
        try {
            return !clickHouse
                    .queryState(
                            "SELECT 1 FROM system.processes WHERE Settings['log_comment'] = {comment:String} AND query_kind = 'Insert' LIMIT 1",
                            Map.of("comment", comment()))
                    .isEmpty();
        } catch (PipeException e) {
            if (e.retryable()) {
                throw e;
            }
            LOG.warn("whether a former worker's insert still runs can't be asked", e);
            return false;
        }
    }

    private String comment() {
        return "clickpipe " + pipe.uid() + " cdc";
    }

    /** By the table's OID: its name may have become another table's. */
    private BiFunction<Relation, Lsn, List<TableWriter>> writers(List<Target> targets) {
        var byTable = targets.stream()
                .collect(Collectors.groupingBy(target -> target.definition().relid()));
        return (relation, commit) -> byTable.getOrDefault(relation.relid(), List.of()).stream()
                .map(target -> writer(relation, target, commit))
                .toList();
    }

    private static TableWriter writer(Relation relation, Target target, Lsn commit) {
        var shape = Shape.of(relation, target, commit);
        return new TableWriter(target.identifiedBy(shape.identity(relation, target.definition())), relation, shape);
    }
}
