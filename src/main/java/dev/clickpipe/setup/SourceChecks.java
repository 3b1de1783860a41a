package dev.clickpipe.setup;

import static dev.clickpipe.postgres.Publications.identifier;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.Lineage;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SourceTable;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** Everything that can be known of the source and its tables before anything is made there. Reads only. */
final class SourceChecks {
    private static final int OLDEST_VERSION = 14;

    /** {@code attnum} of the system column (PostgreSQL source, sysattr.h). */
    private static final int CTID = -1;

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ReplicationMode mode;
    private final Supplier<Optional<Offsets.Offset>> offset;
    private final List<Problem> problems = new ArrayList<>();
    private final List<Table> tables = new ArrayList<>();
    private Recorded recorded;
    private Work work;
    private Lineage lineage;
    /** Quoted, for remedies. */
    private String user;

    private SourceChecks(
            Pipe pipe, PostgresClient postgres, Recorded recorded, Supplier<Optional<Offsets.Offset>> offset) {
        this.pipe = pipe;
        this.offset = offset;
        this.postgres = postgres;
        this.recorded = recorded;
        this.work = Work.of(pipe, recorded);
        this.mode = pipe.settings().replicationMode();
    }

    /** A mapped table that was found. */
    record Table(TableMapping mapping, SourceTable source, TableDefinition definition) {}

    /**
     * @param recorded what counts of what is recorded
     * @param work what is to be done
     * @param tables those that need a look and were found, in the mappings' order
     * @param lineage of the server; null when it was not asked or did not answer
     */
    record Result(Recorded recorded, Work work, List<Table> tables, Lineage lineage, List<Problem> problems) {}

    /**
     * @param offset reads how far the stream has come by now
     * @throws PipeException retryable, when the connection is lost on the way
     */
    static Result run(
            Pipe pipe, PostgresClient postgres, Recorded recorded, Supplier<Optional<Offsets.Offset>> offset) {
        var checks = new SourceChecks(pipe, postgres, recorded, offset);
        checks.run();
        return new Result(
                checks.recorded, checks.work, List.copyOf(checks.tables), checks.lineage, List.copyOf(checks.problems));
    }

