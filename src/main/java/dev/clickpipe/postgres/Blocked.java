package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.postgresql.PGConnection;

/** Runs statements that may wait long for other sessions, and says for whom. */
final class Blocked {
    private static final Duration FIRST_REPORT = Duration.ofSeconds(1);
    private static final Duration BETWEEN_REPORTS = Duration.ofSeconds(5);
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(200);

    private Blocked() {}

    /**
     * @param statement what {@code work} executes; cancelled on a stop
     * @param object what is being made, for messages
     * @param waiting told every few seconds on whom it waits
     * @return empty when stopped
     */
    static <T> Optional<T> whileRunning(
            PostgresClient client,
            Statement statement,
            String object,
            Callable<T> work,
            Consumer<Problem> waiting,
            Stop stop)
            throws SQLException, InterruptedException {
        int pid = statement.getConnection().unwrap(PGConnection.class).getBackendPID();
        var task = new FutureTask<>(work);
        Thread.ofVirtual().name("waiting for " + object).start(task);
        var nextReport = System.nanoTime() + FIRST_REPORT.toNanos();
        try {
            while (true) {
                try {
                    return Optional.of(task.get(BETWEEN_LOOKS.toMillis(), TimeUnit.MILLISECONDS));
                } catch (TimeoutException e) {
                    if (stop.requested()) {
                        statement.cancel();
                        task.get();
                        return Optional.empty();
                    }
                    if (System.nanoTime() >= nextReport) {
                        report(client, pid, object).ifPresent(waiting);
                        nextReport = System.nanoTime() + BETWEEN_REPORTS.toNanos();
                    }
                }
            }
        } catch (ExecutionException e) {
            if (stop.requested()) {
                return Optional.empty();
            }
            switch (e.getCause()) {
                case SQLException sql -> throw sql;
                case RuntimeException runtime -> throw runtime;
                default -> throw new IllegalStateException(e.getCause());
            }
        } catch (InterruptedException e) {
            statement.cancel();
            throw e;
        }
    }

    private static Optional<Problem> report(PostgresClient client, int pid, String object) {
        try (var connection = client.connect("looks who blocks it")) {
            return Optional.of(blocker(connection, pid, object));
        } catch (SQLException | PipeException e) {
            return Optional.empty(); // the statement itself will say what is wrong with the server
        }
    }

    private static Problem blocker(Connection connection, int pid, String object) throws SQLException {
        // A blocking pid of 0 is a prepared transaction. Others' xact_start is shown to pg_read_all_stats only.
        try (var query = connection.prepareStatement("""
                SELECT b.pid, a.application_name, a.usename, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::bigint,
                       (SELECT string_agg(quote_literal(p.gid), ', ') FROM pg_prepared_xacts p)
                FROM unnest(pg_blocking_pids(?)) AS b (pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid
                ORDER BY a.xact_start NULLS LAST LIMIT 1
                """)) {
            query.setInt(1, pid);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    return new Problem(
                            "WaitingForTransactions",
                            object,
                            "Postgres waits for transactions that were running when it began",
                            "It goes on by itself");
                }
                if (rows.getInt(1) == 0) {
                    return prepared(object, "waits for a prepared transaction; there are " + rows.getString(6));
                }
                return transaction(
                        object,
                        rows.getInt(1),
                        rows.getString(2),
                        rows.getString(3),
                        rows.getString(4),
                        rows.getObject(5, Long.class));
            }
        }
    }

    static Problem prepared(String object, String message) {
        return new Problem("WaitingForTransactions", object, message, "COMMIT PREPARED or ROLLBACK PREPARED it");
    }

    /** @param age in seconds; null where the role may not see it, nor the state */
    static Problem transaction(String object, int pid, String application, String user, String state, Long age) {
        return new Problem(
                "WaitingForTransactions",
                object,
                "waits for the transaction of pid %d (application_name \"%s\", user %s%s)"
                        .formatted(
                                pid, application, user, age == null ? "" : ", " + state + ", open for " + age + " s"),
                "It goes on when that transaction ends; to end it: SELECT pg_terminate_backend(" + pid + ")");
    }
}
