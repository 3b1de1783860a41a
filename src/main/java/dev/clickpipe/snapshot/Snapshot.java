package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Patience;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.LoadTurn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SnapshotSession;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
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
 *
 * <p>Several workers may be at one load, each with sessions of its own. That is the same as one worker's sessions, one after the
 * other, except that two of them must not read one chunk: they claim it, and look into the ledger again. If they do nevertheless,
 * because one was thought dead, the later session's rows count.
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
    private final Planner planner;
    private final int workers;
    private final Duration longestSession;
    private final Patience patience = new Patience();
    private final Watchdog watchdog = new Watchdog();
    /** The last session of this worker; null before the first. */
    private String formerSession;

    /** @param workers how many are at this load, this one included */
    public Snapshot(
            Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, MeterRegistry meters, int workers) {
        this(pipe, postgres, clickHouse, meters, workers, SESSION);
    }

    /** @param longestSession after which another session goes on with those tables that need not be read in one */
    Snapshot(
            Pipe pipe,
            PostgresClient postgres,
            ClickHouseClient clickHouse,
            MeterRegistry meters,
            int workers,
            Duration longestSession) {
        this.workers = workers;
        this.longestSession = longestSession;
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = new Definitions(clickHouse, pipe);
        this.ledger = new ChunkLedger(clickHouse, pipe);
        this.progress = new Progress(meters);
        this.planner = new Planner(pipe, postgres, clickHouse, definitions, ledger, workers);
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
        // What no retry of this worker cures. It ends with that when the others have loaded the rest, or can't either.
        var failures = new LinkedHashMap<String, PipeException>();
        var pause = Duration.ZERO;
        while (!stop.await(pause)) {
            pause = BETWEEN_SESSIONS;
            var plans = ledger.plans();
            var all = completed(definitions.all(), plans);
            if (all.isEmpty()) {
                throw PipeException.fatal(new Problem(
                        "NotSetUp",
                        "pipe " + pipe,
                        "no table definitions are recorded in " + clickHouse.object(),
                        "Run the setup mode first"));
            }
            show(all, plans, failures);
            var missing = missing(all);
            if (missing.isEmpty()) {
                progress.waiting(null);
                LOG.info(
                        "Load complete: {} tables, {} rows",
                        all.size(),
                        progress.load().rows());
                return;
            }
            if (missing.stream().allMatch(definition -> failures.containsKey(definition.build()))) {
                throw allOf(failures.values());
            }
            var turn = LoadTurn.take(postgres, pipe, workers == 1, this::waiting, stop);
            if (turn.isPresent() && takeTurn(turn.get(), failures, stop)) {
                pause = Duration.ZERO;
            }
        }
    }

    private void show(
            List<TableDefinition> all, Map<String, ChunkLedger.Plan> plans, Map<String, PipeException> failures) {
        failures.keySet().retainAll(all.stream().map(TableDefinition::build).toList());
        progress.begin(all, plans);
        failures.forEach((build, why) -> progress.failed(build, why.problems().getFirst()));
    }

    private static List<TableDefinition> missing(List<TableDefinition> all) {
        return all.stream().filter(definition -> !definition.loaded()).toList();
    }

    /**
     * What to do is decided by what is recorded when nobody else decides.
     *
     * @return whether there was a session, and every table of it is loaded
     */
    private boolean takeTurn(LoadTurn turn, Map<String, PipeException> failures, Stop stop)
            throws InterruptedException {
        try (turn) {
            if (formerSession != null && !turn.isOver(formerSession)) {
                return false; // the server has yet to notice that its readers are gone
            }
            var plans = ledger.plans();
            var all = definitions.all();
            show(all, plans, failures);
            var missing = missing(all).stream()
                    .filter(definition -> !failures.containsKey(definition.build()))
                    .filter(definition -> !plans.containsKey(definition.build())
                            || !plans.get(definition.build()).loaded())
                    .toList();
            if (missing.isEmpty()) {
                return false;
            }
            var loadable = missing.stream().filter(TableDefinition::loadable).toList();
            if (loadable.isEmpty()) {
                waitForStream(missing);
                return false;
            }
            var unchanged = unchanged(loadable);
            if (unchanged.isEmpty()) {
                waitForSchema(loadable.getFirst());
                return false;
            }
            var tasks = planner.tasks(turn, unchanged, plans);
            if (tasks.isEmpty()) {
                waiting(turn.others());
                return false;
            }
            var session = turn.open(this::waiting, stop);
            if (session.isEmpty()) {
                return false;
            }
            formerSession = session.get().id();
            return load(turn, session.get(), tasks, failures, stop);
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
    private boolean load(
            LoadTurn turn,
            SnapshotSession session,
            List<Planner.Task> tasks,
            Map<String, PipeException> failures,
            Stop stop)
            throws InterruptedException {
        try (session) {
            long openedAt = System.nanoTime();
            progress.waiting(null);
            LOG.info("Reading {} tables of {} as of {}", tasks.size(), postgres.object(), session.boundary());
            var tables = planner.plan(session, tasks, (definition, e) -> {
                failures.put(definition.build(), e);
                progress.failed(definition.build(), e.problems().getFirst());
            });
            turn.close();
            tables.forEach(table -> progress.planned(table.plan));
            var schedule = new Schedule(
                    tables,
                    pipe.settings().snapshotNumberOfParallelTables(),
                    pipe.settings().initialLoadParallelism(),
                    () -> System.nanoTime() - openedAt >= longestSession.toNanos(),
                    workers == 1 ? Schedule.Claims.ALL : new ClaimedChunks(session, ledger));
            read(session, schedule, stop);
            var missing = missing(completed(definitions.all(), ledger.plans()));
            if (!stop.requested()) {
                keep(schedule.failures(), failures);
            }
            return missing.stream().noneMatch(definition -> tasks.stream()
                    .anyMatch(task -> task.definition().build().equals(definition.build())));
        }
    }

    /** @throws PipeException what may pass, if anything has failed so */
    private static void keep(List<Schedule.Failure> failed, Map<String, PipeException> failures) {
        for (var failure : failed) {
            if (failure.why().retryable()) {
                throw failure.why();
            }
        }
        failed.forEach(failure -> failures.putIfAbsent(failure.definition().build(), failure.why()));
    }

    /** Records the load's end for those tables of which every chunk is in the ledger, whoever loaded the last. */
    private List<TableDefinition> completed(List<TableDefinition> all, Map<String, ChunkLedger.Plan> plans) {
        var loaded = missing(all).stream()
                .map(definition -> plans.get(definition.build()))
                .filter(plan -> plan != null && plan.loaded())
                .collect(Collectors.toMap(ChunkLedger.Plan::build, Function.identity()));
        if (loaded.isEmpty()) {
            return all;
        }
        var now = writtenUpTo();
        return all.stream()
                .map(definition -> {
                    var plan = loaded.get(definition.build());
                    if (plan == null) {
                        return definition;
                    }
                    LOG.info(
                            "{} is loaded into {}: {} rows in {} chunks",
                            definition.source(),
                            definition.target(),
                            plan.rows(),
                            plan.entries().size());
                    planner.removeLatecomers(definition, plan);
                    return definitions.record(definition, new Loading(definition.boundary(), now));
                })
                .toList();
    }

    private String writtenUpTo() {
        try (var connection = postgres.connect("ends a load");
                var query = connection.createStatement();
                var row = query.executeQuery(
                        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END")) {
            row.next();
            return row.getString(1);
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
                lookAtOthers();
                log(progress.load());
            }
        }
    }

    /** What the other workers have loaded counts here as well. */
    private void lookAtOthers() {
        if (workers == 1) {
            return;
        }
        try {
            progress.loaded(ledger.plans());
        } catch (PipeException e) {
            LOG.debug("how far the others are can't be told", e);
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
        var before = progress.status().problem();
        progress.waiting(problem);
        // While other workers are at it, that is all there is to say.
        if (before == null
                || !problem.reason().equals(Problem.ANOTHER_LOAD_RUNS)
                || !problem.reason().equals(before.reason())) {
            LOG.info(problem.sentence());
        }
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

    private static PipeException allOf(Collection<PipeException> failures) {
        return PipeException.fatal(failures.stream()
                .flatMap(failure -> failure.problems().stream())
                .distinct()
                .toList());
    }
}
