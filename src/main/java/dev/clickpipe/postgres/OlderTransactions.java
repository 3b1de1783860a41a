package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Waits for the transactions that are writing now to end.
 *
 * <p>A walsender keeps in its cache whether a table is published. A transaction that began to write before a table was
 * published, and commits after that, makes it look at an older catalogue, and it may keep what it saw there: it then leaves out
 * the table's changes for as long as it runs. A walsender that starts behind all such transactions can't.
 */
public final class OlderTransactions {
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(200);
    private static final Duration FIRST_REPORT = Duration.ofSeconds(1);
    private static final Duration BETWEEN_REPORTS = Duration.ofSeconds(5);

    /** A transaction that writes holds a lock on its own id from before its first change to its end, a prepared one too. */
    private static final String RUNNING = """
            SELECT l.transactionid::text, l.pid, a.application_name, a.usename, a.state,
                   extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, p.gid
            FROM pg_locks l
            LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            LEFT JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
            WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
                AND coalesce(a.datname, p.database, current_database()) = current_database()
            """;

    private OlderTransactions() {}

    /**
     * Waits until every transaction of the database that is writing now has ended.
     *
     * @param object what is being made, for messages
     * @param waiting told every few seconds for whom it waits
     * @return a WAL position behind all of them; empty when stopped
     */
    public static Optional<Lsn> awaitEnd(PostgresClient client, String object, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        try (var connection = client.connect("waits for older transactions")) {
            var older = running(connection, object);
            var nextReport = System.nanoTime() + FIRST_REPORT.toNanos();
            while (!older.isEmpty()) {
                if (stop.await(BETWEEN_LOOKS)) {
                    return Optional.empty();
                }
                older.keySet().retainAll(running(connection, object).keySet());
                if (!older.isEmpty() && System.nanoTime() >= nextReport) {
                    waiting.accept(older.values().iterator().next());
                    nextReport = System.nanoTime() + BETWEEN_REPORTS.toNanos();
                }
            }
            try (var query = connection.createStatement();
                    var row = query.executeQuery("SELECT pg_current_wal_insert_lsn()")) {
                row.next();
                return Optional.of(Lsn.parse(row.getString(1)));
            }
        }
    }

    /** By transaction id, with what to say of it. */
    private static Map<String, Problem> running(Connection connection, String object) throws SQLException {
        var running = new HashMap<String, Problem>();
        try (var query = connection.createStatement();
                var rows = query.executeQuery(RUNNING)) {
            while (rows.next()) {
                running.put(
                        rows.getString(1),
                        rows.getObject(2) == null
                                ? Blocked.prepared(object, "waits for the prepared transaction " + rows.getString(7))
                                : Blocked.transaction(
                                        object,
                                        rows.getInt(2),
                                        rows.getString(3),
                                        rows.getString(4),
                                        rows.getString(5),
                                        rows.getObject(6, Long.class)));
            }
        }
        return running;
    }
}
