package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;

/**
 * A lock of the source that a connection holds until it lets go or ends, however that ends, and whatever becomes of its
 * transactions (PostgreSQL documentation, 13.3.5 "Advisory Locks").
 *
 * @param name hashed to its key
 */
record AdvisoryLock(String name) {
    private static final String KEY = "(hashtextextended(?, 0))";

    /** Whether this connection has it alone now. */
    boolean tryTake(Connection connection) throws SQLException {
        return "t".equals(text(connection, "SELECT pg_try_advisory_lock" + KEY));
    }

    /** What {@link #tryTake} took. */
    void release(Connection connection) throws SQLException {
        text(connection, "SELECT pg_advisory_unlock" + KEY);
    }

    /** Waits for whoever has it alone. */
    void share(Connection connection) throws SQLException {
        text(connection, "SELECT pg_advisory_lock_shared" + KEY);
    }

    /** The pids of the other connections that have it, and from where they come; null: none has. */
    String others(Connection connection) throws SQLException {
        // A bigint key is shown as its upper half in classid and its lower half in objid (PostgreSQL documentation,
        // 53.13).
        return text(connection, """
                SELECT string_agg(format('%s from %s', l.pid, coalesce(host(a.client_addr), 'this host')), ', ')
                FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
                    AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(?, 0)
                """);
    }

    private String text(Connection connection, String sql) throws SQLException {
        try (var query = connection.prepareStatement(sql)) {
            query.setString(1, name);
            try (var rows = query.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        }
    }
}
