package dev.clickpipe.bench;

import dev.clickpipe.testbed.Postgres;
import java.sql.SQLException;
import java.time.Duration;

/** What a subject costs the source besides CPU: connections, and transactions that hold back its vacuum. */
final class SourceWatch implements AutoCloseable {
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(100);

    private final Postgres postgres;
    private final Thread thread;
    private volatile boolean ended;
    private volatile int backends;
    private volatile double longestTransaction;

    SourceWatch(Postgres postgres) {
        this.postgres = postgres;
        this.thread = Thread.ofVirtual().start(this::watch);
    }

    private void watch() {
        try (var connection = postgres.connect();
                var statement = connection.prepareStatement("""
                        SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
                        FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()
                        """)) {
            while (!ended) {
                try (var row = statement.executeQuery()) {
                    row.next();
                    backends = Math.max(backends, row.getInt(1));
                    longestTransaction = Math.max(longestTransaction, row.getDouble(2));
                }
                Thread.sleep(BETWEEN_LOOKS);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** At most, at any time. */
    int backends() {
        return backends;
    }

    /** In seconds; a walsender's is none. */
    double longestTransaction() {
        return longestTransaction;
    }

    @Override
    public void close() {
        ended = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
