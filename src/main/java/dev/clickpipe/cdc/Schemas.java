package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.cdc.SchemaChange.Added;
import dev.clickpipe.cdc.SchemaChange.Dropped;
import dev.clickpipe.cdc.SchemaChange.Renamed;
import dev.clickpipe.cdc.SchemaChange.Widened;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.ClickHouseErrors;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.UnrepresentableValue;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.LoadLock;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.MissingValues;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SourceShape;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings targets to the source's schema, and records it, between two connections: only while this worker holds the slot, and no
 * former worker's insert runs. The catalogue may be ahead of the stream, which is no harm: rows of former shapes fit what is
 * recorded, see {@link Shape}. Each step may be cut off and is done again.
 */
final class Schemas {
    private static final Logger LOG = LoggerFactory.getLogger(Schemas.class);

    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;

    Schemas(PostgresClient postgres, ClickHouseClient clickHouse, Definitions definitions) {
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = definitions;
    }

    /** What the source's tables are like now, by OID. */
    static Map<Long, SourceShape> look(Connection connection, Collection<TableDefinition> builds) throws SQLException {
        var publications = new HashMap<Long, String>();
        builds.forEach(build -> publications.put(
                build.relid(),
                build.publishing() == null ? "" : build.publishing().publication()));
        return SourceShape.read(connection, publications);
    }

    /** Whether the target was brought to what the source's table is like now. A table that is gone is no matter of its shape. */
    static boolean isFollowed(TableDefinition build, Map<Long, SourceShape> now) {
        var shape = now.get(build.relid());
        return shape == null
                || build.followed() != null && build.followed().shape().equals(shape);
    }

