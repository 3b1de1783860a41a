package dev.clickpipe.inspect;

import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** Looks once at the slot, and tells what it keeps of the source's WAL: while a pipe is paused nobody else does. */
public final class Inspect implements Mode {
    /** It is run again soon; a server that restarts should not fail it. */
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;
    private volatile WorkerStatus.Replication replication;

    public Inspect(Pipe pipe, PostgresClient postgres) {
        this.pipe = pipe;
        this.postgres = postgres;
    }

    @Override
    public Optional<Duration> patience() {
        return Optional.of(PATIENCE);
    }

    @Override
    public WorkerStatus status() {
        return new WorkerStatus("inspect", state, null, null, replication, List.of());
    }

    /** A slot that is not there, as in a pipe that was never set up, is told as one that keeps nothing. */
    @Override
    public void run(Stop stop) {
        state = WorkerStatus.State.Starting;
        try (var connection = postgres.connect("looks at the slot");
                var query = connection.prepareStatement("""
                        SELECT here.lsn, slot.confirmed_flush_lsn, here.lsn - slot.confirmed_flush_lsn,
                               here.lsn - slot.restart_lsn, slot.safe_wal_size, slot.wal_status
                        FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                     ELSE pg_current_wal_lsn() END AS lsn) here
                        LEFT JOIN pg_replication_slots slot ON slot.slot_name = ?
                        """)) {
            query.setString(1, pipe.slot());
            try (var row = query.executeQuery()) {
                row.next();
                state = WorkerStatus.State.Working;
                replication = replication(row);
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private WorkerStatus.Replication replication(ResultSet row) throws SQLException {
        var lag = bytes(row, 3);
        var confirmed = row.getString(2);
        return new WorkerStatus.Replication(
                pipe.slot(),
                pipe.publication(),
                confirmed,
                Lsn.parse(row.getString(1)).toString(),
                lag == null ? 0 : lag,
                0,
                bytes(row, 4),
                bytes(row, 5),
                row.getString(6),
                null,
                0);
    }

    /** Null for NULL. */
    private static Long bytes(ResultSet row, int column) throws SQLException {
        var bytes = row.getBigDecimal(column);
        return bytes == null ? null : Math.max(0, bytes.longValue());
    }
}
