package dev.clickpipe.teardown;

import static dev.clickpipe.postgres.Publications.identifier;

import dev.clickpipe.api.DeletionPolicy;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.State;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Publications;
import dev.clickpipe.postgres.Slots;
import dev.failsafe.Failsafe;
import dev.failsafe.FailsafeException;
import dev.failsafe.RetryPolicy;
import dev.failsafe.Timeout;
import dev.failsafe.TimeoutExceededException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes the slot and publications that the pipe made, its state in ClickHouse, what was being built beside live tables, and with {@code deletionPolicy: Delete} the
 * target tables it created. Never a slot, publication or table of the user's. What is not there counts as removed. A server that
 * is gone does not hold the deletion up: after a minute it ends, and says what may be left.
 */
public final class Teardown implements Mode {
    private static final Logger LOG = LoggerFactory.getLogger(Teardown.class);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Duration patience;
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;

    public Teardown(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse) {
        this(pipe, postgres, clickHouse, Duration.ofSeconds(60));
    }

    /** @param patience how long both servers, side by side, are given to answer */
    Teardown(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, Duration patience) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.patience = patience;
    }

    /**
     * @param what as the problem names it when it can't be removed
     * @param byHand what a person does then
     */
    private record Part(String what, String byHand, Removal removal) {}

    @FunctionalInterface
    private interface Removal {
        void run() throws SQLException, InterruptedException;
    }

    @FunctionalInterface
    private interface SourceRemoval {
        void run(Connection connection) throws SQLException, InterruptedException;
    }

    @Override
    public WorkerStatus status() {
        return new WorkerStatus("teardown", state, null, null, null, List.of());
    }

    /** @throws PipeException fatal, with what may be left behind */
    @Override
    public void run(Stop stop) throws InterruptedException {
        state = WorkerStatus.State.Working;
        var tasks = parts().stream()
                .map(part -> {
                    var task = new FutureTask<>(() -> remove(part));
                    Thread.ofVirtual().name("removes " + part.what()).start(task);
                    return task;
                })
                .toList();
        var problems = new ArrayList<Problem>();
        for (var task : tasks) {
            try {
                task.get().ifPresent(problems::add);
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }
        if (!problems.isEmpty()) {
            throw PipeException.fatal(problems);
        }
    }

    private List<Part> parts() {
        var parts = new ArrayList<Part>();
        parts.add(source(
                "slot " + pipe.ownSlot(), "SELECT pg_drop_replication_slot('" + pipe.ownSlot() + "')", this::dropSlot));
        for (var publication : List.of(pipe.ownPublication(), pipe.insertOnlyPublication())) {
            parts.add(source(
                    "publication " + publication,
                    "DROP PUBLICATION IF EXISTS " + identifier(publication),
                    connection -> dropPublication(connection, publication)));
        }
        if (pipe.spec().deletionPolicy() == DeletionPolicy.Delete) {
            parts.add(new Part(
                    "the target tables in " + clickHouse.object(),
                    "drop those whose comment begins with ClickPipe " + pipe.uid(),
                    this::dropTargets));
        }
        parts.add(new Part(
                "the pipe's state in " + clickHouse.object(),
                "delete the rows with pipe = '" + pipe.uid() + "' from the tables " + State.PREFIX + "*",
                () -> {
                    dropReplacements();
                    State.forget(clickHouse, pipe);
                }));
        return parts;
    }

    /**
     * What was being built beside live tables, and of a swap that was cut off the table that was to go: by what is recorded,
     * and by the comment where that was not yet. What is recorded goes after that.
     */
    private void dropReplacements() {
        var tables = TargetTable.list(clickHouse);
        for (var build : new Definitions(clickHouse, pipe).all()) {
            if (build.replaces()) {
                var uuid = build.replacement().uuid();
                var live = tables.get(build.replacement().live());
                var beside = tables.get(build.target());
                boolean swapped = live != null && live.uuid().equals(uuid);
                if (beside != null && (swapped || beside.uuid().equals(uuid))) {
                    drop(build.target());
                }
            }
        }
        tables.forEach((name, table) -> {
            if (table.replacementOf(pipe)) {
                drop(name);
            }
        });
    }

    private void drop(String table) {
        TargetTable.drop(clickHouse, table);
        LOG.info("dropped table {}.{}", clickHouse.database(), table);
    }

    private Part source(String what, String byHand, SourceRemoval removal) {
        return new Part(what + " on " + postgres.object(), byHand, () -> {
            try (var connection = postgres.connect("teardown")) {
                removal.run(connection);
            }
        });
    }

    /** @return what is wrong, when it is not removed in time */
    private Optional<Problem> remove(Part part) {
        var retries = RetryPolicy.builder()
                .handleIf(failure -> failure instanceof PipeException e && e.retryable())
                .withBackoff(Duration.ofSeconds(1), Duration.ofSeconds(10))
                .withMaxRetries(-1)
                .withMaxDuration(patience)
                .build();
        var limit = Timeout.builder(patience).withInterrupt().build();
        try {
            Failsafe.with(limit, retries).run(() -> {
                try {
                    part.removal().run();
                } catch (SQLException e) {
                    throw PostgresErrors.of(e, postgres.object());
                }
            });
            return Optional.empty();
        } catch (PipeException e) {
            // With the database went what was in it.
            boolean gone = e.problems().getFirst().reason().equals("DatabaseMissing");
            return gone
                    ? Optional.empty()
                    : Optional.of(left(part, e.problems().getFirst().message()));
        } catch (TimeoutExceededException e) {
            return Optional.of(left(part, "no answer within " + patience.toSeconds() + " s"));
        } catch (FailsafeException e) {
            return Optional.of(left(part, String.valueOf(e.getCause())));
        }
    }

    private static Problem left(Part part, String why) {
        return new Problem("LeftBehind", part.what(), "may be left behind: " + why, "If it is: " + part.byHand());
    }

    private void dropSlot(Connection connection) throws SQLException, InterruptedException {
        if (Slots.drop(connection, pipe.ownSlot())) {
            LOG.info("dropped slot {}", pipe.ownSlot());
        }
    }

    private static void dropPublication(Connection connection, String name) throws SQLException {
        if (Publications.exists(connection, name)) {
            Publications.drop(connection, name);
            LOG.info("dropped publication {}", name);
        }
    }

    private void dropTargets() {
        for (var target : TargetTable.createdByPipe(clickHouse, pipe)) {
            drop(target);
        }
    }
}
