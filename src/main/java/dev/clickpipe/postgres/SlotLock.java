package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.sql.Connection;
import java.sql.SQLException;

/**
 * Lets one worker read a slot: an advisory lock of the source (PostgreSQL documentation, 13.3.5), until the connection's end. A slot
 * that is read through SQL is free between two reads, and keeps nobody out by itself.
 */
final class SlotLock {
    private SlotLock() {}

    /** @throws PipeException retryable: another worker has it */
    static void take(Connection connection, String slot) throws SQLException {
        try (var statement = connection.createStatement();
                var row = statement.executeQuery("SELECT pg_try_advisory_lock(hashtextextended('clickpipe reads ' || "
                        + literal(slot) + ", 0))")) {
            row.next();
            if (!row.getBoolean(1)) {
                throw PipeException.retryable(
                        new Problem(
                                "SlotInUse",
                                "replication slot " + slot,
                                "another worker reads it",
                                "If it is not this pipe's former worker on its way out, stop it: its connections are in"
                                        + " pg_stat_activity"),
                        null);
            }
        }
    }

    /** For where the simple protocol takes no parameters. */
    static String literal(String value) {
        return "'" + value.replace("'", "''") + "'";
    }
}
