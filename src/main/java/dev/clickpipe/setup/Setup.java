package dev.clickpipe.setup;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.TableDefinition;
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
import dev.clickpipe.postgres.Publications.Operations;
import dev.clickpipe.postgres.Slots;
import dev.clickpipe.postgres.SourceTable;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Checks both sides, all problems at once, before anything is made. Then makes targets, definitions, publications and last the
 * slot, so that a Setup that fails keeps no WAL on the source; what it made until then it takes back. Run again after success,
 * or after a crash at any point, it makes what is missing and changes nothing else.
 */
public final class Setup implements Mode {
    private static final Logger LOG = LoggerFactory.getLogger(Setup.class);

    /** Long enough for a server that restarts; then the user should see it, and the operator starts Setup again. */
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final String ANEW = "Delete and create the pipe, so that it loads anew";

    /** PostgreSQL documentation, appendix A. */
    private static final String DUPLICATE_OBJECT = "42710";

    private static final int FAILOVER_SLOTS_SINCE = 17;

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final Offsets offsets;
    private final Deque<Made> made = new ArrayDeque<>();
    private volatile Problem waiting;
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;

    public Setup(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = new Definitions(clickHouse, pipe);
        this.offsets = new Offsets(clickHouse, pipe);
    }

    /** Something this run made, and how to take it back. */
    private record Made(String what, Undo undo) {}

    @FunctionalInterface
    private interface Undo {
        void run() throws SQLException, InterruptedException;
    }

    @Override
    public Optional<Duration> patience() {
        return Optional.of(PATIENCE);
    }

    @Override
    public WorkerStatus status() {
        return new WorkerStatus("setup", state, waiting, null, null, List.of());
    }

    @Override
    public void run(Stop stop) throws InterruptedException {
        state = WorkerStatus.State.Starting;
        var source = check();
        state = WorkerStatus.State.Working;
        made.clear();
        boolean complete = false;
        try {
            complete = make(source, stop);
        } catch (SQLException e) {
            if (DUPLICATE_OBJECT.equals(e.getSQLState())) {
                made.pop(); // another Setup's, and not ours to take back
            }
            throw PostgresErrors.of(e, postgres.object());
        } finally {
            waiting = null;
            if (!complete) {
                takeBack();
            }
        }
    }

    /**
     * All problems of both sides.
     *
     * @throws PipeException with them; retryable when all that is wrong is that a server can't be reached
     */
    private SourceChecks.Result check() {
        var problems = new ArrayList<Problem>();
        boolean retryable = true;
        var source = new SourceChecks.Result(List.of(), null, false, List.of());
        try {
            source = SourceChecks.run(pipe, postgres);
            problems.addAll(source.problems());
            retryable = source.problems().isEmpty();
        } catch (PipeException e) {
            problems.addAll(e.problems());
            retryable = isTransient(e);
        }
        try {
            var found = new ArrayList<>(DestinationChecks.run(
                    pipe,
                    clickHouse,
                    source.tables().stream().map(SourceChecks.Table::definition).toList()));
            if (problems.isEmpty() && found.isEmpty()) {
                found.addAll(checkContinuity(source));
            }
            problems.addAll(found);
            retryable &= found.isEmpty();
        } catch (PipeException e) {
            problems.addAll(e.problems());
            retryable &= isTransient(e);
        }
        if (problems.isEmpty()) {
            return source;
        }
        throw retryable ? PipeException.retryable(problems) : PipeException.fatal(problems);
    }

    /** Elsewhere a refused login is worth another try, for it may be being rotated; here it is likely wrong. */
    private static boolean isTransient(PipeException e) {
        return e.retryable()
                && e.problems().stream().noneMatch(problem -> problem.reason().equals("LoginRefused"));
    }

