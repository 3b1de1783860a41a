package dev.clickpipe.testbed;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * Sessions with a database that are used again: the server starts a process for each, which costs more than most statements. What a
 * statement leaves in its session is discarded before the next; a session in which one failed ends. Thread-safe.
 */
public final class Sessions implements AutoCloseable {
    private final Deque<Connection> idle = new ConcurrentLinkedDeque<>();

    @FunctionalInterface
    interface Work<T> {
        T on(Connection connection) throws SQLException;
    }

    /** @param postgres always the same */
    <T> T use(Postgres postgres, Work<T> work) throws SQLException {
        var connection = take(postgres);
        boolean done = false;
        try {
            T result = work.on(connection);
            done = true;
            return result;
        } finally {
            if (done) {
                idle.push(connection);
            } else {
                connection.close();
            }
        }
    }

    private Connection take(Postgres postgres) throws SQLException {
        for (var connection = idle.poll(); connection != null; connection = idle.poll()) {
            try (var statement = connection.createStatement()) {
                statement.execute("DISCARD ALL");
                return connection;
            } catch (SQLException e) { // the server has ended it
                connection.close();
            }
        }
        return postgres.session();
    }

    @Override
    public void close() throws SQLException {
        for (var connection = idle.poll(); connection != null; connection = idle.poll()) {
            connection.close();
        }
    }
}
