package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Held by who decides which tables a pipe has: Setup, and whoever swaps. An advisory lock of a session on the source, so that
 * it ends with its holder, however that ends (PostgreSQL documentation, 13.3.5 "Advisory Locks").
 */
public final class PipeLock implements AutoCloseable {
    private static final Duration BETWEEN_TRIES = Duration.ofMillis(500);

    private final Connection connection;

    private PipeLock(Connection connection) {
        this.connection = connection;
    }

    /**
     * Empty while another one holds it.
     *
     * @throws PipeException classified
     */
    public static Optional<PipeLock> tryTake(PostgresClient client, Pipe pipe) {
        var connection = client.connect("decides on tables");
        boolean taken = false;
        try (var query = connection.prepareStatement(
                "SELECT pg_try_advisory_lock(hashtextextended('clickpipe tables of ' || ?, 0))")) {
            query.setString(1, pipe.uid());
            try (var row = query.executeQuery()) {
                row.next();
                taken = row.getBoolean(1);
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, client.object());
        } finally {
            if (!taken) {
                close(connection);
            }
        }
        return taken ? Optional.of(new PipeLock(connection)) : Optional.empty();
    }

    /**
     * Waits for it.
     *
     * @param waiting told while another one holds it
     * @return empty when stopped
     * @throws PipeException classified
     */
    public static Optional<PipeLock> take(PostgresClient client, Pipe pipe, Consumer<Problem> waiting, Stop stop)
            throws InterruptedException {
        for (boolean told = false; ; ) {
            var lock = tryTake(client, pipe);
            if (lock.isPresent()) {
                return lock;
            }
            if (!told) {
                waiting.accept(new Problem(
                        "AnotherWorkerRuns",
                        "pipe " + pipe,
                        "another worker of this pipe sets it up or swaps its tables",
                        "It goes on when that worker ends"));
                told = true;
            }
            if (stop.await(BETWEEN_TRIES)) {
                return Optional.empty();
            }
        }
    }

    @Override
    public void close() {
        close(connection);
    }

    private static void close(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // the lock goes with the session, which is gone
        }
    }
}
