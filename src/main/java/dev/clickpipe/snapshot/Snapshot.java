package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Patience;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.RowVersion;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.ChunkPlanner;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SnapshotSession;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads every recorded table that is not loaded yet, as soon as the stream, where there is one, has taken it up.
 *
 * <p>It works in sessions, each with one view of the source. The ledger says which chunks are in ClickHouse; whatever ended a
 * session, the next one reads only what is missing. For a ReplacingMergeTree that is followed by change data capture this is
 * exact: a row's version is its session's boundary, a commit before the boundary is in the rows read, and one after it is in the
 * stream with a higher version, also when it moved a row between a block read now and one read before.
 *
 * <p>Elsewhere nothing would mend such a seam, in append-only targets and where no stream follows. Those tables are read in one
 * session or start over.
 */
public final class Snapshot implements Mode {
    private static final Logger LOG = LoggerFactory.getLogger(Snapshot.class);
    private static final Duration BETWEEN_SESSIONS = Duration.ofSeconds(1);
    /** While a session lasts the source can't clean up what was deleted since (PostgreSQL documentation, 25.1.2). */
    private static final Duration SESSION = Duration.ofMinutes(10);

    private static final Duration BETWEEN_SAMPLES = Duration.ofSeconds(1);
    private static final int SAMPLES_BETWEEN_LOG_LINES = 5;

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final ChunkLedger ledger;
    private final Progress progress;
    private final Duration longestSession;
    private final Patience patience = new Patience();
    private final Watchdog watchdog = new Watchdog();

    public Snapshot(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters) {
        this(pipe, postgres, clickHouse, meters, SESSION);
    }

    /** @param longestSession after which another session goes on with those tables that need not be read in one */
    Snapshot(
            Pipe pipe,
            PostgresClient postgres,
            ClickHouseClient clickHouse,
            MeterRegistry meters,
            Duration longestSession) {
        this.longestSession = longestSession;
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = new Definitions(clickHouse, pipe);
        this.ledger = new ChunkLedger(clickHouse, pipe);
        this.progress = new Progress(meters);
    }

    @Override
    public WorkerStatus status() {
        return progress.status();
    }

    @Override
    public void run(Stop stop) throws InterruptedException {
        if (!pipe.settings().replicationMode().loads()) {
            LOG.info("replicationMode cdc_only: there is nothing to load");
            return;
        }
        ledger.create();
        var pause = Duration.ZERO;
        while (!stop.await(pause)) {
            pause = BETWEEN_SESSIONS;
            var all = definitions.all();
            if (all.isEmpty()) {
                throw PipeException.fatal(new Problem(
                        "NotSetUp",
                        "pipe " + pipe,
                        "no table definitions are recorded in " + clickHouse.object(),
                        "Run the setup mode first"));
            }
            var plans = ledger.plans();
            progress.begin(all, plans);
            var missing =
                    all.stream().filter(definition -> !definition.loaded()).toList();
            if (missing.isEmpty()) {
                LOG.info(
                        "Load complete: {} tables, {} rows",
                        all.size(),
                        progress.load().rows());
                return;
            }
            var loadable = missing.stream().filter(TableDefinition::loadable).toList();
            if (loadable.isEmpty()) {
                waitForStream(missing);
                continue;
            }
            var unchanged = unchanged(loadable);
            if (unchanged.isEmpty()) {
                waitForSchema(loadable.getFirst());
            } else if (load(unchanged, plans, stop)) {
                pause = Duration.ZERO;
            }
        }
    }

    /**
     * Those whose targets have the source's columns.
     *
     * @throws PipeException fatal, where nobody will bring one to them, once nothing else can be loaded
     */
    private List<TableDefinition> unchanged(List<TableDefinition> loadable) {
        try (var columns = new SourceColumns(pipe, postgres, definitions)) {
            var unchanged = loadable.stream().filter(columns::areUnchanged).toList();
            var hopeless = loadable.stream()
                    .filter(definition -> !unchanged.contains(definition))
                    .map(columns::hopeless)
                    .flatMap(Optional::stream)
                    .toList();
            if (hopeless.size() == loadable.size()) {
                throw PipeException.fatal(hopeless);
            }
            return unchanged;
        }
    }

    private void waitForSchema(TableDefinition first) {
        var problem = new Problem(
                "WaitingForStream",
                "table " + first.source(),
                "its columns have changed, and the change stream has not brought " + first.target() + " to them yet",
                "It goes on by itself; see what the cdc worker does");
        if (!problem.equals(progress.status().problem())) {
            LOG.info(problem.sentence());
        }
        progress.waiting(problem);
    }

