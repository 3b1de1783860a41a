package dev.clickpipe.snapshot;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.ChunkReader;
import dev.clickpipe.postgres.SnapshotSession;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One reader of a session: chunk after chunk, over one connection. The next chunk is read while ClickHouse stores the last rows of
 * the one before. A failure to read costs the connection, as the state of that is unknown. For one thread.
 */
final class Reader {
    private static final Logger LOG = LoggerFactory.getLogger(Reader.class);
    private static final Duration BETWEEN_TRIES = Duration.ofSeconds(1);
    /** How long a table that can only be loaded in this session waits in it for ClickHouse to come back. */
    private static final Duration PATIENCE_IN_SESSION = Duration.ofMinutes(2);

    private final SnapshotSession session;
    private final Schedule schedule;
    private final Progress progress;
    private final Stop stop;
    private final ExecutorService inserts = Executors.newVirtualThreadPerTaskExecutor();
    private final Function<ExecutorService, ChunkLoader> connect;

    /** Null while there is no connection. */
    private ChunkLoader loader;

    /** @param connect makes a loader that works on these threads */
    Reader(
            SnapshotSession session,
            Schedule schedule,
            Progress progress,
            Stop stop,
            Function<ExecutorService, ChunkLoader> connect) {
        this.session = session;
        this.schedule = schedule;
        this.progress = progress;
        this.stop = stop;
        this.connect = connect;
    }

    /**
     * A chunk on its way to ClickHouse.
     *
     * @param since when it was begun first, by {@link System#nanoTime}
     */
    private record Copy(Schedule.Work work, Progress.Chunk chunk, long since, Future<ChunkReader.Outcome> loaded) {}

    /** Returns when there is nothing more to read in this session; what failed is in the schedule. */
    void run() {
        try (inserts) {
            readAll();
        } finally {
            disconnect();
        }
    }

    private void readAll() {
        try {
            Copy before = null;
            for (var work = schedule.next(); work.isPresent() && !stop.requested(); work = schedule.next()) {
                var chunk = progress.begin(
                        work.get().table().definition.build(), work.get().entry());
                var copy = read(work.get(), chunk, System.nanoTime());
                schedule.read(work.get());
                finish(before);
                before = copy;
                if (loader == null) {
                    finish(before);
                    before = null;
                }
            }
            finish(before);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // so that what is on its way is interrupted, and not waited for
        }
    }

    /** Returns when its rows are read, or can't be. */
    private Copy read(Schedule.Work work, Progress.Chunk chunk, long since) throws InterruptedException {
        try {
            if (loader == null) {
                loader = connect.apply(inserts);
            }
        } catch (RuntimeException e) {
            return new Copy(work, chunk, since, CompletableFuture.failedFuture(e));
        }
        var copy = new Copy(work, chunk, since, loader.load(work, chunk));
        if (loader.isBroken()) {
            disconnect();
        }
        return copy;
    }

    /** Waits until the chunk is in ClickHouse and in the ledger, or can't be. */
    private void finish(Copy copy) throws InterruptedException {
        for (var current = copy; current != null; ) {
            current = ended(current);
        }
    }

    /** @return another try at it; null: there is none */
    private Copy ended(Copy copy) throws InterruptedException {
        try {
            var outcome = copy.loaded.get();
            switch (outcome) {
                case READ, DROPPED -> loaded(copy);
                case REWRITTEN, CHANGED -> {
                    LOG.info(
                            outcome == ChunkReader.Outcome.CHANGED
                                    ? "{} has other columns now: it goes on when the target has them"
                                    : "{} was rewritten (TRUNCATE, VACUUM FULL, CLUSTER, ALTER TABLE): it starts over",
                            copy.work.table().definition.source());
                    progress.failed(copy.chunk, null);
                    schedule.rewritten(copy.work);
                }
            }
            return null;
        } catch (ExecutionException e) {
            if (mayRepeat(copy, e.getCause()) && !stop.await(BETWEEN_TRIES)) {
                return read(copy.work, copy.chunk, copy.since);
            }
            failed(copy, e.getCause());
            return null;
        }
    }

    /**
     * Whether the chunk is tried again in this session: where another one would begin the table anew, and rows that are stored
     * already are known by the insert's token.
     */
    private boolean mayRepeat(Copy copy, Throwable e) {
        var table = copy.work.table();
        if (!table.repeatable
                || !(e instanceof PipeException known && known.retryable())
                || System.nanoTime() - copy.since > PATIENCE_IN_SESSION.toNanos()
                || !session.alive()) {
            return false;
        }
        LOG.warn("{}: tried again in the same session: {}", table.definition.source(), e.getMessage());
        return true;
    }

    private void loaded(Copy copy) {
        progress.loaded(copy.chunk);
        schedule.loaded(copy.work);
    }

    private void failed(Copy copy, Throwable e) {
        if (stop.requested()) {
            progress.failed(copy.chunk, null); // cut off by the stop, wherever it was
            return;
        }
        var failure = e instanceof PipeException known
                ? known
                : PipeException.fatal(
                        new Problem(
                                "InternalError",
                                "table " + copy.work.table().definition.source(),
                                e.toString(),
                                "Please report it with the log"),
                        e);
        LOG.warn(failure.getMessage(), failure == e ? null : e);
        progress.failed(copy.chunk, failure.problems().getFirst());
        schedule.failed(copy.work, failure);
    }

    private void disconnect() {
        if (loader != null) {
            loader.close();
            loader = null;
        }
    }
}
