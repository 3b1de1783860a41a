package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Offsets.Offset;
import dev.clickpipe.clickhouse.Patience;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.ReplicationStream;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
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

    /**
     * Encoded rows in a batch, in bytes; a single transaction may add as much again. Two batches of that size, in arrays that grow
     * by doubling, are half the heap.
     */
    private static final long BATCH_BYTES =
            Math.clamp(Runtime.getRuntime().maxMemory() / 16, 1024 * 1024, 32 * 1024 * 1024);
    /** Where no rows come, progress is recorded and acknowledged this often. */
    private static final Duration IDLE_INTERVAL = Duration.ofSeconds(10);

    private static final Duration LONGEST_PAUSE = Duration.ofMillis(20);
    /** What was committed is to be seen in the catalogue after this time. */
    private static final Duration COMMIT_PATIENCE = Duration.ofSeconds(10);
    /** A stop waits this long for the batch under way. */
    private static final Duration DRAIN = Duration.ofSeconds(4);
    /** A Postgres that shuts down waits for us; we don't let it wait longer than this for ClickHouse. */
    private static final Duration SHUTDOWN_PATIENCE = Duration.ofSeconds(5);
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
    private final SourceMonitor monitor;
    /** When a build was first seen whose load has not begun, by {@link System#nanoTime}. */
    private final Map<String, Long> heldSince = new HashMap<>();

    private final Patience patience = new Patience();

    private boolean accompanied;
    /** By build the numbers of columns that held NULL, though they must not by what is recorded. */
    private final Map<String, Set<Integer>> nullArrived = new HashMap<>();
    /** What the connection goes by; written where it begins, on one thread at a time. */
    private volatile List<TableDefinition> definitions = List.of();

    public Cdc(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters) {
        this(pipe, postgres, clickHouse, meters, IDLE_INTERVAL);
    }

    Cdc(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters, Duration idleInterval) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.offsets = new Offsets(clickHouse, pipe);
        this.recorded = new RecordedDefinitions(new Definitions(clickHouse, pipe));
        this.builds = new Builds(pipe, postgres, clickHouse, new Definitions(clickHouse, pipe));
        this.schemas = new Schemas(postgres, clickHouse, new Definitions(clickHouse, pipe));
        this.progress = new Progress(pipe, meters, Clock.systemUTC());
        this.idleInterval = idleInterval;
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
                builds.park(e, offsets.read().map(Offset::lsn).orElse(Lsn.ZERO));
            } catch (PipeException e) {
                if (stop.requested() || definitions.equals(recorded.read())) {
                    throw e;
                }
                LOG.info("starting over, as the tables have changed; it had failed: {}", e.getMessage());
            }
        }
        progress.stopping();
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
        var offset = Start.find(pipe, postgres, offsets);
        var agenda = Agenda.of(definitions, offset.lsn());
        if (agenda.follow().isEmpty()) {
            throw nothingToFollow();
        }
        var source = lookAtSource(agenda.follow());
        var start = new Offset(offset.slot(), offset.systemIdentifier(), agenda.from());
        var unchanged = new UnchangedValues(new TargetLookup(clickHouse), new SourceLookup(postgres), progress);
        try (var stream = ReplicationStream.start(postgres, pipe.slot(), agenda.publications(), start.lsn());
                var catalogue = postgres.connectImpatiently("schema")) {
            // From here on no other worker reads the slot. One that did until now may have got further.
            awaitFormerInserts(stream, stop);
            if (!offsets.read().map(Offset::lsn).equals(Optional.of(offset.lsn()))) {
                return;
            }
            if (!start.lsn().equals(offset.lsn())) {
                offsets.record(start);
            }
            var begun = whileAlive(stream, () -> carryOut(agenda, source));
            var tenure = whileAlive(stream, () -> tenure(begun.follow()));
            var held = held(begun.follow());
            var targets = whileAlive(stream, () -> begun.follow().stream()
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
                            progress);
                    stream) { // ends first: a server that shuts down need not wait for what is abandoned
                new Follower(stream, applier, new Changes(writers(targets), progress), begun, held, catalogue)
                        .follow(stop);
            }
            LOG.info("acknowledged up to {}", stream.acknowledged());
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
     * <p>A load that does not begin must not fill the source with WAL. After {@link #LONGEST_HOLD} the table is written, and cut
     * when the boundary is known.
     */
    private List<TableDefinition> held(List<TableDefinition> follow) {
        var waiting = follow.stream()
                .filter(build -> pipe.settings().replicationMode().loads()
                        && build.engine().appendOnly()
                        && build.boundary() == null)
                .toList();
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
                            "{}: its load has not begun in {} minutes, and the stream goes on; materialized views behind"
                                    + " {} will see some rows twice, in the stream and in the load",
                            build.source(),
                            LONGEST_HOLD.toMinutes(),
                            build.target());
                    return false;
                })
                .toList();
    }

    private boolean isHoldOver(TableDefinition build) {
        return System.nanoTime() - heldSince.get(build.build()) > LONGEST_HOLD.toNanos();
    }

    private Manifests.Tenure tenure(List<TableDefinition> follow) {
        return follow.stream().anyMatch(build -> build.engine().appendOnly())
                ? new Manifests(clickHouse, pipe).begin()
                : null;
    }

    private SourceTables lookAtSource(List<TableDefinition> follow) {
        try (var connection = postgres.connectImpatiently("stream checks")) {
            var source = SourceTables.look(connection, follow);
            for (var build : follow) {
                if (source.failures().containsKey(build.build())) {
                    throw new TableFailure(build, source.failures().get(build.build()));
                }
            }
            return source;
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

    /** Does what takes its time while the server hears from us. */
    private static <T> T whileAlive(ReplicationStream stream, Callable<T> work) throws InterruptedException {
        var task = new FutureTask<>(work);
        Thread.ofVirtual().name("agenda").start(task);
        try {
            while (true) {
                stream.keepAlive();
                try {
                    return task.get(LONGEST_PAUSE.toNanos(), TimeUnit.NANOSECONDS);
                } catch (TimeoutException e) {
                    // it goes on
                } catch (ExecutionException e) {
                    throw Applier.unwrapped(e);
                }
            }
        } finally {
            task.cancel(true);
        }
    }

    /** The loop between stream and ClickHouse, during one connection. */
    private final class Follower {
        private final ReplicationStream stream;
        private final Applier applier;
        private final Changes changes;
        private final long batchRows = pipe.settings().pullBatchSize();
        private final long interval =
                Duration.ofSeconds(pipe.settings().syncIntervalSeconds()).toNanos();
        private final Agenda begun;
        /** For whose sake nothing is confirmed. */
        private final List<TableDefinition> heldBack;

        private final Connection catalogue;
        /** As they were announced on this connection, by OID. */
        private final Map<Long, Relation> announced = new HashMap<>();

        /** An announcement that waits until everything before it is in ClickHouse; null when none does. */
        private Relation held;

        /** Since when the announcement is not what the catalogue says; 0 when it is. */
        private long unexplainedSince;

        private Batch batch = new Batch();
        private long appliedAt = System.nanoTime() - idleInterval.toNanos();
        private Duration pause = Duration.ZERO;
        /** When a server that shuts down began to wait for us; 0 while none does. */
        private long awaitedSince;
        /** It changes only with what is recorded and with how far we are. */
        private Agenda agenda;

        private boolean agendaDue;
        private boolean agendaPostponed;
        private List<TableDefinition> agendaOf;
        private Lsn agendaAt;

        Follower(
                ReplicationStream stream,
                Applier applier,
                Changes changes,
                Agenda begun,
                List<TableDefinition> heldBack,
                Connection catalogue) {
            this.stream = stream;
            this.applier = applier;
            this.changes = changes;
            this.begun = begun;
            this.heldBack = heldBack;
            this.catalogue = catalogue;
        }

        void follow(Stop stop) throws InterruptedException {
            while (!stop.requested() && !isAgendaDue() && heldBack.stream().noneMatch(Cdc.this::isHoldOver)) {
                monitor.throwFailure();
                applier.poll().ifPresent(this::confirmed);
                if (!applier.busy() && due()) {
                    apply();
                }
                letGoOfShutdown();
                letGoOfSilence();
                if (full()) {
                    stream.keepAlive();
                    applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
                } else {
                    read(stop);
                }
            }
            drain();
        }

        private boolean isAgendaDue() {
            var latest = recorded.latest();
            boolean mayNotSwap = builds.swapPostponed();
            if (latest != agendaOf || !stream.acknowledged().equals(agendaAt) || mayNotSwap != agendaPostponed) {
                agendaPostponed = mayNotSwap;
                agendaOf = latest;
                agendaAt = stream.acknowledged();
                agenda = Agenda.of(latest, agendaAt);
                agendaDue = (mayNotSwap ? agenda.withoutSwap() : agenda).isDue(begun);
                progress.tables(latest);
                progress.awaited(agenda.awaited());
            }
            return agendaDue;
        }

        private void read(Stop stop) throws InterruptedException {
            var message = held != null ? held : stream.poll();
            if (message instanceof Relation relation) {
                announce(relation);
                pause = Duration.ZERO;
            } else if (message != null) {
                changes.accept(message, batch);
                pause = Duration.ZERO;
            } else {
                progress.pending(oldestPending());
                stop.await(pause);
                var longer = pause.plusMillis(1);
                pause = longer.compareTo(LONGEST_PAUSE) < 0 ? longer : LONGEST_PAUSE;
            }
        }

        /**
         * A table's shape, as it is in the transaction that is read. Rows of two shapes are not in one batch, and what was read
         * before the target was brought to another one is in ClickHouse before that is done.
         */
        private void announce(Relation relation) throws InterruptedException {
            var builds = begun.follow().stream()
                    .filter(build -> build.relid() == relation.relid())
                    .toList();
            var former = announced.get(relation.relid());
            boolean followed = builds.isEmpty() || isFollowed(builds);
            // An insert that is sent again for the sake of what it may have missed is as well sent after the change.
            boolean drained = (batch.isEmpty() || !followed && batch.incomplete()) && !applier.busy();
            held = relation;
            if (followed && (former == null || former.equals(relation)) || drained) {
                take(relation, builds, followed);
            } else if (!batch.isEmpty() && (followed || !batch.incomplete())) {
                batch.fence();
            } else {
                stream.keepAlive();
                applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
            }
        }

        private void take(Relation relation, List<TableDefinition> builds, boolean followed)
                throws InterruptedException {
            if (!followed) {
                throw new SchemaChanged(builds.getFirst());
            }
            try {
                if (!relation.equals(announced.get(relation.relid()))) {
                    changes.accept(relation, batch);
                    announced.put(relation.relid(), relation);
                }
                held = null;
                unexplainedSince = 0;
            } catch (TableFailure e) {
                // A commit may be in the stream before the catalogue shows it, as long as a standby has not confirmed
                // it.
                long now = System.nanoTime();
                unexplainedSince = unexplainedSince == 0 ? now : unexplainedSince;
                if (now - unexplainedSince > COMMIT_PATIENCE.toNanos()) {
                    throw e;
                }
                stream.keepAlive();
                Thread.sleep(LONGEST_PAUSE);
            }
        }

        /** Asks the source, which may be ahead of the stream, and never is behind it for long. */
        private boolean isFollowed(List<TableDefinition> builds) throws InterruptedException {
            var now = whileAlive(stream, () -> {
                try {
                    return Schemas.look(catalogue, builds);
                } catch (SQLException e) {
                    throw PostgresErrors.of(e, postgres.object());
                }
            });
            return builds.stream().allMatch(build -> Schemas.isFollowed(build, now));
        }

        /** Whether the batch goes to ClickHouse as soon as the one before is there. */
        private boolean due() {
            if (full()) {
                return true;
            }
            if (stream.inTransaction() || batch.incomplete()) {
                return false;
            }
            long now = System.nanoTime();
            if (batch.isEmpty()) {
                return heldBack.isEmpty()
                        && stream.position().compareTo(stream.acknowledged()) > 0
                        && (stream.replyRequested() || isAwaited() || now - appliedAt >= idleInterval.toNanos());
            }
            return now - batch.firstChangeAt() >= interval || stream.replyRequested();
        }

        /** Whether something becomes due with the position that was read. */
        private boolean isAwaited() {
            return agenda.awaited().compareTo(stream.acknowledged()) > 0
                    && agenda.awaited().compareTo(stream.position()) <= 0;
        }

        /** Whether nothing more may be read into the batch. A transaction is split only when it fills a batch by itself. */
        private boolean full() {
            return batch.fenced()
                    || !batch.incomplete()
                            && (stream.inTransaction()
                                    ? batch.rowsOfTransaction() >= batchRows
                                            || batch.bytesOfTransaction() >= BATCH_BYTES
                                    : batch.rows() >= batchRows || batch.bytes() >= BATCH_BYTES);
        }

        private void apply() {
            batch.end(stream.position());
            applier.apply(batch);
            batch = new Batch();
            appliedAt = System.nanoTime();
        }

        private void confirmed(Batch done) {
            if (!done.isEmpty()) {
                patience.sufficed(Duration.ofNanos(System.nanoTime() - appliedAt));
            }
            if (heldBack.isEmpty()) {
                stream.acknowledge(done.end());
            }
            progress.confirmed(stream.acknowledged(), oldestPending());
            if (!done.isEmpty()) {
                LOG.debug("{} rows ({} bytes) are in ClickHouse, up to {}", done.rows(), done.bytes(), done.end());
            }
        }

        private Instant oldestPending() {
            return applier.batch() != null && applier.batch().oldestCommit() != null
                    ? applier.batch().oldestCommit()
                    : batch.oldestCommit();
        }

        /** A server shuts down only when all is acknowledged or the connection closed (PostgreSQL source, WalSndDone). */
        private void letGoOfShutdown() {
            if (!stream.replyRequested() || stream.position().compareTo(stream.acknowledged()) <= 0) {
                awaitedSince = 0;
            } else if (awaitedSince == 0) {
                awaitedSince = System.nanoTime();
            } else if (System.nanoTime() - awaitedSince > SHUTDOWN_PATIENCE.toNanos()) {
                throw PipeException.retryable(
                        new Problem(
                                "PostgresShutsDown",
                                postgres.object(),
                                "the server wants to shut down and waits for changes to be confirmed, which ClickHouse"
                                        + " did not do in time",
                                "It is tried again; the changes are kept"),
                        null);
            }
        }

        /** A connection that is silently dead looks like an insert that takes its time. What is sent again does no harm. */
        private void letGoOfSilence() {
            if (applier.silence().compareTo(patience.now()) > 0) {
                var waited = patience.now();
                patience.wasTooShort();
                clickHouse.forgetConnections();
                throw PipeException.retryable(
                        new Problem(
                                "ClickHouseSilent",
                                clickHouse.object(),
                                "an insert was not answered in " + waited.toSeconds() + " seconds",
                                "It is tried again, and given " + patience.now().toSeconds()
                                        + " seconds then; if it really takes that long, see what materialized views do"),
                        null);
            }
        }

        /** Waits a little for the batch under way; the one being filled is left to the next run. */
        private void drain() throws InterruptedException {
            long deadline = System.nanoTime() + DRAIN.toNanos();
            while (applier.busy() && System.nanoTime() < deadline) {
                stream.keepAlive();
                applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
            }
        }
    }

    /**
     * An insert whose client vanished may go on in ClickHouse. What it stores must be there before the greatest stored version is
     * asked for.
     */
    private void awaitFormerInserts(ReplicationStream stream, Stop stop) throws InterruptedException {
        long deadline = System.nanoTime() + FORMER_INSERTS.toNanos();
        while (formerInsertRuns()) {
            stream.keepAlive();
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