    /** Rows read before the stream has taken a table up would miss the changes in between. */
    private void waitForStream(List<TableDefinition> missing) {
        var first = missing.getFirst();
        var problem = new Problem(
                "WaitingForStream",
                "table " + first.source(),
                "the change stream has not come to " + first.publishing().from() + " yet, from where on it follows "
                        + (missing.size() == 1 ? "this table" : "these " + missing.size() + " tables"),
                "It goes on by itself; see what the cdc worker does");
        if (!problem.equals(progress.status().problem())) {
            LOG.info(problem.sentence());
        }
        progress.waiting(problem);
    }

    /**
     * One session's work.
     *
     * @return whether every table of it is loaded
     */
    private boolean load(List<TableDefinition> missing, Map<String, ChunkLedger.Plan> plans, Stop stop)
            throws InterruptedException {
        var opened = SnapshotSession.open(postgres, pipe, this::waiting, stop);
        if (opened.isEmpty()) {
            return false;
        }
        try (var session = opened.get()) {
            long openedAt = System.nanoTime();
            progress.waiting(null);
            LOG.info("Reading {} tables of {} as of {}", missing.size(), postgres.object(), session.boundary());
            var failures = new ArrayList<PipeException>();
            var schedule = new Schedule(
                    plan(session, missing, plans, failures),
                    pipe.settings().snapshotNumberOfParallelTables(),
                    pipe.settings().initialLoadParallelism(),
                    () -> System.nanoTime() - openedAt >= longestSession.toNanos());
            read(session, schedule, stop);
            recordComplete(schedule.loaded());
            failures.addAll(schedule.failures());
            if (!failures.isEmpty() && !stop.requested()) {
                throw allOf(failures);
            }
            return schedule.loaded().size() == missing.size();
        }
    }