    private void run() {
        try (var connection = postgres.connect("setup checks")) {
            var source = new Query(connection);
            user = source.one("SELECT quote_ident(current_user)", row -> row.getString(1));
            if (!checkServer(source)) {
                return;
            }
            if (!mode.streams()) {
                recorded = recorded.unfollowed();
                work = Work.of(pipe, recorded);
                checkTables(source);
                return;
            }
            var replication = new ReplicationChecks(pipe, postgres, source, user, problems);
            lineage = replication.checkServer();
            if (!recorded.followed(pipe).isEmpty()) {
                // The stream goes on meanwhile. It records its offset before the slot moves, so the slot was looked at
                // first.
                recorded = recorded.at(offset.get());
            }
            var continuity = Continuity.of(pipe, recorded, replication.source(recorded));
            continuity.problem().ifPresent(problems::add);
            recorded = continuity.recorded();
            work = Work.of(pipe, recorded);
            checkTables(source);
            replication.checkTables(
                    List.copyOf(tables), !recorded.followed(pipe).isEmpty(), work.leavesLoad(mode.loads()));
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    /** False where nothing else can be asked. */
    private boolean checkServer(Query source) throws SQLException {
        int version = source.connection().getMetaData().getDatabaseMajorVersion();
        if (version < OLDEST_VERSION) {
            problem(
                    "PostgresTooOld",
                    postgres.object(),
                    "is Postgres " + version,
                    "Upgrade it to Postgres " + OLDEST_VERSION + " or later");
            return false;
        }
        if (source.one("SELECT pg_is_in_recovery()", row -> row.getBoolean(1))) {
            problem("SourceIsStandby", postgres.object(), "is a standby", "Name the primary as the source");
        }
        return true;
    }

    private void checkTables(Query source) throws SQLException {
        var seen = new HashSet<String>();
        for (var mapping : pipe.mappings()) {
            if (!seen.add(mapping.source())) {
                problem(
                        "SourceMappedTwice",
                        "table " + mapping.source(),
                        "is in tableMappings twice",
                        "Map it once; a second pipe can copy it to a second target");
                continue;
            }
            if (work.tables().stream().noneMatch(table -> table.mapping() == mapping && table.settled(mode.loads()))) {
                checkTable(source, mapping);
            }
        }
        checkPartitionsOfMappedTables(source);
    }

    private void checkTable(Query source, TableMapping mapping) throws SQLException {
        var object = "table " + mapping.source();
        var found = Catalogue.table(source.connection(), mapping.sourceSchemaName(), mapping.sourceTable());
        if (found.isEmpty()) {
            problem(
                    "SourceTableMissing",
                    object,
                    whyNoTable(source, mapping),
                    "Correct sourceSchemaName and sourceTable (upper and lower case count), or create the table");
            return;
        }
        var table = found.get();
        var result = KeyRules.apply(pipe, mapping, table);
        problems.addAll(result.problems());
        tables.add(new Table(mapping, table, result.definition()));
        checkReadable(source, object, table, result.definition());
        checkPartitionKey(source, object, mapping.partitionKey(), table);
        checkStorage(source, object, table);
    }

    private String whyNoTable(Query source, TableMapping mapping) throws SQLException {
        return source.find(
                        """
                        SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                                   WHEN 'f' THEN 'a foreign table' WHEN 'S' THEN 'a sequence' ELSE 'no table' END
                        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relname = ?
                        """,
                        row -> "is " + row.getString(1) + ", which has no changes to replicate",
                        mapping.sourceSchemaName(),
                        mapping.sourceTable())
                .orElse("does not exist in database "
                        + pipe.spec().source().postgres().database());
    }

    /** What reading the table needs. Partitions are read through the table where the role can't read them by themselves. */
    private void checkReadable(Query source, String object, SourceTable table, TableDefinition definition)
            throws SQLException {
        var schema = source.strings(
                "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = ? AND NOT has_schema_privilege(oid, 'USAGE')",
                table.schema());
        if (!schema.isEmpty()) {
            problem(
                    "PermissionDenied",
                    object,
                    "role has no USAGE on schema " + schema.getFirst(),
                    "GRANT USAGE ON SCHEMA " + schema.getFirst() + " TO " + user);
        }
        boolean readable = source.find(
                        "SELECT has_table_privilege(?::oid, 'SELECT')", row -> row.getBoolean(1), table.relid())
                .orElseThrow();
        boolean columnsReadable = !readable && columnsReadable(source, table, definition);
        if (mode.loads() && !readable && !(columnsReadable && columnReadable(source, table, CTID))) {
            problem(
                    "PermissionDenied",
                    object,
                    "role has no SELECT on it"
                            + (columnsReadable ? ", only on its columns, but the load reads by ctid, too" : ""),
                    "GRANT SELECT ON " + sqlName(table) + " TO " + user
                            + (columnsReadable ? "; or GRANT SELECT (ctid) ON " + sqlName(table) + " TO " + user : ""));
        }
        var hidden = source.strings("""
                SELECT c.oid::regclass::text FROM pg_class c
                JOIN (SELECT ?::oid AS oid UNION SELECT relid FROM pg_partition_tree(?::oid::regclass)) t USING (oid)
                WHERE row_security_active(c.oid)
                """, table.relid(), table.relid());
        if (!hidden.isEmpty()) {
            problem(
                    "RowsHidden",
                    object,
                    "row-level security of " + some(hidden) + " hides rows from the role",
                    "As a superuser: ALTER ROLE " + user + " BYPASSRLS");
        }
    }

    /** What cutting the table by its values takes: Postgres itself says what is missing. */
    private void checkPartitionKey(Query source, String object, String key, SourceTable table) {
        if (key == null || !mode.loads()) {
            return;
        }
        try {
            source.strings("SELECT percentile_disc(ARRAY [0.5::float8]) WITHIN GROUP (ORDER BY k)::text FROM (SELECT "
                    + identifier(key) + " AS k FROM " + sqlName(table) + " WHERE " + identifier(key)
                    + " >= NULL LIMIT 0) AS t");
        } catch (SQLException e) {
            problem(
                    "PartitionKeyUnsuitable",
                    object,
                    "partitionKey " + key + ": " + e.getMessage(),
                    "Name a column that the role may read and whose type has an order, or leave partitionKey out");
        }
    }

    private static boolean columnsReadable(Query source, SourceTable table, TableDefinition definition)
            throws SQLException {
        for (var column : definition.columns()) {
            if (!columnReadable(source, table, column.number())) {
                return false;
            }
        }
        return true;
    }

    private static boolean columnReadable(Query source, SourceTable table, int number) throws SQLException {
        return source.find(
                        "SELECT has_column_privilege(?::oid, ?::smallint, 'SELECT')",
                        row -> row.getBoolean(1),
                        table.relid(),
                        number)
                .orElseThrow();
    }

    private void checkStorage(Query source, String object, SourceTable table) throws SQLException {
        var persistence = source.find(
                        "SELECT relpersistence FROM pg_class WHERE oid = ?", row -> row.getString(1), table.relid())
                .orElse("p");
        if (mode.streams() && !persistence.equals("p")) {
            problem(
                    "TableNotLogged",
                    object,
                    "is " + (persistence.equals("u") ? "unlogged" : "temporary") + ": its changes are not in the WAL",
                    "ALTER TABLE " + sqlName(table) + " SET LOGGED; or use replicationMode: snapshot");
        }
        var foreign = source.strings(
                "SELECT c.oid::regclass::text FROM pg_partition_tree(?::oid::regclass) p JOIN pg_class c ON c.oid = p.relid WHERE c.relkind = 'f'",
                table.relid());
        if (!foreign.isEmpty()) {
            problem(
                    "ForeignPartition",
                    object,
                    "partition " + some(foreign) + " is a foreign table: its rows and changes are elsewhere",
                    "Map the other partitions one by one");
        }
        if (table.kind() == 'r') {
            var children = source
                    .strings(
                            "SELECT n.nspname || '.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = ?",
                            table.relid())
                    .stream()
                    .filter(child -> pipe.mappings().stream()
                            .noneMatch(mapping -> mapping.source().equals(child)))
                    .toList();
            if (!children.isEmpty()) {
                problem(
                        "TableHasChildren",
                        object,
                        "tables inherit from it, and are not mapped: " + some(children),
                        "Map them too, each to a target of its own: a mapping means a table's own rows");
            }
        }
    }

    /** Changes of a partition are published as the root's, once the root is in a publication. */
    private void checkPartitionsOfMappedTables(Query source) throws SQLException {
        for (var table : tables) {
            var root = source.find(
                    """
                    SELECT n.nspname || '.' || c.relname FROM pg_partition_ancestors(?::oid::regclass) a
                    JOIN pg_class c ON c.oid = a.relid JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE a.relid <> ?::oid AND n.nspname || '.' || c.relname = ANY (?)
                    """,
                    row -> row.getString(1),
                    table.source().relid(),
                    table.source().relid(),
                    pipe.mappings().stream().map(TableMapping::source).toArray(String[]::new));
            root.ifPresent(name -> partitionOf(table.mapping().source(), name));
            var settled = pipe.mappings().stream()
                    .map(TableMapping::source)
                    .filter(name -> tables.stream()
                            .noneMatch(other -> other.mapping().source().equals(name)))
                    .toArray(String[]::new);
            source.strings("""
                            SELECT n.nspname || '.' || c.relname FROM pg_partition_tree(?::oid::regclass) p
                            JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname || '.' || c.relname = ANY (?)
                            """, table.source().relid(), settled)
                    .forEach(name -> partitionOf(name, table.mapping().source()));
        }
    }

    private void partitionOf(String partition, String root) {
        problem(
                "PartitionOfMappedTable",
                "table " + partition,
                "is a partition of " + root + ", which is mapped too: its changes go there",
                "Map one of the two");
    }

    private void problem(String reason, String object, String message, String remedy) {
        problems.add(new Problem(reason, object, message, remedy));
    }

    static String sqlName(SourceTable table) {
        return identifier(table.schema()) + "." + identifier(table.name());
    }

    /** A list that may be long, for a message. */
    private static String some(List<String> names) {
        return names.size() <= 5
                ? String.join(", ", names)
                : String.join(", ", names.subList(0, 5)) + " and " + (names.size() - 5) + " more";
    }
}
