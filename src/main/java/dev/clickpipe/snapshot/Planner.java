package dev.clickpipe.snapshot;

import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.RowVersion;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.postgres.ChunkPlanner;
import dev.clickpipe.postgres.LoadTurn;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SnapshotSession;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What of the load a session reads, decided in its worker's turn: a table that nobody has begun, it begins; one that other workers
 * read, it helps with; one that has to be read in one session, whichever has begun it keeps, and no session takes more than its
 * worker's share of those.
 *
 * <p>A session reads only what was planned before it was opened, or by itself. So it has every commit before each of its tables'
 * boundaries.
 */
final class Planner {
    private static final Logger LOG = LoggerFactory.getLogger(Planner.class);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final ChunkLedger ledger;
    private final int workers;

    /** @param workers of this load, this one included */
    Planner(
            Pipe pipe,
            PostgresClient postgres,
            ClickHouseClient clickHouse,
            Definitions definitions,
            ChunkLedger ledger,
            int workers) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = definitions;
        this.ledger = ledger;
        this.workers = workers;
    }

    /**
     * A table to read.
     *
     * @param plan to be begun anew, or gone on with; null: there is none
     * @param begins whether it is planned in this session
     */
    record Task(TableDefinition definition, ChunkLedger.Plan plan, boolean begins) {}

    /** The tables among the missing ones in which there is something to do for this worker now. */
    List<Task> tasks(LoadTurn turn, List<TableDefinition> missing, Map<String, ChunkLedger.Plan> plans) {
        int share = Math.ceilDiv(
                (int) missing.stream().filter(this::isWholeInSession).count(), workers);
        var tasks = new ArrayList<Task>();
        try (var connection = postgres.connect("plans the initial load")) {
            for (var definition : missing) {
                var plan = plans.get(definition.build());
                if (isWholeInSession(definition)) {
                    if (share > 0
                            && (plan == null
                                    || definition.loading() == null
                                    || turn.isOver(definition.loading().session()))) {
                        share--;
                        tasks.add(new Task(definition, plan, true));
                    }
                } else if (plan == null) {
                    tasks.add(new Task(definition, null, true));
                } else if (turn.alone()) {
                    tasks.add(new Task(definition, plan, !resumable(connection, plan)));
                } else if (isValid(connection, plan)
                        && plan.entries().stream()
                                .anyMatch(entry -> !entry.loaded() && turn.isUnclaimed(plan.name(entry)))) {
                    tasks.add(new Task(definition, plan, false));
                }
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
        // What nobody else can help with comes first.
        tasks.sort(Comparator.comparing((Task task) -> !isWholeInSession(task.definition)));
        return tasks;
    }

    /**
     * The tasks' tables with their chunks.
     *
     * @param failed told of a table that can't be loaded; the others are nevertheless
     */
    List<Schedule.Table> plan(
            SnapshotSession session, List<Task> tasks, BiConsumer<TableDefinition, PipeException> failed) {
        var tables = new ArrayList<Schedule.Table>();
        try (var connection = postgres.connect("plans the initial load")) {
            for (var task : tasks) {
                var definition = task.definition;
                boolean whole = isWholeInSession(definition);
                try {
                    var plan = task.begins ? begin(session, connection, task) : task.plan;
                    boolean repeatable = whole && TargetTable.deduplicates(clickHouse, definition.target());
                    var table = new Schedule.Table(definition, plan, whole, repeatable);
                    tables.add(task.begins || workers == 1 ? table : table.fromAnywhere(ThreadLocalRandom.current()));
                } catch (SQLException e) {
                    throw PostgresErrors.of(e, "table " + definition.source());
                } catch (PipeException e) {
                    if (e.retryable()) {
                        throw e;
                    }
                    failed.accept(definition, e);
                }
            }
            return tables;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    /** Whether a later session's rows would not fit to a former one's: see {@link Snapshot}. */
    private boolean isWholeInSession(TableDefinition definition) {
        return definition.engine().appendOnly()
                || !pipe.settings().replicationMode().streams();
    }

    private static boolean resumable(Connection connection, ChunkLedger.Plan plan) throws SQLException {
        return plan.entries().stream().anyMatch(ChunkLedger.Entry::loaded) && isValid(connection, plan);
    }

    private static boolean isValid(Connection connection, ChunkLedger.Plan plan) throws SQLException {
        return ChunkPlanner.stillValid(
                connection,
                plan.entries().stream().map(ChunkLedger.Entry::chunk).toList());
    }

    /**
     * A table begins, or begins anew: because its rows moved to another file since some chunks were read, so that the blocks of
     * the others hold different rows now, or because it has to be read in one session. What the target holds of before goes
     * first: a crash between the steps leaves a plan that is begun again.
     */
    private ChunkLedger.Plan begin(SnapshotSession session, Connection connection, Task task) throws SQLException {
        var definition = task.definition;
        var chunks = ChunkPlanner.plan(
                connection, definition.relid(), pipe.settings().snapshotNumRowsPerPartition(), key(definition));
        if (chunks.isEmpty()) {
            throw ChunkLoader.missing(definition);
        }
        if (task.plan != null) {
            // An insert whose answer was lost may still be running, and would bring its rows after they are removed.
            clickHouse.execute("KILL QUERY WHERE user = currentUser() AND Settings['log_comment'] = "
                    + ClickHouseClient.literal(definition.loadComment()) + " SYNC");
        }
        if (!definition.engine().stores()) {
            if (task.plan != null) {
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
        definitions.record(definition, new Loading(session.boundary().toString(), null, session.id()));
        return ledger.plan(definition.build(), chunks);
    }

    /**
     * An insert of a try before this one that was not yet running when its rows were removed: it was still on its way, or its
     * worker was stopped as it was about to send it.
     */
    void removeLatecomers(TableDefinition definition, ChunkLedger.Plan plan) {
        if (plan.generation() > 1) {
            removeBefore(Lsn.parse(definition.boundary()), definition);
        }
    }

    /** By which the spec wants the table cut; null: by blocks. */
    private String key(TableDefinition definition) {
        return pipe.mappings().stream()
                .filter(mapping -> mapping.source().equals(definition.source()))
                .map(TableMapping::partitionKey)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
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
}