    /** The tables with their chunks: a former session's plan where it still serves, a new one otherwise. */
    private List<Schedule.Table> plan(
            SnapshotSession session,
            List<TableDefinition> missing,
            Map<String, ChunkLedger.Plan> plans,
            List<PipeException> failures) {
        var tables = new ArrayList<Schedule.Table>();
        try (var connection = postgres.connect("plans the initial load")) {
            for (var definition : missing) {
                // Where a later session's rows would not fit to a former one's: see the class comment.
                boolean wholeInSession = definition.engine().appendOnly()
                        || !pipe.settings().replicationMode().streams();
                try {
                    var plan = plans.get(definition.build());
                    var boundary = definition.boundary();
                    if (plan == null || !plan.loaded() && (wholeInSession || !resumable(connection, plan))) {
                        plan = begin(session, connection, definition, plan != null);
                        boundary = session.boundary().toString();
                    }
                    progress.planned(plan);
                    boolean repeatable = wholeInSession && TargetTable.deduplicates(clickHouse, definition.target());
                    tables.add(new Schedule.Table(definition, boundary, plan, wholeInSession, repeatable));
                } catch (SQLException e) {
                    throw PostgresErrors.of(e, "table " + definition.source());
                } catch (PipeException e) {
                    if (e.retryable()) {
                        throw e;
                    }
                    progress.failed(definition.build(), e.problems().getFirst());
                    failures.add(e); // the other tables are loaded nevertheless
                }
            }
            return tables;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private static boolean resumable(Connection connection, ChunkLedger.Plan plan) throws SQLException {
        return plan.entries().stream().anyMatch(ChunkLedger.Entry::loaded)
                && ChunkPlanner.stillValid(
                        connection,
                        plan.entries().stream().map(ChunkLedger.Entry::chunk).toList());
    }

    /**
     * A table begins, or begins anew: because its rows moved to another file since some chunks were read, so that the blocks of
     * the others hold different rows now, or because it has to be read in one session. What the target holds of before goes
     * first: a crash between the steps leaves a plan that is begun again.
     */
    private ChunkLedger.Plan begin(
            SnapshotSession session, Connection connection, TableDefinition definition, boolean anew)
            throws SQLException {
        var chunks = ChunkPlanner.plan(
                connection, definition.relid(), pipe.settings().snapshotNumRowsPerPartition());
        if (chunks.isEmpty()) {
            throw ChunkLoader.missing(definition);
        }
        if (anew) {
            // An insert whose answer was lost may still be running, and would bring its rows after they are removed.
            clickHouse.execute("KILL QUERY WHERE user = currentUser() AND Settings['log_comment'] = "
                    + ClickHouseClient.literal(definition.loadComment()) + " SYNC");
        }
        if (!definition.engine().stores()) {
            if (anew) {
                LOG.warn(
                        "{}: its load begins anew, and what is behind {} sees its rows again: those of the load before have"
                                + " another _clickpipe_version",
                        definition.source(),
                        definition.target());
            }
        } else if (pipe.settings().replicationMode().streams()) {
            removeBefore(session.boundary(), definition);
        } else {
            // The limits are there against dropping large tables by mistake; what goes here is a part of a load.
            clickHouse.execute("TRUNCATE TABLE " + ClickHouseClient.identifier(definition.target())
                    + " SETTINGS max_table_size_to_drop = 0, max_partition_size_to_drop = 0");
        }
        definitions.record(definition, new Loading(session.boundary().toString(), null));
        return ledger.plan(definition.build(), chunks);
    }

    /** A stream writes beside: its rows from the boundary on stay. */
    private void removeBefore(Lsn boundary, TableDefinition definition) {
        var version = new TsvBuffer(40);
        RowVersion.append(version, boundary.value(), 0);
        var older = SystemColumns.VERSION + " < toUInt128('"
                + new String(version.toByteArray(), StandardCharsets.US_ASCII) + "')";
        var target = ClickHouseClient.identifier(definition.target());
        if (!clickHouse
                .query("SELECT 1 FROM " + target + " WHERE " + older + " LIMIT 1", Map.of())
                .isEmpty()) {
            clickHouse.execute("ALTER TABLE " + target + " DELETE WHERE " + older + " SETTINGS mutations_sync = 2");
        }
    }

    /**
     * An insert of a try before this one that was not yet running when its rows were removed: it was still on its way, or its
     * worker was stopped as it was about to send it.
     */
    private void removeLatecomers(Schedule.Table table) {
        if (table.plan.generation() > 1) {
            removeBefore(Lsn.parse(table.boundary), table.definition);
        }
    }

    private void recordComplete(List<Schedule.Table> loaded) {
        if (loaded.isEmpty()) {
            return;
        }
        try (var connection = postgres.connect("ends a load");
                var query = connection.createStatement();
                var row = query.executeQuery(
                        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END")) {
            row.next();
            var now = row.getString(1);
            loaded.forEach(this::removeLatecomers);
            loaded.forEach(table -> definitions.record(table.definition, new Loading(table.boundary, now)));
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private void read(SnapshotSession session, Schedule schedule, Stop stop) throws InterruptedException {
        var readers = new ArrayList<Future<?>>();
        try (var columns = new SourceColumns(pipe, postgres, definitions);
                var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = schedule.usefulReaders(); i > 0; i--) {
                var reader = new Reader(
                        session,
                        schedule,
                        progress,
                        stop,
                        inserts -> new ChunkLoader(session, clickHouse, ledger, columns, watchdog, inserts, stop));
                readers.add(threads.submit(reader::run));
            }
            threads.shutdown();
            watch(threads);
        }
        for (var reader : readers) {
            try {
                reader.get();
            } catch (ExecutionException e) {
                throw new IllegalStateException(
                        e.getCause()); // failures of chunks are in the schedule: this is a mistake
            }
        }
    }

    private void watch(ExecutorService threads) throws InterruptedException {
        int samples = 0;
        while (!threads.awaitTermination(BETWEEN_SAMPLES.toNanos(), TimeUnit.NANOSECONDS)) {
            progress.sample();
            giveUpSilence();
            if (++samples % SAMPLES_BETWEEN_LOG_LINES == 0) {
                log(progress.load());
            }
        }
    }

    private void giveUpSilence() {
        var limit = patience.now();
        if (watchdog.interruptSilent(limit)) {
            LOG.warn("nothing has moved for {} s: a chunk is tried again", limit.toSeconds());
            patience.wasTooShort();
            clickHouse.forgetConnections();
        }
    }

    private void waiting(Problem problem) {
        progress.waiting(problem);
        LOG.info(problem.sentence());
    }

    private static void log(WorkerStatus.Load load) {
        LOG.info(
                "{} of {} tables, {} %, {} rows, {} rows/s{}",
                load.tablesDone(),
                load.tablesTotal(),
                load.percent(),
                load.rows(),
                load.rowsPerSecond(),
                load.secondsLeft() == null ? "" : ", about " + readable(load.secondsLeft()) + " left");
    }

    private static String readable(long seconds) {
        return seconds < 120 ? seconds + " s" : seconds < 7200 ? seconds / 60 + " min" : seconds / 3600 + " h";
    }

    /** Fatal if one of them is: the others have been loaded, and a new run takes up what failed. */
    private static PipeException allOf(List<PipeException> failures) {
        var fatal = failures.stream().filter(failure -> !failure.retryable()).toList();
        if (fatal.isEmpty()) {
            return failures.getFirst();
        }
        return PipeException.fatal(fatal.stream()
                .flatMap(failure -> failure.problems().stream())
                .distinct()
                .toList());
    }
}