    /**
     * @param nullArrived by build the numbers of columns that held NULL, though they must not by what is recorded
     * @return whether anything was recorded
     * @throws TableFailure the first that can't be followed
     */
    boolean follow(List<TableDefinition> builds, Map<String, Set<Integer>> nullArrived) {
        try (var connection = postgres.connect("schema changes")) {
            var now = look(connection, builds);
            boolean any = false;
            for (var build : builds) {
                var nulls = nullArrived.getOrDefault(build.build(), Set.of());
                if (now.containsKey(build.relid()) && (!nulls.isEmpty() || !isFollowed(build, now))) {
                    follow(connection, build, nulls);
                    any = true;
                }
            }
            return any;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private void follow(Connection connection, TableDefinition build, Set<Integer> nullArrived) throws SQLException {
        // No chunk is loaded meanwhile: it would be inserted under names that change.
        LoadLock.take(connection, build.build());
        try {
            var seen = see(connection, build);
            if (seen == null) {
                return;
            }
            var evolution = Evolution.of(build, seen, nullArrived);
            if (!evolution.changes().isEmpty()) {
                endLoadsOfFormerWorkers(build);
                alter(build, evolution.changes());
            }
            definitions.record(build, build.streaming().withFollowed(evolution.followed()));
            evolution
                    .changes()
                    .forEach(change -> LOG.info("{}: {} ({})", build.source(), change.sentence(), build.target()));
        } finally {
            LoadLock.release(connection, build.build());
        }
    }

    /** All of one moment; null when the table is gone. */
    private static Evolution.Seen see(Connection connection, TableDefinition build) throws SQLException {
        connection.setAutoCommit(false);
        try {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            var shape = look(connection, List.of(build)).get(build.relid());
            var table = Catalogue.table(connection, build.relid());
            if (shape == null || table.isEmpty()) {
                return null;
            }
            var missing = MissingValues.read(connection, build.relid());
            try (var statement = connection.createStatement();
                    var row = statement.executeQuery(
                            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END")) {
                row.next();
                return new Evolution.Seen(shape, table.get(), missing, Lsn.parse(row.getString(1)));
            }
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    /** What it loaded is not marked as loaded, and will be loaded again. */
    private void endLoadsOfFormerWorkers(TableDefinition build) {
        clickHouse.execute("KILL QUERY WHERE user = currentUser() AND Settings['log_comment'] = "
                + ClickHouseClient.literal(build.loadComment()) + " SYNC");
    }

    private void alter(TableDefinition build, List<SchemaChange> changes) {
        try {
            changes.forEach(change -> alter(build, change));
        } catch (PipeException e) {
            var problem = e.problems().getFirst();
            boolean refused = !e.retryable()
                    && (ClickHouseErrors.concernTable(problem)
                            || problem.reason().equals("ClickHouseError"));
            if (!refused) {
                throw e;
            }
            throw new TableFailure(
                    build,
                    new Problem(
                            "TargetNotAltered",
                            "table " + clickHouse.database() + "." + build.target(),
                            "a change of " + build.source() + " can't be followed: " + problem.message(),
                            "Take off what the message names, if it was added to the target"));
        }
    }

    /** Done again after it was cut off, it does what is missing. */
    private void alter(TableDefinition build, SchemaChange change) {
        var target = TargetTable.find(clickHouse, build.target())
                .orElseThrow(() -> new TableFailure(
                        build,
                        new Problem(
                                "TargetTableMissing",
                                "table " + clickHouse.database() + "." + build.target(),
                                "it was dropped or renamed",
                                "Restore it")));
        var alter = "ALTER TABLE " + identifier(build.target()) + " ";
        switch (change) {
            case Dropped dropped -> {}
            case Renamed renamed -> {
                boolean old = target.columns().containsKey(renamed.from());
                if (target.columns().containsKey(renamed.to())) {
                    if (old) {
                        throw refused(
                                build,
                                renamed.to(),
                                "column " + renamed.from() + " was renamed to it in the source, and the target has one"
                                        + " of that name already");
                    }
                } else if (old && !build.engine().stores()) {
                    clickHouse.execute(alter + "ADD COLUMN IF NOT EXISTS " + identifier(renamed.to()) + " "
                            + target.columns().get(renamed.from()).type() + " AFTER " + identifier(renamed.from())
                            + ", DROP COLUMN " + identifier(renamed.from()));
                } else {
                    clickHouse.execute(
                            alter + "RENAME COLUMN " + identifier(renamed.from()) + " TO " + identifier(renamed.to()));
                }
            }
            case Widened widened -> {
                var there = target.columns().get(widened.column().name());
                if (there == null
                        || !TargetTable.holds(there.type(), widened.column().clickHouseType())) {
                    clickHouse.execute(alter + "MODIFY COLUMN "
                            + identifier(widened.column().name()) + " "
                            + widened.column().clickHouseType());
                }
            }
            case Added added -> add(build, target, alter, added);
        }
    }

    private void add(TableDefinition build, TargetTable target, String alter, Added added) {
        var name = identifier(added.column().name());
        var type = added.column().clickHouseType();
        // Where nothing is stored no row is from before.
        var missing = build.engine().stores() ? missing(build, added) : null;
        var there = target.columns().get(added.column().name());
        if (there == null) {
            var after = added.after() != null && target.columns().containsKey(added.after())
                    ? " AFTER " + identifier(added.after())
                    : "";
            clickHouse.execute(alter + "ADD COLUMN IF NOT EXISTS " + name + " " + type
                    + (missing == null ? "" : " DEFAULT " + missing) + after);
        } else {
            takeOver(build, there, added, missing);
        }
        boolean keepsNull = build.request() == null || build.request().layout().nullables();
        boolean nullMeansDefault = type.startsWith("Array(") || !keepsNull && !type.contains("Nullable(");
        if (missing != null
                && nullMeansDefault
                && (there == null || there.defaultKind().equals("DEFAULT"))) {
            // A NULL that comes later becomes the type's default, not this one.
            clickHouse.execute(alter + "MATERIALIZE COLUMN " + name + " SETTINGS mutations_sync = 2");
            clickHouse.execute(alter + "MODIFY COLUMN " + name + " REMOVE DEFAULT");
        }
    }

    private static String missing(TableDefinition build, Added added) {
        if (added.missing() == null) {
            return null;
        }
        var column = added.column();
        try {
            return TargetLookup.literal(
                    ByteBuffer.wrap(Widening.encoded(column.mapping().encoder(), added.missing())),
                    column.clickHouseType());
        } catch (UnrepresentableValue e) {
            throw new TableFailure(build, e.in(build.source(), column.name()));
        }
    }

    /** A column that the user made, or a worker that was cut off: it serves when no row in it contradicts the source. */
    private void takeOver(TableDefinition build, TargetTable.Column there, Added added, String missing) {
        var name = added.column().name();
        if (!there.insertable()
                || !TargetTable.holds(there.type(), added.column().clickHouseType())) {
            throw refused(
                    build,
                    name,
                    "it was added in the source, " + added.column().clickHouseType()
                            + ", and the target has one of that name already, "
                            + (there.insertable() ? "" : there.defaultKind() + " ") + there.type());
        }
        var column = identifier(name);
        var contradiction = missing == null
                ? there.type().contains("Nullable(") && !there.type().startsWith("Array(")
                        ? column + " IS NOT NULL"
                        : column + " != defaultValueOfTypeName(" + ClickHouseClient.literal(there.type()) + ")"
                : "NOT ifNull(" + column + " = " + missing + ", 0)";
        if (!clickHouse
                .query("SELECT 1 FROM " + identifier(build.target()) + " WHERE " + contradiction + " LIMIT 1", Map.of())
                .isEmpty()) {
            throw refused(
                    build,
                    name,
                    "it was added in the source, and the target has one of that name already, with other values than"
                            + " the source's rows have");
        }
    }

    private TableFailure refused(TableDefinition build, String column, String message) {
        return new TableFailure(
                build,
                new Problem(
                        "TargetColumnTaken",
                        "table " + clickHouse.database() + "." + build.target() + ", column " + column,
                        message,
                        "Rename or drop the target's column"));
    }
}
