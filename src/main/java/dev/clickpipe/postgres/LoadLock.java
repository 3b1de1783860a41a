package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;

/**
 * Keeps loading a chunk into a target and altering that target apart: an advisory lock of the source (PostgreSQL documentation,
 * 13.3.5), that each chunk shares, for as long as its transaction takes.
 */
public final class LoadLock {
    private static final String KEY = "(hashtextextended('clickpipe columns of ' || ?, 0))";

    private LoadLock() {}

    /** Waits until no chunk of the build is loaded, and keeps it so until {@link #release}, or the connection's end. */
    public static void take(Connection connection, String build) throws SQLException {
        execute(connection, "SELECT pg_advisory_lock" + KEY, build);
    }

    public static void release(Connection connection, String build) throws SQLException {
        execute(connection, "SELECT pg_advisory_unlock" + KEY, build);
    }

    /** Waits until the build's target is not altered, and keeps it so until the transaction ends. */
    public static void share(Connection connection, String build) throws SQLException {
        execute(connection, "SELECT pg_advisory_xact_lock_shared" + KEY, build);
    }

    private static void execute(Connection connection, String sql, String build) throws SQLException {
        try (var query = connection.prepareStatement(sql)) {
            query.setString(1, build);
            query.execute();
        }
    }
}
