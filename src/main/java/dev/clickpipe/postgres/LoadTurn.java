package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * A worker's turn to open a {@link SnapshotSession} and to plan what is read in it. Of a pipe's workers one at a time has it: so
 * each table is planned once, whoever opens a session later has the later boundary, and one temporary slot is enough for all. All
 * of it is locks of one connection, which becomes the session's; what a worker held that vanished, Postgres lets go.
 */
public final class LoadTurn implements AutoCloseable {
    private static final Duration BETWEEN_TRIES = Duration.ofSeconds(1);

    private final PostgresClient client;
    private final Pipe pipe;
    private final Connection connection;
    private final boolean alone;
    /** Whether the connection is a session's by now. */
    private boolean handedOver;

    private boolean over;

    private LoadTurn(PostgresClient client, Pipe pipe, Connection connection, boolean alone) {
        this.client = client;
        this.pipe = pipe;
        this.connection = connection;
        this.alone = alone;
    }

    /**
     * Waits for it.
     *
     * @param wantsToBeAlone whether to wait until all sessions of this pipe's other workers are over, too
     * @param waiting told now and then on whom it waits
     * @return empty when stopped
     * @throws PipeException classified
     */
    public static Optional<LoadTurn> take(
            PostgresClient client, Pipe pipe, boolean wantsToBeAlone, Consumer<Problem> waiting, Stop stop)
            throws InterruptedException {
        var connection = client.connectImpatiently("snapshot");
        LoadTurn turn = null;
        try {
            var one = new AdvisoryLock("clickpipe turn of " + pipe.uid());
            while (!one.tryTake(connection)) {
                waiting.accept(another(pipe, one.others(connection)));
                if (stop.await(BETWEEN_TRIES)) {
                    return Optional.empty();
                }
            }
            var load = load(pipe);
            boolean alone = load.tryTake(connection);
            while (!alone && wantsToBeAlone) {
                waiting.accept(another(pipe, load.others(connection)));
                if (stop.await(BETWEEN_TRIES)) {
                    return Optional.empty();
                }
                alone = load.tryTake(connection);
            }
            load.share(connection);
            if (alone) {
                load.release(connection);
            }
            turn = new LoadTurn(client, pipe, connection, alone);
            return Optional.of(turn);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "snapshot of " + client.object());
        } finally {
            if (turn == null) {
                closeQuietly(connection);
            }
        }
    }

    /** Held, shared, by all connections of all sessions of a pipe. */
    static AdvisoryLock load(Pipe pipe) {
        return new AdvisoryLock("clickpipe load of " + pipe.uid());
    }

    /** Held, shared, by all connections of one session. */
    static AdvisoryLock session(String id) {
        return new AdvisoryLock("clickpipe session " + id);
    }

    static AdvisoryLock chunk(String chunk) {
        return new AdvisoryLock("clickpipe chunk " + chunk);
    }

    /** Whether no other session of this pipe was open when this turn began; none has been opened since. */
    public boolean alone() {
        return alone;
    }

    /**
     * Whether nobody reads in that session any more, nor ever will.
     *
     * @param session an id; null: of a worker that recorded none
     */
    public boolean isOver(String session) {
        return session == null ? alone : isFree(session(session));
    }

    /** Whether no session reads the chunk. */
    public boolean isUnclaimed(String chunk) {
        return isFree(chunk(chunk));
    }

    private boolean isFree(AdvisoryLock lock) {
        try {
            boolean free = lock.tryTake(connection);
            if (free) {
                lock.release(connection);
            }
            return free;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, client.object());
        }
    }

    /** The other workers' sessions, as what this one waits for. */
    public Problem others() {
        try {
            return another(pipe, load(pipe).others(connection));
        } catch (SQLException e) {
            throw PostgresErrors.of(e, client.object());
        }
    }

    /**
     * A former worker may still read and insert: its pod is going, or the network split. Postgres knows, as each of its
     * connections holds the lock.
     */
    private static Problem another(Pipe pipe, String pids) {
        return new Problem(
                Problem.ANOTHER_LOAD_RUNS,
                "pipe " + pipe,
                "another worker of this pipe still reads the source" + (pids == null ? "" : ", with pid " + pids),
                "It goes on when that worker's connections end; if that worker is gone for good, end them with pg_terminate_backend");
    }

    /**
     * Opens a session. Where changes are streamed afterwards that waits for every transaction that is writing now.
     *
     * @param waiting told every few seconds on whom it waits
     * @return empty when stopped
     * @throws PipeException classified
     */
    public Optional<SnapshotSession> open(Consumer<Problem> waiting, Stop stop) throws InterruptedException {
        try {
            var id = UUID.randomUUID().toString();
            session(id).share(connection);
            var session = SnapshotSession.open(client, pipe, id, connection, waiting, stop);
            handedOver = session.isPresent();
            return session;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "snapshot of " + client.object());
        }
    }

    /** The next worker has its turn; a session that was opened stays. */
    @Override
    public void close() {
        if (over) {
            return;
        }
        over = true;
        if (!handedOver) {
            closeQuietly(connection);
            return;
        }
        try {
            new AdvisoryLock("clickpipe turn of " + pipe.uid()).release(connection);
        } catch (SQLException e) {
            closeQuietly(connection); // nobody else would ever get on; the session's readers will find out
        }
    }

    static void closeQuietly(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // nothing is lost with it
        }
    }
}
