package dev.clickpipe.setup;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Swap;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Publishing;
import dev.clickpipe.clickhouse.TableDefinition.Streaming;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.PipeLock;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SourceTable;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes a pipe's tables what its spec says, at its beginning and after every edit, while the stream of a pipe that runs goes on.
 *
 * <p>It checks both sides, all problems at once, before anything is made. Then it makes targets, takes tables that are not mapped
 * any more out, alters publications, makes the slot where there is none to go on with, and records last what the other run modes
 * go by. What a Setup that fails has made until then it takes back, so that it keeps no WAL on the source. Run again after
 * success, or after a crash at any point, it makes what is missing and changes nothing else.
 */
public final class Setup implements Mode {
    private static final Logger LOG = LoggerFactory.getLogger(Setup.class);

    /** Long enough for a server that restarts; then the user should see it, and the operator starts Setup again. */
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    /** PostgreSQL documentation, appendix A. */
    private static final String DUPLICATE_OBJECT = "42710";

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final Offsets offsets;
    private final Undo undo;
    private final Targets targets;
    private volatile Problem waiting;
    private volatile WorkerStatus.Load load;
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;

    public Setup(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse) {
        this(pipe, postgres, clickHouse, new Undo());
    }

    Setup(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse, Undo undo) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = new Definitions(clickHouse, pipe);
        this.offsets = new Offsets(clickHouse, pipe);
        this.undo = undo;
        this.targets = new Targets(pipe, clickHouse, definitions, undo);
    }

    @Override
    public Optional<Duration> patience() {
        return Optional.of(PATIENCE);
    }

    @Override
    public WorkerStatus status() {
        return new WorkerStatus("setup", state, waiting, load, null, List.of());
    }

    @Override
    public void run(Stop stop) throws InterruptedException {
        state = WorkerStatus.State.Starting;
        PipeException unreachable = null;
        var lock = Optional.<PipeLock>empty();
        try {
            lock = PipeLock.take(postgres, pipe, this::waitFor, stop);
            waitFor(null);
        } catch (PipeException e) {
            unreachable = e;
        }
        try {
            if (unreachable == null && lock.isEmpty()) {
                return; // stopped
            }
            var checked = check();
            if (unreachable != null) {
                throw unreachable; // it was for a moment
            }
            state = WorkerStatus.State.Working;
            make(checked, stop);
        } finally {
            lock.ifPresent(PipeLock::close);
        }
    }

    /** @param source what is recorded there is what counts; {@code before} is what was read */
    private record Checked(Recorded before, SourceChecks.Result source) {}

    /**
     * All problems of both sides.
     *
     * @throws PipeException with them; retryable when all that is wrong is that a server can't be reached
     */
    private Checked check() {
        var problems = new ArrayList<Problem>();
        boolean retryable = true;
        var recorded = Recorded.NOTHING;
        PipeException unread = null;
        try {
            recorded = read();
        } catch (PipeException e) {
            unread = e;
        }
        var source = new SourceChecks.Result(recorded, Work.of(pipe, recorded), List.of(), null, List.of());
        try {
            source = SourceChecks.run(pipe, postgres, recorded, offsets::read);
            problems.addAll(source.problems());
            retryable = source.problems().isEmpty();
        } catch (PipeException e) {
            problems.addAll(e.problems());
            retryable = isTransient(e);
        }
        try {
            if (unread != null) {
                throw unread;
            }
            var found = DestinationChecks.run(
                    pipe,
                    clickHouse,
                    source.recorded(),
                    source.work(),
                    source.tables().stream()
                            .collect(Collectors.toMap(
                                    table -> table.mapping().source(), SourceChecks.Table::definition)));
            problems.addAll(found);
            retryable &= found.isEmpty();
        } catch (PipeException e) {
            problems.addAll(e.problems());
            retryable &= isTransient(e);
        }
        if (problems.isEmpty()) {
            return new Checked(recorded, source);
        }
        throw retryable ? PipeException.retryable(problems) : PipeException.fatal(problems);
    }

    /** Elsewhere a refused login is worth another try, for it may be being rotated; here it is likely wrong. */
    private static boolean isTransient(PipeException e) {
        return e.retryable()
                && e.problems().stream().noneMatch(problem -> problem.reason().equals("LoginRefused"));
    }

    /** A swap that was cut off is ended first: the names stand for other tables already. */
    private Recorded read() {
        var swap = new Swap(clickHouse, pipe);
        var builds = definitions.all();
        for (var build : builds) {
            if (build.replaces() && swap.begun(build)) {
                swap.run(build, builds);
            }
        }
        return new Recorded(definitions.all(), offsets.read(), TargetTable.list(clickHouse));
    }

    private void make(Checked checked, Stop stop) throws InterruptedException {
        undo.clear();
        boolean complete = false;
        try {
            complete = makeAll(checked, stop);
        } catch (SQLException e) {
            if (DUPLICATE_OBJECT.equals(e.getSQLState())) {
                undo.pop(); // another Setup's, and not ours to take back
            }
            throw PostgresErrors.of(e, postgres.object());
        } finally {
            waitFor(null);
            if (!complete) {
                undo.run();
            }
        }
    }

    /** @return false when stopped */
    private boolean makeAll(Checked checked, Stop stop) throws SQLException, InterruptedException {
        var recorded = checked.source().recorded();
        var work = checked.source().work();
        var sources = checked.source().tables().stream()
                .collect(Collectors.toMap(table -> table.mapping().source(), Function.identity()));
        boolean streams = pipe.settings().replicationMode().streams();
        var replication = new Replication(pipe, postgres, offsets, undo, this::waitFor, stop);

        definitions.create();
        offsets.create();
        recordUnfollowed(checked.before(), recorded);
        if (!streams) {
            replication.remove();
        }
        targets.removeLeftovers(recorded);
        work.tables().stream()
                .filter(table -> table.decision() == Decision.CANCEL)
                .forEach(table -> targets.remove(table.replacement().orElseThrow()));
        var builds = work.tables().stream().filter(Work.Table::builds).toList();
        var built = targets.buildAll(
                builds, table -> sources.get(table.mapping().source()).definition());
        work.unwanted().forEach(targets::remove);
        var published = Optional.of(Map.<String, Publishing>of());
        if (streams) {
            published = replication.publish(
                    recorded,
                    work.kept().toList(),
                    builds.stream()
                            .map(table -> sources.get(table.mapping().source()))
                            .toList());
            if (published.isEmpty()
                    || !replication.makeSlot(recorded, checked.source().lineage())) {
                return false;
            }
        }
        work.unwanted().stream()
                .filter(build -> !build.replaces())
                .filter(build -> pipe.mappings().stream()
                        .noneMatch(mapping -> mapping.targetTable().equals(build.target())))
                .forEach(targets::removeTarget);
        for (var build : built) {
            definitions.record(build.withPublishing(published.get().get(build.source())));
            tellWhatMaySurprise(sources.get(build.source()));
        }
        work.tables().forEach(this::recordIgnored);
        leave(Stream.concat(work.kept(), built.stream()).toList());
        return true;
    }

    /** Whoever follows changes takes its hands off what has missed some, before anything else is done. */
    private void recordUnfollowed(Recorded before, Recorded now) {
        for (var build : before.builds()) {
            if (build.publishing() != null && !now.builds().contains(build)) {
                definitions.record(build.withPublishing(null));
                definitions.record(build, (Streaming) null);
                LOG.info("{}: {} is followed by no stream any more", build.source(), build.target());
            }
        }
    }

    /** That much of a mapping changes in place: the stream takes it up. */
    private void recordIgnored(Work.Table table) {
        var ignored = KeyRules.ignored(table.mapping());
        table.kept().stream()
                .filter(build -> !build.ignored().equals(ignored))
                .forEach(build -> definitions.record(build.withIgnored(ignored)));
    }

    /** What is to be loaded now. */
    private void leave(List<TableDefinition> builds) {
        boolean loads = pipe.settings().replicationMode().loads();
        int done =
                (int) builds.stream().filter(build -> build.loaded() || !loads).count();
        int replacements =
                (int) builds.stream().filter(TableDefinition::replaces).count();
        load = new WorkerStatus.Load(done, builds.size(), replacements, 0, 0, 0, 0, 0, null);
    }

    private void tellWhatMaySurprise(SourceChecks.Table table) {
        var definition = table.definition();
        var unpublished = KeyRules.unpublished(pipe, table.source());
        if (!unpublished.isEmpty()) {
            LOG.info(
                    "{}: generated columns {} are not replicated, Postgres does not publish them",
                    definition.source(),
                    unpublished);
        }
        if (!definition.engine().appendOnly()
                && table.source().primaryKey().isEmpty()
                && table.source().identity() != SourceTable.ReplicaIdentity.INDEX) {
            LOG.warn(
                    "{}: the table has no key; rows that agree in the sortingKeys {} become one",
                    definition.source(),
                    definition.sortingKey());
        }
        if (definition.engine().appendOnly()
                && definition.keyColumns().isEmpty()
                && pipe.settings().replicationMode().streams()) {
            LOG.warn(
                    "{}: without a replica identity its inserts are replicated, not its updates and deletes",
                    definition.source());
        }
    }

    /** @param problem null when nothing is waited for */
    private void waitFor(Problem problem) {
        waiting = problem;
        if (problem != null) {
            LOG.warn("{}", problem.sentence());
        }
    }
}
