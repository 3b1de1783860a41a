package dev.clickpipe.cdc;

import dev.clickpipe.testbed.Postgres;
import java.sql.SQLException;

/** Adds rows to a table, one a transaction, and never takes any away. */
final class Writer implements AutoCloseable {
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
                }
            } catch (SQLException e) {
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
