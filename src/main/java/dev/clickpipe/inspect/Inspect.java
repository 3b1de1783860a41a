package dev.clickpipe.inspect;

import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Slots;
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
        try (var connection = postgres.connect("looks at the slot")) {
            var slot = Slots.retention(connection, pipe.slot());
            state = WorkerStatus.State.Working;
            replication = new WorkerStatus.Replication(
                    pipe.slot(),
                    pipe.publication(),
                    slot.confirmed() == null ? null : slot.confirmed().toString(),
                    slot.current().toString(),
                    slot.lag() == null ? 0 : slot.lag(),
                    0,
                    slot.retained(),
                    slot.safe(),
                    slot.walStatus(),
                    null,
                    0);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }
}