    /** What keeps a pipe that ran already from going on where it was: made anew, it would skip changes without a word. */
    private List<Problem> checkContinuity(SourceChecks.Result source) {
        var problems = new ArrayList<Problem>();
        var offset = offsets.read();
        if (offset.isEmpty()) {
            return problems;
        }
        if (!pipe.settings().replicationMode().streams()) {
            problems.add(new Problem(
                    "ReplicationModeChanged",
                    "slot " + offset.get().slot(),
                    "was made to follow changes; with replicationMode snapshot nobody would read it, and it would keep all WAL",
                    "Set replicationMode back; or d" + ANEW.substring(1)));
            return problems;
        }
        if (!offset.get().systemIdentifier().equals(source.systemIdentifier())) {
            problems.add(new Problem(
                    "SourceReplaced",
                    postgres.object(),
                    "is another database cluster than the pipe was made for: its system identifier is %s, not %s"
                            .formatted(source.systemIdentifier(), offset.get().systemIdentifier()),
                    ANEW));
        } else if (!source.slotIsThere()) {
            problems.add(new Problem(
                    "SlotMissing",
                    "slot " + pipe.slot(),
                    "was dropped: changes after " + offset.get().lsn() + " can't be read any more",
                    ANEW));
        }
        var wanted = source.tables().stream()
                .map(SourceChecks.Table::definition)
                .collect(Collectors.toMap(TableDefinition::source, Function.identity()));
        for (var recorded : definitions.all()) {
            var now = wanted.get(recorded.source());
            if (now != null && !now.target().equals(recorded.target())) {
                problems.add(new Problem(
                        "TargetChanged",
                        "table " + recorded.source(),
                        "is replicated into " + recorded.target() + " already",
                        "Set targetTable back to it; or d" + ANEW.substring(1)));
            } else if (now != null && !clickHouse.exists(recorded.target())) {
                problems.add(new Problem(
                        "TargetTableMissing",
                        "table " + clickHouse.database() + "." + recorded.target(),
                        "was dropped or renamed while the pipe replicates into it",
                        "Restore it; or d" + ANEW.substring(1)));
            }
        }
        return problems;
    }

