package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.cdc.Batch.Truncation;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.Manifests.Manifest;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Offsets.Offset;
import dev.clickpipe.clickhouse.Patience;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings batches to ClickHouse, one at a time, while the reading thread goes on. A batch is done when all its rows are confirmed
 * and the offset is recorded. For one thread; the work is done on others.
 */
final class Applier implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Applier.class);

    /** Tables of one batch inserted at the same time. */
    private static final int PARALLEL_TABLES = 8;

    private static final Duration PATIENCE_WHEN_ABANDONED = Duration.ofSeconds(2);

    private final ClickHouseClient clickHouse;
    private final Optional<Offsets> offsets;
    private final Offset start;
    private final UnchangedValues unchanged;
    private final Progress progress;
    private final Patience patience;
    /** Null when no target is append-only. */
    private final Manifests.Tenure tenure;

    private final Map<String, String> settings;
    private final ExecutorService inserts = Executors.newFixedThreadPool(
            PARALLEL_TABLES, Thread.ofVirtual().name("insert-", 0).factory());

    private Lsn recorded;
    /** When the last statement was answered, or the batch begun. */
    private volatile long movedAt;

    private long began;
    private Batch batch;
    private FutureTask<Void> work;
    private Thread thread;

    /**
     * @param offsets where to record how far it is; empty when this must not be recorded
     * @param start the offset recorded last
     * @param tenure under which append-only targets are written; null when there are none
     * @param comment by which ClickHouse's process list shows these inserts, {@code log_comment}
     */
    Applier(
            ClickHouseClient clickHouse,
            Optional<Offsets> offsets,
            Offset start,
            Manifests.Tenure tenure,
            String comment,
            UnchangedValues unchanged,
            Patience patience,
            Progress progress) {
        this.clickHouse = clickHouse;
        this.offsets = offsets;
        this.start = start;
        this.recorded = start.lsn();
        this.unchanged = unchanged;
        this.patience = patience;
        this.progress = progress;
        this.tenure = tenure;
        this.settings = settings(comment);
    }

    private static Map<String, String> settings(String comment) {
        var settings = new HashMap<>(TypeMapping.INSERT_SETTINGS);
        settings.put("log_comment", comment);
        // Histories rely on it that rows are stored in the order they are sent: one block if possible, and no threads.
        settings.put("max_insert_block_size", "100000000");
        settings.put("max_insert_threads", "1");
        // With a token a block is known again, here and behind materialized views, whatever the user's profile says.
        settings.put("insert_deduplicate", "1");
        settings.put("deduplicate_blocks_in_dependent_materialized_views", "1");
        return Map.copyOf(settings);
    }

    /** Whether a batch is under way, or done and not taken. */
    boolean busy() {
        return work != null;
    }

    private Duration silence() {
        return busy() ? Duration.ofNanos(System.nanoTime() - movedAt) : Duration.ZERO;
    }

    /** A connection that is silently dead looks like an insert that takes its time. What is sent again does no harm. */
    void letGoOfSilence() {
        if (silence().compareTo(patience.now()) > 0) {
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

    /** The batch under way; null when none is. */
    Batch batch() {
        return batch;
    }

    /** Starts to apply a batch; only when not {@link #busy}. */
    void apply(Batch next) {
        batch = next;
        began = System.nanoTime();
        movedAt = began;
        work = new FutureTask<>(() -> {
            applyAll(next);
            return null;
        });
        thread = Thread.ofVirtual().name("apply").start(work);
    }

    /**
     * Waits for the batch under way, but not for long.
     *
     * @return the batch when it is done; only once
     * @throws PipeException or {@link TableFailure}: it failed, and any part of it may be stored
     */
    Optional<Batch> await(Duration atMost) throws InterruptedException {
        if (work == null) {
            return Optional.empty();
        }
        try {
            work.get(atMost.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            return Optional.empty();
        } catch (ExecutionException e) {
            throw unwrapped(e);
        }
        var done = batch;
        if (!done.isEmpty()) {
            patience.sufficed(Duration.ofNanos(System.nanoTime() - began));
        }
        batch = null;
        work = null;
        return Optional.of(done);
    }

    /** {@link #await} without waiting. */
    Optional<Batch> poll() throws InterruptedException {
        return work != null && work.isDone() ? await(Duration.ZERO) : Optional.empty();
    }

    private void applyAll(Batch next) throws InterruptedException {
        long began = System.nanoTime();
        var tokens = announce(next);
        movedAt = System.nanoTime();
        insert(next, tokens);
        movedAt = System.nanoTime();
        next.truncations().forEach(this::truncate);
        if (offsets.isPresent() && next.end().compareTo(recorded) > 0) {
            // Before Postgres is told: the offset may be ahead of the slot, never behind it.
            offsets.get().record(start.at(next.end()));
            recorded = next.end();
        }
        if (!next.isEmpty()) {
            progress.applied(next, Duration.ofNanos(System.nanoTime() - began));
        }
    }

    /**
     * Records what goes to append-only targets before it does.
     *
     * @return tokens by build
     */
    private Map<String, String> announce(Batch next) {
        var manifests = next.tables().stream()
                .filter(rows -> rows.count() > 0 && rows.target().resendable())
                .map(this::manifest)
                .toList();
        if (manifests.isEmpty()) {
            return Map.of();
        }
        tenure.record(manifests);
        return manifests.stream().collect(Collectors.toMap(Manifest::build, Manifest::token));
    }

    private Manifest manifest(Rows rows) {
        var build = rows.target().build();
        var last = tenure.last(build);
        if (last == null) {
            return new Manifest(build, "0", rows.last().toString());
        }
        var end = Version.parse(last.end());
        if (rows.first().compareTo(end) > 0) {
            return new Manifest(build, last.end(), rows.last().toString());
        }
        if (rows.last().equals(end)) {
            return last;
        }
        throw new TableFailure(
                rows.target().definition(),
                new Problem(
                        "BatchChanged",
                        "table " + rows.target().source(),
                        "the changes up to " + end + " were sent in one insert, and now come only up to " + rows.last(),
                        null));
    }

    private void insert(Batch next, Map<String, String> tokens) throws InterruptedException {
        var running = new ArrayList<Future<?>>();
        for (var rows : next.tables()) {
            if (rows.count() > 0) {
                running.add(inserts.submit(
                        () -> insert(rows, tokens.get(rows.target().build()))));
            }
        }
        ExecutionException failed = null;
        for (var one : running) {
            try {
                one.get();
            } catch (ExecutionException e) {
                failed = failed == null ? e : failed;
            }
        }
        if (failed != null) {
            throw unwrapped(failed);
        }
    }

    /** @param token null where a row sent again is told by its version */
    private void insert(Rows rows, String token) {
        TableFailure.of(rows.target().definition(), () -> store(rows, token));
    }

    private long store(Rows rows, String token) {
        var mine = new HashMap<>(settings);
        // Without a token a row sent again is told by its version. By its block's hash it would be missed after a
        // TRUNCATE in between; a random token, unlike insert_deduplicate = 0, keeps every version from looking at that.
        mine.put("insert_deduplication_token", token == null ? UUID.randomUUID().toString() : token);
        return clickHouse.insert(
                new ClickHouseClient.Insert(rows.target().name(), rows.target().insertColumns(), mine, out -> {
                    unchanged.write(rows, out, () -> movedAt = System.nanoTime());
                }));
    }

    private void truncate(Truncation truncation) {
        TableFailure.of(truncation.target().definition(), () -> {
            remove(truncation);
            return truncation;
        });
    }

    /**
     * Removes the rows that were there before, by their versions. Not with TRUNCATE: rows of later transactions may be there, when
     * the stream is read again after a crash or the table was loaded after it was truncated, and a statement whose client vanished
     * may run at any time.
     */
    private void remove(Truncation truncation) {
        clickHouse.execute("ALTER TABLE " + identifier(truncation.target().name()) + " DELETE WHERE "
                + SystemColumns.VERSION + " < toUInt128('" + truncation.version() + "') SETTINGS mutations_sync = 1");
    }

    static RuntimeException unwrapped(ExecutionException e) {
        if (e.getCause() instanceof RuntimeException cause) {
            return cause;
        }
        if (e.getCause() instanceof Error error) {
            throw error;
        }
        return new IllegalStateException(e.getCause());
    }

    /** Abandons the batch under way, if there is one; what of it is stored will be sent again, or known to be there. */
    @Override
    public void close() {
        inserts.shutdownNow();
        if (work == null) {
            return;
        }
        work.cancel(true);
        try {
            // No two runs at the same time, if it can be helped.
            if (!thread.join(PATIENCE_WHEN_ABANDONED)
                    || !inserts.awaitTermination(PATIENCE_WHEN_ABANDONED.toMillis(), TimeUnit.MILLISECONDS)) {
                LOG.warn("an abandoned insert does not end; ClickHouse is asked for it before the next run");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
