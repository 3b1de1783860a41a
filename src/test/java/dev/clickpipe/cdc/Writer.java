package dev.clickpipe.cdc;

import dev.clickpipe.testbed.Postgres;
import java.sql.SQLException;
import java.time.Duration;

/** Adds rows to a table, one a transaction, and never takes any away. */
final class Writer implements AutoCloseable {
    /** Without it the stream would be busy with this table alone. */
    private static final Duration THINK_TIME = Duration.ofMillis(3);

    private final Thread thread;
    private volatile boolean stop;
    private volatile int rows;

    Writer(Postgres postgres, String table) {
        thread = Thread.ofVirtual().start(() -> {
            try (var connection = postgres.connect();
                    var statement = connection.createStatement()) {
                while (!stop) {
                    statement.execute("INSERT INTO " + table + " (v) VALUES ('new')");
                    rows = rows + 1;
                    Thread.sleep(THINK_TIME);
                }
            } catch (SQLException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    int rows() {
        return rows;
    }

    @Override
    public void close() {
        stop = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
