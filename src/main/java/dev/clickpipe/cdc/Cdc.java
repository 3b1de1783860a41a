package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.ReplicationStream;
import dev.clickpipe.postgres.SourceTable;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
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
    /** A stop waits this long for the batch under way. */
    private static final Duration DRAIN = Duration.ofSeconds(4);
    /** A Postgres that shuts down waits for us; we don't let it wait longer than this for ClickHouse. */
    private static final Duration SHUTDOWN_PATIENCE = Duration.ofSeconds(5);
    /** How long a former worker's insert may take to end. */
    private static final Duration FORMER_INSERTS = Duration.ofSeconds(30);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Progress progress;
    private final Duration idleInterval;
    private final SourceMonitor monitor;
    private Thread monitoring;

    public Cdc(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters) {
        this(pipe, postgres, clickHouse, meters, IDLE_INTERVAL);
    }

    Cdc(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters, Duration idleInterval) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.progress = new Progress(pipe, meters, Clock.systemUTC());
        this.idleInterval = idleInterval;
        this.monitor = new SourceMonitor(pipe, postgres, progress);
    }

    @Override
    public WorkerStatus status() {
        return progress.status();
    }

    /** Follows the slot until stopped. Called again after a retryable failure, it goes on where ClickHouse has got to. */
    @Override
    public void run(Stop stop) throws InterruptedException {
        if (monitoring == null) {
            monitoring = Thread.ofVirtual().name("monitor").start(() -> monitor.run(stop));
        }
        var offsets = new Offsets(clickHouse, pipe);
        var start = Start.find(pipe, postgres, offsets);
        var targets = targets(start, stop);
        var unchanged = new UnchangedValues(new TargetLookup(clickHouse), new SourceLookup(postgres), progress);
        try (var applier = new Applier(clickHouse, offsets, start.offset(), comment(), unchanged, progress);
                var stream = ReplicationStream.start(
                        postgres,
                        pipe.slot(),
                        start.publications(),
                        start.offset().lsn())) {
            progress.started(List.copyOf(targets.values()), start.offset().lsn());
            LOG.info(
                    "following slot {} from {} into {} tables",
                    pipe.slot(),
                    start.offset().lsn(),
                    targets.size());
            new Follower(stream, applier, new Changes(writers(targets), progress)).follow(stop);
            progress.stopping();
            LOG.info("stopped; acknowledged up to {}", stream.acknowledged());
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

        private Batch batch = new Batch();
        private long appliedAt = System.nanoTime() - idleInterval.toNanos();
        private Duration pause = Duration.ZERO;
        /** When a server that shuts down began to wait for us; 0 while none does. */
        private long awaitedSince;

        Follower(ReplicationStream stream, Applier applier, Changes changes) {
            this.stream = stream;
            this.applier = applier;
            this.changes = changes;
        }

        void follow(Stop stop) throws InterruptedException {
            while (!stop.requested()) {
                applier.poll().ifPresent(this::confirmed);
                if (!applier.busy() && due()) {
                    apply();
                }
                letGoOfShutdown();
                if (full()) {
                    stream.keepAlive();
                    applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
                } else {
                    read(stop);
                }
            }
            drain();
        }

        private void read(Stop stop) throws InterruptedException {
            var message = stream.poll();
            if (message != null) {
                changes.accept(message, batch);
                pause = Duration.ZERO;
            } else {
                progress.pending(oldestPending());
                stop.await(pause);
                var longer = pause.plusMillis(1);
                pause = longer.compareTo(LONGEST_PAUSE) < 0 ? longer : LONGEST_PAUSE;
            }
        }

        /** Whether the batch goes to ClickHouse as soon as the one before is there. */
        private boolean due() {
            if (full()) {
                return true;
            }
            if (stream.inTransaction()) {
                return false;
            }
            long now = System.nanoTime();
            if (batch.isEmpty()) {
                return stream.position().compareTo(stream.acknowledged()) > 0
                        && (stream.replyRequested() || now - appliedAt >= idleInterval.toNanos());
            }
            return now - batch.firstChangeAt() >= interval || stream.replyRequested();
        }

        /** Whether nothing more may be read into the batch. A transaction is split only when it fills a batch by itself. */
        private boolean full() {
            return batch.fenced()
                    || (stream.inTransaction()
                            ? batch.rowsOfTransaction() >= batchRows || batch.bytesOfTransaction() >= BATCH_BYTES
                            : batch.rows() >= batchRows || batch.bytes() >= BATCH_BYTES);
        }

        private void apply() {
            batch.end(stream.position());
            applier.apply(batch);
            batch = new Batch();
            appliedAt = System.nanoTime();
        }

        private void confirmed(Batch done) {
            stream.acknowledge(done.end());
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

        /** Waits a little for the batch under way; the one being filled is left to the next run. */
        private void drain() throws InterruptedException {
            progress.stopping();
            long deadline = System.nanoTime() + DRAIN.toNanos();
            while (applier.busy() && System.nanoTime() < deadline) {
                stream.keepAlive();
                applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
            }
        }
    }

    /** By source table. */
    private Map<String, Target> targets(Start start, Stop stop) throws InterruptedException {
        var definitions = new Definitions(clickHouse, pipe).all();
        if (definitions.isEmpty()) {
            throw PipeException.fatal(new Problem(
                    "NotSetUp",
                    "pipe " + pipe,
                    "no table definitions are recorded in " + clickHouse.object(),
                    "Run setup first"));
        }
        if (definitions.stream().anyMatch(definition -> definition.engine().appendOnly())) {
            awaitFormerInserts(stop);
        }
        return definitions.stream()
                .map(definition -> target(definition, start.offset().lsn()))
                .collect(Collectors.toMap(Target::source, Function.identity()));
    }

    private Target target(TableDefinition definition, Lsn from) {
        if (!definition.engine().appendOnly()) {
            return new Target(definition, Lsn.ZERO, null);
        }
        var boundary = definition.boundary() == null ? Lsn.ZERO : Lsn.parse(definition.boundary());
        var greatest = clickHouse
                .query(
                        "SELECT toString(max(" + SystemColumns.VERSION + ")) AS version FROM "
                                + identifier(definition.target()) + " WHERE " + SystemColumns.VERSION
                                + " >= {from:UInt128}",
                        Map.of("from", new Version(from, 0).toString()))
                .getFirst()
                .get("version");
        return new Target(definition, boundary, Version.parse((String) greatest));
    }

    /**
     * An insert whose client vanished may go on in ClickHouse. What it stores must be there before the greatest stored version is
     * asked for.
     */
    private void awaitFormerInserts(Stop stop) throws InterruptedException {
        long deadline = System.nanoTime() + FORMER_INSERTS.toNanos();
        while (formerInsertRuns()) {
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
                    .query(
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

    private Function<Relation, Optional<TableWriter>> writers(Map<String, Target> targets) {
        return relation -> {
            var target = Optional.ofNullable(targets.get(relation.toString()));
            return target.map(known -> writer(relation, known));
        };
    }

    private TableWriter writer(Relation relation, Target target) {
        var excluded = pipe.mappings().stream()
                .filter(mapping -> mapping.source().equals(target.source()))
                .flatMap(mapping -> mapping.excludedColumns().stream())
                .collect(Collectors.toSet());
        var shape = Shape.of(relation, target, Set.copyOf(excluded), () -> sourceTable(relation));
        if (shape.problem() != null) {
            LOG.warn("{}", shape.problem().sentence());
        }
        progress.problem(target, shape.problem());
        return new TableWriter(target, relation, shape);
    }

    private Optional<SourceTable> sourceTable(Relation relation) {
        try (var connection = postgres.connect("changed table")) {
            return Catalogue.table(connection, relation.schema(), relation.name());
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "table " + relation);
        }
    }
}
