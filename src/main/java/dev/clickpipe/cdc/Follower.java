package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.ChangeSource;
import dev.clickpipe.postgres.PgOutputMessage.Commit;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The loop between stream and ClickHouse, during one connection. For one thread. */
final class Follower {
    private static final Logger LOG = LoggerFactory.getLogger(Follower.class);

    /**
     * Encoded rows in a batch, in bytes; a single transaction may add as much again. Two batches of that size, in arrays that grow
     * by doubling, are half the heap.
     */
    private static final long BATCH_BYTES =
            Math.clamp(Runtime.getRuntime().maxMemory() / 24, 1024 * 1024, 32 * 1024 * 1024);

    /** Messages read without a look at anything else. */
    private static final int BURST = 500;

    private static final Duration LONGEST_PAUSE = Duration.ofMillis(20);
    /** What was committed is to be seen in the catalogue after this time. */
    private static final Duration COMMIT_PATIENCE = Duration.ofSeconds(10);
    /** A stop waits this long for the batch under way. */
    private static final Duration DRAIN = Duration.ofSeconds(4);
    /** A Postgres that shuts down waits for us; we don't let it wait longer than this for ClickHouse. */
    private static final Duration SHUTDOWN_PATIENCE = Duration.ofSeconds(5);

    private final ChangeSource source;
    private final Applier applier;
    private final Changes changes;
    private final Agenda begun;
    private final AgendaWatch watch;
    private final BooleanSupplier over;
    private final boolean confirms;
    private final PostgresClient postgres;
    private final Connection catalogue;
    private final SourceMonitor monitor;
    private final Progress progress;
    private final long batchRows;
    private final long interval;
    private final long idleInterval;
    /** As they were announced on this connection, by OID. */
    private final Map<Long, Relation> announced = new HashMap<>();

    /** An announcement that waits until everything before it is in ClickHouse; null when none does. */
    private Relation held;

    /** Since when the announcement is not what the catalogue says; 0 when it is. */
    private long unexplainedSince;

    private Batch batch = new Batch();
    private long appliedAt;
    private Duration pause = Duration.ZERO;
    /** When a server that shuts down began to wait for us; 0 while none does. */
    private long awaitedSince;

    /**
     * @param begun by which the connection goes; what is due besides ends it
     * @param confirms whether what is in ClickHouse is acknowledged
     * @param over ends the connection besides
     * @param catalogue of the source, where announcements are explained
     * @param idleInterval where no rows come, progress is recorded and acknowledged this often
     */
    Follower(
            Pipe pipe,
            PostgresClient postgres,
            Connection catalogue,
            ChangeSource source,
            Applier applier,
            Changes changes,
            Agenda begun,
            AgendaWatch watch,
            boolean confirms,
            BooleanSupplier over,
            SourceMonitor monitor,
            Progress progress,
            Duration idleInterval) {
        this.postgres = postgres;
        this.catalogue = catalogue;
        this.source = source;
        this.applier = applier;
        this.changes = changes;
        this.begun = begun;
        this.watch = watch;
        this.confirms = confirms;
        this.over = over;
        this.monitor = monitor;
        this.progress = progress;
        this.batchRows = pipe.settings().pullBatchSize();
        this.interval =
                Duration.ofSeconds(pipe.settings().syncIntervalSeconds()).toNanos();
        this.idleInterval = idleInterval.toNanos();
        this.appliedAt = System.nanoTime() - this.idleInterval;
    }

    void follow(Stop stop) throws InterruptedException {
        while (!stop.requested() && !source.ended() && !watch.isDue(source.acknowledged()) && !over.getAsBoolean()) {
            monitor.throwFailure();
            applier.poll().ifPresent(this::confirmed);
            if (!applier.busy() && due()) {
                apply();
            }
            letGoOfShutdown();
            applier.letGoOfSilence();
            if (full()) {
                source.keepAlive();
                applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
            } else {
                read(stop);
            }
        }
        drain();
    }

    /** Reads on until something else is to be looked at. */
    private void read(Stop stop) throws InterruptedException {
        for (int i = 0; i < BURST; i++) {
            var message = held != null ? held : source.poll();
            if (message == null) {
                pause(stop);
                return;
            }
            pause = Duration.ZERO;
            if (message instanceof Relation relation) {
                announce(relation);
                return;
            }
            changes.accept(message, batch);
            if (full() || message instanceof Commit && !applier.busy() && due()) {
                return;
            }
        }
    }

    private void pause(Stop stop) throws InterruptedException {
        progress.pending(oldestPending());
        stop.await(pause);
        var longer = pause.plusMillis(1);
        pause = longer.compareTo(LONGEST_PAUSE) < 0 ? longer : LONGEST_PAUSE;
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
            source.keepAlive();
            applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
        }
    }

    private void take(Relation relation, List<TableDefinition> builds, boolean followed) throws InterruptedException {
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
            source.keepAlive();
            Thread.sleep(LONGEST_PAUSE);
        }
    }

    /** Asks the source, which may be ahead of the stream, and never is behind it for long. */
    private boolean isFollowed(List<TableDefinition> builds) throws InterruptedException {
        var now = whileAlive(source, () -> {
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
        if (source.inTransaction() || batch.incomplete()) {
            return false;
        }
        long now = System.nanoTime();
        if (batch.isEmpty()) {
            return confirms
                    && source.position().compareTo(source.acknowledged()) > 0
                    && (source.awaitsAcknowledgement() || isAwaited() || now - appliedAt >= idleInterval);
        }
        return now - batch.firstChangeAt() >= interval || source.awaitsAcknowledgement();
    }

    /** Whether something becomes due with the position that was read. */
    private boolean isAwaited() {
        return watch.awaited().compareTo(source.acknowledged()) > 0
                && watch.awaited().compareTo(source.position()) <= 0;
    }

    /**
     * Whether nothing more may be read into the batch. A transaction is split only when it fills a batch by itself. Beside a batch
     * under way that has a large value no other one is read.
     */
    private boolean full() {
        return batch.fenced()
                || applier.busy() && applier.batch().bytes() > 2 * BATCH_BYTES
                || !batch.incomplete()
                        && (source.inTransaction()
                                ? batch.rowsOfTransaction() >= batchRows || batch.bytesOfTransaction() >= BATCH_BYTES
                                : batch.rows() >= batchRows || batch.bytes() >= BATCH_BYTES);
    }

    private void apply() {
        batch.end(source.position());
        applier.apply(batch);
        batch = new Batch();
        appliedAt = System.nanoTime();
    }

    private void confirmed(Batch done) {
        if (confirms) {
            source.acknowledge(done.end());
        }
        progress.confirmed(source.acknowledged(), oldestPending());
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
        if (!source.shutsDown() || source.position().compareTo(source.acknowledged()) <= 0) {
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
        long deadline = System.nanoTime() + DRAIN.toNanos();
        while (applier.busy() && System.nanoTime() < deadline) {
            source.keepAlive();
            applier.await(LONGEST_PAUSE).ifPresent(this::confirmed);
        }
    }

    /** Does what takes its time while the server hears from us. */
    static <T> T whileAlive(ChangeSource source, Callable<T> work) throws InterruptedException {
        var task = new FutureTask<>(work);
        Thread.ofVirtual().name("agenda").start(task);
        try {
            while (true) {
                source.keepAlive();
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
}
