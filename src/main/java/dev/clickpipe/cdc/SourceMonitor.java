package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.Slots;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the source every few seconds where it is, what the slot holds back and whether it still publishes the streamed tables, on a
 * connection of its own, also while the stream is down; and moves the slot on when nothing else does. {@link #run} is for one
 * thread, the rest for any.
 */
final class SourceMonitor {
    private static final Logger LOG = LoggerFactory.getLogger(SourceMonitor.class);
    private static final Duration INTERVAL = Duration.ofSeconds(5);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final Progress progress;
    private final Heartbeat heartbeat = new Heartbeat();
    private final PartitionWatch partitions = new PartitionWatch();

    private Connection connection;
    private Lsn confirmedBefore = Lsn.ZERO;
    private volatile List<TableDefinition> watched = List.of();
    private volatile Lsn current = Lsn.ZERO;
    private volatile TableFailure failure;
    private volatile SchemaChanged changed;

    SourceMonitor(Pipe pipe, PostgresClient postgres, Progress progress) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.progress = progress;
    }

    /** The builds that the stream writes now. */
    void watch(List<TableDefinition> builds) {
        watched = builds;
    }

    /**
     * @throws TableFailure changes of a watched table may be left out
     * @throws SchemaChanged a watched table is another one now; the stream tells that with its next row, which may be long in
     *     coming
     */
    void throwFailure() {
        var other = changed;
        if (other != null) {
            changed = null;
            if (watched.contains(other.table())) {
                throw other;
            }
        }
        var last = failure;
        if (last != null) {
            failure = null;
            if (watched.contains(last.table())) {
                throw last;
            }
        }
    }

    /** Where the source's WAL ended when it was asked last; {@link Lsn#ZERO} before. */
    Lsn current() {
        return current;
    }

    /** Looks again and again, until stopped. */
    void run(Stop stop) {
        try {
            do {
                look();
            } while (!stop.await(INTERVAL));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            disconnect();
        }
    }

    private void look() {
        try {
            if (connection == null) {
                connection = postgres.connectImpatiently("monitor");
            }
            ask();
            askForTables();
        } catch (PipeException | SQLException e) {
            // The stream has the same trouble, and says so.
            LOG.debug("the source can't be asked", e);
            disconnect();
        }
    }

    private void askForTables() throws SQLException {
        var builds = watched;
        if (!builds.isEmpty()) {
            var seen = SourceTables.look(connection, builds);
            progress.source(seen);
            progress.partitions(partitions.look(connection, builds));
            var shapes = Schemas.look(connection, builds);
            builds.stream()
                    .filter(build -> !Schemas.isFollowed(build, shapes))
                    .findFirst()
                    .ifPresent(build -> changed = new SchemaChanged(build));
            builds.stream()
                    .filter(build -> seen.failures().containsKey(build.build()))
                    .findFirst()
                    .ifPresent(build ->
                            failure = new TableFailure(build, seen.failures().get(build.build())));
        }
    }

    private void ask() throws SQLException {
        var slot = Slots.retention(connection, pipe.slot());
        current = slot.current();
        progress.source(new Progress.Source(slot.current(), slot.retained(), slot.safe(), slot.walStatus()));
        var confirmed = progress.confirmed();
        // What was waited for may end where no WAL is written, just before the header of a page say.
        boolean waits = progress.isAwaiting() && !progress.isPending() && confirmed.equals(confirmedBefore);
        confirmedBefore = confirmed;
        boolean idle = heartbeat.due(System.nanoTime(), slot.current(), confirmed, progress.isPending());
        if (!slot.inRecovery() && (idle || waits)) {
            beat();
        }
    }

    private void beat() throws SQLException {
        LOG.info("nothing moved slot {} on: writing a heartbeat", pipe.slot());
        try (var statement = connection.createStatement()) {
            statement
                    .executeQuery("SELECT pg_logical_emit_message(true, 'clickpipe', '')")
                    .close();
        }
    }

    private void disconnect() {
        if (connection != null) {
            try {
                connection.close();
            } catch (SQLException e) {
                LOG.debug("closing a broken connection", e);
            }
            connection = null;
        }
    }
}
