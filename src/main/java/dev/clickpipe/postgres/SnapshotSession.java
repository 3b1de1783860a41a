package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
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
 * <p>It has an id, as long as any of its connections lives: each holds an advisory lock of that name. What the session claims,
 * the connection with its transaction holds, so that no claim outlives the snapshot.
 *
 * <p>Thread-safe.
 */
public final class SnapshotSession implements AutoCloseable {
    private final PostgresClient client;
    private final Pipe pipe;
    private final String id;
    private final Connection keeper;
    private final String snapshot;
    private final Lsn boundary;
    private final OffsetDateTime takenAt;

    private SnapshotSession(
            PostgresClient client,
            Pipe pipe,
            String id,
            Connection keeper,
            String snapshot,
            Lsn boundary,
            OffsetDateTime takenAt) {
        this.client = client;
        this.pipe = pipe;
        this.id = id;
        this.keeper = keeper;
        this.snapshot = snapshot;
        this.boundary = boundary;
        this.takenAt = takenAt;
    }

    /** @param keeper holds the session's locks, and from now on its snapshot */
    static Optional<SnapshotSession> open(
            PostgresClient client, Pipe pipe, String id, Connection keeper, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        return pipe.settings().replicationMode().streams()
                ? atConsistentPoint(client, pipe, id, keeper, waiting, stop)
                : Optional.of(now(client, pipe, id, keeper));
    }

    /** Told from all others' for ever. */
    public String id() {
        return id;
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
            LoadTurn.load(pipe).share(connection);
            LoadTurn.session(id).share(connection);
            return new ChunkReader(connection, snapshot);
        } catch (SQLException e) {
            LoadTurn.closeQuietly(connection);
            throw PostgresErrors.of(e, client.object());
        }
    }

    /**
     * Claims a chunk, so that no other session reads it until it is released, or this session is over.
     *
     * @param chunk a name that stands for it in all workers
     * @return whether none has it
     * @throws PipeException classified
     */
    public synchronized boolean claim(String chunk) {
        try {
            return LoadTurn.chunk(chunk).tryTake(keeper);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, client.object());
        }
    }

    /** Lets go of a claim; where that fails the session is over, and so is the claim. */
    public synchronized void release(String chunk) {
        try {
            LoadTurn.chunk(chunk).release(keeper);
        } catch (SQLException e) {
            LoadTurn.closeQuietly(keeper);
        }
    }

    /** Whether readers can still be opened; asks the server. */
    public synchronized boolean alive() {
        try {
            return keeper.isValid(10);
        } catch (SQLException e) {
            return false;
        }
    }

    /** Ends the snapshot for readers that have not begun. */
    @Override
    public void close() {
        LoadTurn.closeQuietly(keeper);
    }

    private static Optional<SnapshotSession> atConsistentPoint(
            PostgresClient client, Pipe pipe, String id, Connection keeper, Consumer<Problem> waiting, Stop stop)
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
                return Optional.empty();
            }
            begin(keeper, "'" + point.get().snapshot + "'");
            return Optional.of(new SnapshotSession(
                    client, pipe, id, keeper, export(keeper), point.get().lsn, transactionTime(keeper)));
        }
    }

    /** Without a stream to join, any view will do; the position only orders this load after former ones. */
    private static SnapshotSession now(PostgresClient client, Pipe pipe, String id, Connection keeper)
            throws SQLException {
        var lsn = Lsn.parse(
                text(
                        keeper,
                        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END"));
        begin(keeper, null);
        return new SnapshotSession(client, pipe, id, keeper, export(keeper), lsn, transactionTime(keeper));
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
}