    /** @return false when stopped */
    private boolean make(SourceChecks.Result source, Stop stop) throws SQLException, InterruptedException {
        definitions.create();
        offsets.create();
        forgetUnmapped(source.tables());
        var recorded =
                definitions.all().stream().collect(Collectors.toMap(TableDefinition::source, Function.identity()));
        for (var table : source.tables()) {
            makeTarget(table.definition(), recorded.get(table.definition().source()));
            tellWhatMaySurprise(table);
        }
        if (!pipe.settings().replicationMode().streams()) {
            return true;
        }
        return makePublications(source.tables(), stop) && makeSlot(source.systemIdentifier(), stop);
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

    /** What a former Setup that did not come to its end recorded for tables that are not mapped now. */
    private void forgetUnmapped(List<SourceChecks.Table> tables) {
        for (var definition : definitions.all()) {
            if (tables.stream().noneMatch(table -> table.definition().source().equals(definition.source()))) {
                LOG.info("{} is not mapped any more: forgetting it", definition.source());
                definitions.forget(definition);
                TargetTable.find(clickHouse, definition.target())
                        .filter(target -> target.createdBy(pipe) && target.empty())
                        .ifPresent(target -> drop(target.name()));
            }
        }
    }

    private void makeTarget(TableDefinition wanted, TableDefinition recorded) {
        var target = TargetTable.find(clickHouse, wanted.target());
        if (target.isPresent() && recorded != null) {
            boolean same = wanted.columns().equals(recorded.columns())
                    && wanted.sortingKey().equals(recorded.sortingKey())
                    && wanted.keyColumns().equals(recorded.keyColumns())
                    && wanted.engine() == recorded.engine();
            boolean untouched = target.get().createdBy(pipe) && target.get().empty() && recorded.boundary() == null;
            if (same || !untouched) {
                return;
            }
        }
        if (target.isPresent() && target.get().createdBy(pipe) && target.get().empty()) {
            drop(wanted.target());
            target = Optional.empty();
        }
        if (target.isEmpty()) {
            clickHouse.execute(TargetTable.createStatement(
                    wanted,
                    clickHouse.engine(TargetTable.engine(wanted, pipe.settings().deleteOnMerge())),
                    TargetTable.comment(pipe, wanted)));
            LOG.info("made table {}.{} for {}", clickHouse.database(), wanted.target(), wanted.source());
            made.push(new Made("table " + wanted.target(), () -> dropIfEmpty(wanted.target())));
        }
        if (recorded != null) {
            definitions.forget(recorded);
        }
        var built = wanted.built(null, null, null);
        definitions.record(built);
        made.push(new Made("definition of " + wanted.source(), () -> definitions.forget(built)));
    }

    private boolean makePublications(List<SourceChecks.Table> tables, Stop stop)
            throws SQLException, InterruptedException {
        if (!pipe.settings().ownsPublication()) {
            return true;
        }
        var byIdentity = tables.stream()
                .map(SourceChecks.Table::source)
                .collect(Collectors.partitioningBy(SourceTable::hasUsableIdentity));
        return makePublication(pipe.publication(), byIdentity.get(true), Operations.ALL, stop)
                && makePublication(pipe.insertOnlyPublication(), byIdentity.get(false), Operations.INSERT_ONLY, stop);
    }

    private boolean makePublication(String name, List<SourceTable> tables, Operations operations, Stop stop)
            throws SQLException, InterruptedException {
        Optional<Publications.Publication> there;
        try (var connection = postgres.connect("looks for the publication")) {
            there = Publications.find(connection, name);
        }
        if (there.isPresent()) {
            return reconcile(there.get(), tables, stop);
        }
        if (tables.isEmpty()) {
            return true;
        }
        // Noted before it is made: of a connection lost in between nobody knows what became of the statement.
        made.push(new Made("publication " + name, () -> dropPublication(name)));
        if (!Publications.create(postgres, name, tables, operations, this::waitFor, stop)) {
            return false;
        }
        LOG.info("made publication {} of {} tables: {}", name, tables.size(), operations);
        waiting = null;
        return true;
    }

    private boolean reconcile(Publications.Publication there, List<SourceTable> tables, Stop stop)
            throws SQLException, InterruptedException {
        if (tables.isEmpty()) {
            dropPublication(there.name());
            return true;
        }
        boolean same = there.tables().size() == tables.size()
                && tables.stream().allMatch(table -> there.table(table.schema(), table.name())
                        .isPresent());
        if (same) {
            return true;
        }
        LOG.info("publication {} gets the tables that are mapped now", there.name());
        boolean done = Publications.setTables(postgres, there.name(), tables, this::waitFor, stop);
        waiting = null;
        return done;
    }

    private boolean makeSlot(String systemIdentifier, Stop stop) throws SQLException, InterruptedException {
        var name = pipe.slot();
        Optional<Slots.Slot> there;
        boolean failover;
        try (var connection = postgres.connect("looks for the slot")) {
            there = Slots.find(connection, name);
            failover = pipe.settings().enableFailoverSlots()
                    && connection.getMetaData().getDatabaseMajorVersion() >= FAILOVER_SLOTS_SINCE;
        }
        var start = there.map(Slots.Slot::confirmed);
        if (there.isEmpty()) {
            LOG.info("making slot {}; Postgres waits for the transactions that are writing now", name);
            made.push(new Made("slot " + name, () -> dropSlot(name)));
            start = Slots.create(postgres, name, failover, this::waitFor, stop);
            if (start.isEmpty()) {
                return false;
            }
            waiting = null;
            LOG.info("made slot {}{}, consistent from {} on", name, failover ? " (failover)" : "", start.get());
        }
        if (offsets.read().isEmpty()) {
            offsets.record(new Offsets.Offset(name, systemIdentifier, start.orElseThrow()));
        }
        return true;
    }

    private void waitFor(Problem problem) {
        waiting = problem;
        LOG.warn("{}", problem.sentence());
    }

    private void takeBack() {
        while (!made.isEmpty()) {
            var thing = made.pop();
            try {
                thing.undo().run();
                LOG.info("took back {}", thing.what());
            } catch (SQLException | PipeException e) {
                LOG.warn("could not take back {}: {}", thing.what(), e.getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private void drop(String target) {
        TargetTable.drop(clickHouse, target);
    }

    private void dropIfEmpty(String target) {
        if (clickHouse
                .query("SELECT 1 FROM " + identifier(target) + " LIMIT 1", Map.of())
                .isEmpty()) {
            drop(target);
        }
    }

    private void dropPublication(String name) throws SQLException {
        try (Connection connection = postgres.connect("drops the publication")) {
            Publications.drop(connection, name);
        }
    }

    private void dropSlot(String name) throws SQLException, InterruptedException {
        try (Connection connection = postgres.connect("drops the slot")) {
            Slots.drop(connection, name);
        }
    }
}
