package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** Logical replication slots (PostgreSQL documentation, 51.19 "pg_replication_slots", 9.28.6). */
public final class Slots {
    private static final Duration PATIENCE_FOR_RELEASE = Duration.ofSeconds(30);

    private Slots() {}

    /**
     * @param plugin null for physical slots
     * @param database null for physical slots
     * @param activePid the walsender that reads it; null when nobody does
     * @param walStatus reserved, extended, unreserved or lost; null while it has reserved nothing
     * @param confirmed where streaming would begin; null for physical slots
     */
    public record Slot(
            String name,
            String plugin,
            String database,
            boolean temporary,
            Integer activePid,
            String walStatus,
            Lsn confirmed) {

        /** True where changes it should have kept are gone. */
        public boolean lost() {
            return "lost".equals(walStatus);
        }
    }

    public static Optional<Slot> find(Connection connection, String name) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT slot_name, plugin, database, temporary, active_pid, wal_status, confirmed_flush_lsn
                FROM pg_replication_slots WHERE slot_name = ?
                """)) {
            query.setString(1, name);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    return Optional.empty();
                }
                var confirmed = rows.getString(7);
                return Optional.of(new Slot(
                        rows.getString(1),
                        rows.getString(2),
                        rows.getString(3),
                        rows.getBoolean(4),
                        rows.getObject(5, Integer.class),
                        rows.getString(6),
                        confirmed == null ? null : Lsn.parse(confirmed)));
            }
        }
    }

    /**
     * What a slot keeps of the source's WAL. Bytes are null where there is no slot, or none is at stake.
     *
     * @param current where the source writes its WAL now; on a standby, where it replays it
     * @param confirmed where streaming would begin; null: there is no such slot
     * @param lag bytes from there to {@code current}
     * @param retained bytes from the oldest WAL that is kept
     * @param safe bytes that may still be written before the slot is in danger; null without max_slot_wal_keep_size
     * @param walStatus as in {@link Slot}
     */
    public record Retention(
            boolean inRecovery, Lsn current, Lsn confirmed, Long lag, Long retained, Long safe, String walStatus) {}

    public static Retention retention(Connection connection, String name) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT pg_is_in_recovery(), here.lsn, slot.confirmed_flush_lsn, here.lsn - slot.confirmed_flush_lsn,
                       here.lsn - slot.restart_lsn, slot.safe_wal_size, slot.wal_status
                FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                             ELSE pg_current_wal_lsn() END AS lsn) here
                LEFT JOIN pg_replication_slots slot ON slot.slot_name = ?
                """)) {
            query.setString(1, name);
            try (var row = query.executeQuery()) {
                row.next();
                var confirmed = row.getString(3);
                return new Retention(
                        row.getBoolean(1),
                        Lsn.parse(row.getString(2)),
                        confirmed == null ? null : Lsn.parse(confirmed),
                        bytes(row, 4),
                        bytes(row, 5),
                        bytes(row, 6),
                        row.getString(7));
            }
        }
    }

    /** Null for NULL; what is behind already is no distance. */
    private static Long bytes(ResultSet row, int column) throws SQLException {
        var bytes = row.getBigDecimal(column);
        return bytes == null ? null : Math.max(0, bytes.longValue());
    }

    /**
     * Creates a pgoutput slot. Postgres first waits for every transaction that is writing now, however long it takes.
     *
     * @param failover a slot that standbys keep too; needs Postgres 17
     * @param waiting told every few seconds on whom it waits
     * @return the slot's consistent point; empty when stopped, and nothing is left then
     */
    public static Optional<Lsn> create(
            PostgresClient client, String name, boolean failover, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        try (var connection = client.connect("creates the slot")) {
            var sql = "SELECT lsn FROM pg_create_logical_replication_slot(?, 'pgoutput', false, false"
                    + (failover ? ", true)" : ")");
            try (var statement = connection.prepareStatement(sql)) {
                statement.setString(1, name);
                return Blocked.whileRunning(
                        client,
                        statement,
                        "slot " + name,
                        () -> {
                            try (var rows = statement.executeQuery()) {
                                rows.next();
                                return Lsn.parse(rows.getString(1));
                            }
                        },
                        waiting,
                        stop);
            }
        }
    }

    /** Lets a slot that nobody reads begin at a later position. */
    public static void advance(Connection connection, String name, Lsn to) throws SQLException {
        try (var advance = connection.prepareStatement("SELECT pg_replication_slot_advance(?, ?::pg_lsn)")) {
            advance.setString(1, name);
            advance.setString(2, to.toString());
            advance.executeQuery().close();
        }
    }

    /**
     * Drops a slot of ours, if it is there. A walsender that still reads it, such as a worker's that vanished, is ended first.
     *
     * @return whether there was one
     */
    public static boolean drop(Connection connection, String name) throws SQLException, InterruptedException {
        var deadline = System.nanoTime() + PATIENCE_FOR_RELEASE.toNanos();
        for (var slot = find(connection, name); slot.isPresent(); slot = find(connection, name)) {
            try (var end = connection.prepareStatement(
                            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = ? AND active_pid IS NOT NULL");
                    var drop = connection.prepareStatement("SELECT pg_drop_replication_slot(?)")) {
                end.setString(1, name);
                end.executeQuery().close();
                drop.setString(1, name);
                drop.executeQuery().close();
                return true;
            } catch (SQLException e) {
                boolean gone = "42704".equals(e.getSQLState());
                boolean active = "55006".equals(e.getSQLState());
                if (gone) {
                    return true;
                }
                if (!active || System.nanoTime() > deadline) {
                    throw e;
                }
                Thread.sleep(100);
            }
        }
        return false;
    }
}
