package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * One view of the source's rows, shared by many readers, and the place in the WAL it belongs to: it holds every commit before
 * {@link #boundary}, and none from there on.
 *
 * <p>Where changes are streamed afterwards, that pair comes from the consistent point of a temporary logical slot (PostgreSQL
 * documentation, 47.2.5 "Exported Snapshots"): "the current WAL position" would be none, because a commit is written to the WAL
 * before others see it. The slot goes at once, so that it retains no WAL; what keeps the snapshot is a transaction of this
 * session, which readers import it from.
 *
 * <p>A pipe has one session at a time, whatever pods of it still run: it holds an advisory lock that its readers share.
 *
 * <p>Thread-safe.
 */
public final class SnapshotSession implements AutoCloseable {
    private static final Duration BETWEEN_TRIES = Duration.ofSeconds(1);

    /** Hashed to the key of an advisory lock (PostgreSQL documentation, 13.3.5 "Advisory Locks"). */
    private static final String LOCK_KEY = "hashtextextended('clickpipe load of ' || ?, 0)";

    private final PostgresClient client;
    private final Pipe pipe;
    private final Connection keeper;
    private final String snapshot;
    private final Lsn boundary;
    private final OffsetDateTime takenAt;

    private SnapshotSession(
            PostgresClient client,
            Pipe pipe,
            Connection keeper,
            String snapshot,
            Lsn boundary,
            OffsetDateTime takenAt) {
        this.client = client;
        this.pipe = pipe;
        this.keeper = keeper;
        this.snapshot = snapshot;
        this.boundary = boundary;
        this.takenAt = takenAt;
    }

    /**
     * Opens a session. That waits for a former session of this pipe to end, and where changes are streamed afterwards for
     * every transaction that is writing now.
     *
     * @param waiting told every few seconds on whom it waits
     * @return empty when stopped
     * @throws PipeException classified
     */
    public static Optional<SnapshotSession> open(PostgresClient client, Pipe pipe, Consumer<Problem> waiting, Stop stop)
            throws InterruptedException {
        var keeper = client.connect("snapshot");
        SnapshotSession session = null;
        try {
            if (lockOutOthers(keeper, pipe, waiting, stop)) {
                session = pipe.settings().replicationMode().streams()
                        ? atConsistentPoint(client, pipe, keeper, waiting, stop)
                        : now(client, pipe, keeper);
            }
            return Optional.ofNullable(session);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "snapshot of " + client.object());
        } finally {
            if (session == null) {
                closeQuietly(keeper);
            }
        }
    }

    /** Every commit before this is in the snapshot; those from here on are not. */
    public Lsn boundary() {
        return boundary;
    }

    /** By the source's clock. */
    public OffsetDateTime takenAt() {
        return takenAt;
    }

    /**
     * A connection whose transactions can see the snapshot, for one thread.
     *
     * @throws PipeException classified
     */
    public ChunkReader openReader() {
        var connection = client.connect("initial load");
        try {
            lock(connection, "SELECT pg_advisory_lock_shared(" + LOCK_KEY + ")", pipe);
            return new ChunkReader(connection, snapshot);
        } catch (SQLException e) {
            closeQuietly(connection);
            throw PostgresErrors.of(e, client.object());
        }
    }

    /** Whether readers can still be opened; asks the server. */
    public boolean alive() {
        try {
            return keeper.isValid(10);
        } catch (SQLException e) {
            return false;
        }
    }

    /** Ends the snapshot for readers that have not begun. */
    @Override
    public void close() {
        closeQuietly(keeper);
    }

    /**
     * A former worker may still read and insert: its pod is going, or the network split. Postgres knows, as each of its
     * connections holds the lock.
     */
    private static boolean lockOutOthers(Connection keeper, Pipe pipe, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        while (!lock(keeper, "SELECT pg_try_advisory_lock(" + LOCK_KEY + ")", pipe)) {
            waiting.accept(holder(keeper, pipe));
            if (stop.await(BETWEEN_TRIES)) {
                return false;
            }
        }
        lock(keeper, "SELECT pg_advisory_lock_shared(" + LOCK_KEY + ")", pipe);
        lock(keeper, "SELECT pg_advisory_unlock(" + LOCK_KEY + ")", pipe);
        return true;
    }

    private static boolean lock(Connection connection, String sql, Pipe pipe) throws SQLException {
        try (var query = connection.prepareStatement(sql)) {
            query.setString(1, pipe.uid());
            try (var rows = query.executeQuery()) {
                rows.next();
                return "t".equals(rows.getString(1));
            }
        }
    }

    private static Problem holder(Connection keeper, Pipe pipe) throws SQLException {
        // A bigint key is shown as its upper half in classid and its lower half in objid (PostgreSQL documentation,
        // 53.13).
        try (var query = keeper.prepareStatement("""
                SELECT string_agg(format('%%s from %%s', l.pid, coalesce(host(a.client_addr), 'this host')), ', ')
                FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                    AND (l.classid::bigint << 32 | l.objid::bigint) = %s
                """.formatted(LOCK_KEY))) {
            query.setString(1, pipe.uid());
            try (var rows = query.executeQuery()) {
                rows.next();
                return new Problem(
                        "AnotherLoadRuns",
                        "pipe " + pipe,
                        "another worker of this pipe still reads the source, with pid " + rows.getString(1),
                        "It goes on when that worker's connections end; if that worker is gone for good, end them with pg_terminate_backend");
            }
        }
    }

    private static SnapshotSession atConsistentPoint(
            PostgresClient client, Pipe pipe, Connection keeper, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        record Point(Lsn lsn, String snapshot) {}
        var slot = pipe.temporarySlot();
        try (var connection = client.connectReplication("snapshot");
                var statement = connection.createStatement()) {
            // Exports its snapshot by default, with the syntax before Postgres 15 and since.
            var point = Blocked.whileRunning(
                    client,
                    statement,
                    "snapshot of " + client.object(),
                    () -> {
                        try (var rows = statement.executeQuery(
                                "CREATE_REPLICATION_SLOT " + slot + " TEMPORARY LOGICAL pgoutput")) {
                            rows.next();
                            return new Point(
                                    Lsn.parse(rows.getString("consistent_point")), rows.getString("snapshot_name"));
                        }
                    },
                    waiting,
                    stop);
            if (point.isEmpty()) {
                return null;
            }
            begin(keeper, "'" + point.get().snapshot + "'");
            return new SnapshotSession(client, pipe, keeper, export(keeper), point.get().lsn, transactionTime(keeper));
        }
    }

    /** Without a stream to join, any view will do; the position only orders this load after former ones. */
    private static SnapshotSession now(PostgresClient client, Pipe pipe, Connection keeper) throws SQLException {
        var lsn = Lsn.parse(
                text(
                        keeper,
                        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END"));
        begin(keeper, null);
        return new SnapshotSession(client, pipe, keeper, export(keeper), lsn, transactionTime(keeper));
    }

    /** @param snapshot a literal; null to take one */
    static void begin(Connection connection, String snapshot) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            if (snapshot != null) {
                statement.execute("SET TRANSACTION SNAPSHOT " + snapshot);
            }
        }
    }

    private static String export(Connection connection) throws SQLException {
        return text(connection, "SELECT pg_export_snapshot()");
    }

    private static OffsetDateTime transactionTime(Connection connection) throws SQLException {
        try (var statement = connection.createStatement();
                var rows = statement.executeQuery("SELECT transaction_timestamp()")) {
            rows.next();
            return rows.getObject(1, OffsetDateTime.class);
        }
    }

    private static String text(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement();
                var rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    private static void closeQuietly(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // nothing is lost with it
        }
    }
}
