package dev.clickpipe.setup;

import static dev.clickpipe.postgres.Publications.identifier;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Publications;
import dev.clickpipe.postgres.Publications.Publication;
import dev.clickpipe.postgres.Slots;
import dev.clickpipe.postgres.SourceTable;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Everything that can be known of the source before anything is made on it. Reads only. */
final class SourceChecks {
    private static final int OLDEST_VERSION = 14;

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ReplicationMode mode;
    private final List<Problem> problems = new ArrayList<>();
    private final List<Table> tables = new ArrayList<>();
    private String systemIdentifier;
    private boolean slotIsThere;
    /** Quoted, for remedies. */
    private String user;

    private SourceChecks(Pipe pipe, PostgresClient postgres) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.mode = pipe.settings().replicationMode();
    }

    /** A mapped table that was found. */
    record Table(TableMapping mapping, SourceTable source, TableDefinition definition) {}

    /**
     * @param tables those that were found, in the mappings' order
     * @param systemIdentifier of the server; null when it was not asked or did not answer
     * @param slotIsThere whether the slot that is to be read exists
     */
    record Result(List<Table> tables, String systemIdentifier, boolean slotIsThere, List<Problem> problems) {}

    /** @throws PipeException retryable, when the connection is lost on the way */
    static Result run(Pipe pipe, PostgresClient postgres) {
        var checks = new SourceChecks(pipe, postgres);
        checks.run();
        return new Result(
                List.copyOf(checks.tables), checks.systemIdentifier, checks.slotIsThere, List.copyOf(checks.problems));
    }

    private void run() {
        try (var connection = postgres.connect("setup checks")) {
            user = one(connection, "SELECT quote_ident(current_user)", row -> row.getString(1));
            checkServer(connection);
            checkTables(connection);
            if (mode.streams()) {
                checkReplication(connection);
                checkPublications(connection);
                checkSlot(connection);
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private void checkServer(Connection connection) throws SQLException {
        int version = connection.getMetaData().getDatabaseMajorVersion();
        if (version < OLDEST_VERSION) {
            problem(
                    "PostgresTooOld",
                    postgres.object(),
                    "is Postgres " + version,
                    "Upgrade it to Postgres " + OLDEST_VERSION + " or later");
        }
        if (one(connection, "SELECT pg_is_in_recovery()", row -> row.getBoolean(1))) {
            problem("SourceIsStandby", postgres.object(), "is a standby", "Name the primary as the source");
        }
    }

    /** What streaming needs of server and role. */
    private void checkReplication(Connection connection) throws SQLException {
        var level = setting(connection, "wal_level");
        if (!level.equals("logical")) {
            problem(
                    "WalLevelTooLow",
                    postgres.object(),
                    "wal_level is " + level,
                    "ALTER SYSTEM SET wal_level = 'logical', then restart the server; on managed services set the parameter for logical replication");
        }
        boolean mayReplicate = one(connection, """
                SELECT rolsuper OR rolreplication
                    OR EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'rds_replication' AND pg_has_role(m.oid, 'USAGE'))
                FROM pg_roles WHERE rolname = current_user
                """, row -> row.getBoolean(1));
        if (!mayReplicate) {
            problem(
                    "NoReplicationRight",
                    "role " + user,
                    "has no right to replicate",
                    "ALTER ROLE " + user + " REPLICATION; on Amazon RDS: GRANT rds_replication TO " + user);
        }
        slotIsThere = Slots.find(connection, pipe.slot()).isPresent();
        int needed = (slotIsThere ? 0 : 1) + (mode.loads() ? 1 : 0);
        checkFree(
                connection,
                "NoFreeSlot",
                "max_replication_slots",
                "SELECT count(*) FROM pg_replication_slots",
                needed,
                "replication slots",
                "drop a slot that nobody reads: SELECT slot_name, active FROM pg_replication_slots");
        boolean senders = checkFree(
                connection,
                "NoFreeSender",
                "max_wal_senders",
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'",
                1 + (mode.loads() ? 1 : 0),
                "WAL senders",
                "stop a replication connection: SELECT pid, application_name FROM pg_stat_replication");
        if (mayReplicate && senders) {
            identifySystem();
        }
    }

    private boolean checkFree(
            Connection connection, String reason, String setting, String used, int needed, String what, String wayOut)
            throws SQLException {
        int limit = Integer.parseInt(setting(connection, setting));
        int inUse = one(connection, used, row -> row.getInt(1));
        if (limit - inUse >= needed) {
            return true;
        }
        problem(
                reason,
                postgres.object(),
                "%d of %d %s are in use, the pipe needs %d more%s"
                        .formatted(
                                inUse, limit, what, needed, mode.loads() ? " (one of them for the initial load)" : ""),
                "Raise " + setting + " and restart the server; or " + wayOut);
        return false;
    }

    /** Opens a replication connection, which pg_hba.conf or a pooler may refuse though ordinary ones are let in. */
    private void identifySystem() {
        try (var connection = postgres.connectReplication("setup checks")) {
            systemIdentifier = one(connection, "IDENTIFY_SYSTEM", row -> row.getString("systemid"));
        } catch (SQLException e) {
            problems.addAll(PostgresErrors.of(e, postgres.object()).problems());
        } catch (PipeException e) {
            problems.addAll(e.problems());
        }
    }

    private void checkTables(Connection connection) throws SQLException {
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
            checkTable(connection, mapping);
        }
        checkPartitionsOfMappedTables(connection);
    }

    private void checkTable(Connection connection, TableMapping mapping) throws SQLException {
        var object = "table " + mapping.source();
        var found = Catalogue.table(connection, mapping.sourceSchemaName(), mapping.sourceTable());
        if (found.isEmpty()) {
            problem(
                    "SourceTableMissing",
                    object,
                    whyNoTable(connection, mapping),
                    "Correct sourceSchemaName and sourceTable (upper and lower case count), or create the table");
            return;
        }
        var table = found.get();
        var result = KeyRules.apply(pipe, mapping, table);
        problems.addAll(result.problems());
        tables.add(new Table(mapping, table, result.definition()));
        checkReadable(connection, object, table, result.definition());
        checkStorage(connection, object, table);
    }

    private String whyNoTable(Connection connection, TableMapping mapping) throws SQLException {
        return find(
                        connection,
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
    private void checkReadable(Connection connection, String object, SourceTable table, TableDefinition definition)
            throws SQLException {
        var schema = strings(
                connection,
                "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = ? AND NOT has_schema_privilege(oid, 'USAGE')",
                table.schema());
        if (!schema.isEmpty()) {
            problem(
                    "PermissionDenied",
                    object,
                    "role has no USAGE on schema " + schema.getFirst(),
                    "GRANT USAGE ON SCHEMA " + schema.getFirst() + " TO " + user);
        }
        boolean readable = find(
                        connection,
                        "SELECT has_table_privilege(?::oid, 'SELECT')",
                        row -> row.getBoolean(1),
                        table.relid())
                .orElseThrow();
        if (mode.loads() && !readable) {
            problem(
                    "PermissionDenied",
                    object,
                    "role has no SELECT on it"
                            + (columnsReadable(connection, table, definition)
                                    ? ", only on its columns, but the load reads by ctid, too"
                                    : ""),
                    "GRANT SELECT ON " + sqlName(table) + " TO " + user);
        }
        var hidden = strings(connection, """
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

    private static boolean columnsReadable(Connection connection, SourceTable table, TableDefinition definition)
            throws SQLException {
        for (var column : definition.columns()) {
            if (!find(
                            connection,
                            "SELECT has_column_privilege(?::oid, ?::smallint, 'SELECT')",
                            row -> row.getBoolean(1),
                            table.relid(),
                            column.number())
                    .orElseThrow()) {
                return false;
            }
        }
        return true;
    }

    private void checkStorage(Connection connection, String object, SourceTable table) throws SQLException {
        var persistence = find(
                        connection,
                        "SELECT relpersistence FROM pg_class WHERE oid = ?",
                        row -> row.getString(1),
                        table.relid())
                .orElse("p");
        if (mode.streams() && !persistence.equals("p")) {
            problem(
                    "TableNotLogged",
                    object,
                    "is " + (persistence.equals("u") ? "unlogged" : "temporary") + ": its changes are not in the WAL",
                    "ALTER TABLE " + sqlName(table) + " SET LOGGED; or use replicationMode: snapshot");
        }
        var foreign = strings(
                connection,
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
            var children = strings(
                            connection,
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
    private void checkPartitionsOfMappedTables(Connection connection) throws SQLException {
        for (var table : tables) {
            var root = find(
                    connection,
                    """
                    SELECT n.nspname || '.' || c.relname FROM pg_partition_ancestors(?::oid::regclass) a
                    JOIN pg_class c ON c.oid = a.relid JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE a.relid <> ?::oid AND n.nspname || '.' || c.relname = ANY (?)
                    """,
                    row -> row.getString(1),
                    table.source().relid(),
                    table.source().relid(),
                    pipe.mappings().stream().map(TableMapping::source).toArray(String[]::new));
            root.ifPresent(name -> problem(
                    "PartitionOfMappedTable",
                    "table " + table.mapping().source(),
                    "is a partition of " + name + ", which is mapped too: its changes go there",
                    "Map one of the two"));
        }
    }

    private void checkPublications(Connection connection) throws SQLException {
        if (pipe.settings().ownsPublication()) {
            checkOwnPublications(connection);
            return;
        }
        var object = "publication " + pipe.publication();
        var publication = Publications.find(connection, pipe.publication());
        if (publication.isEmpty()) {
            problem(
                    "PublicationMissing",
                    object,
                    "does not exist in database "
                            + pipe.spec().source().postgres().database(),
                    "As the tables' owner: " + createPublication() + "; or leave publicationName empty");
            return;
        }
        checkGivenPublication(object, publication.get());
    }

    private String createPublication() {
        return "CREATE PUBLICATION " + identifier(pipe.publication()) + " FOR TABLE "
                + tables.stream().map(table -> sqlName(table.source())).collect(Collectors.joining(", "))
                + " WITH (publish_via_partition_root = true)";
    }

    private void checkGivenPublication(String object, Publication publication) {
        for (var table : tables) {
            var name = table.mapping().source();
            if (table.source().kind() == 'p' && !publication.viaRoot()) {
                problem(
                        "PublicationNotViaRoot",
                        object,
                        "publishes changes of " + name + " as its partitions', not as the table's",
                        "ALTER PUBLICATION " + identifier(publication.name())
                                + " SET (publish_via_partition_root = true)");
                continue;
            }
            var published =
                    publication.table(table.source().schema(), table.source().name());
            if (published.isEmpty()) {
                problem(
                        "PublicationLacksTable",
                        object,
                        "does not contain " + name,
                        "ALTER PUBLICATION " + identifier(publication.name()) + " ADD TABLE "
                                + sqlName(table.source()));
                continue;
            }
            var missing = new ArrayList<String>();
            if (!publication.insert()) {
                missing.add("insert");
            }
            if (!publication.update() && table.source().hasUsableIdentity()) {
                missing.add("update");
            }
            if (!publication.delete() && table.source().hasUsableIdentity()) {
                missing.add("delete");
            }
            if (!missing.isEmpty()) {
                problem(
                        "PublicationLacksOperations",
                        object,
                        "does not publish " + String.join(" and ", missing) + " of " + name,
                        "ALTER PUBLICATION " + identifier(publication.name())
                                + " SET (publish = 'insert, update, delete, truncate')");
            }
            var columns = published.get().columns();
            var lacking = columns.isEmpty()
                    ? List.<String>of()
                    : table.definition().columns().stream()
                            .map(TableDefinition.Column::name)
                            .filter(column -> !columns.contains(column))
                            .toList();
            if (!lacking.isEmpty()) {
                problem(
                        "PublicationLacksColumns",
                        object,
                        "publishes " + name + " without " + String.join(", ", lacking),
                        "Publish the whole table, or put these columns into excludedColumns");
            }
            if (published.get().rowFilter() != null && mode.loads()) {
                problem(
                        "PublicationFiltersRows",
                        object,
                        "publishes only rows of " + name + " where "
                                + published.get().rowFilter() + ", the initial load reads them all",
                        "Take the row filter off, or use replicationMode: cdc_only");
            }
        }
    }

    private void checkOwnPublications(Connection connection) throws SQLException {
        var existing = new ArrayList<String>();
        for (var name : List.of(pipe.publication(), pipe.insertOnlyPublication())) {
            var publication = Publications.find(connection, name);
            if (publication.isPresent()
                    && (!publication.get().owned() || publication.get().allTables())) {
                problem(
                        "PublicationNotOurs",
                        "publication " + name,
                        "exists, and was not made by this pipe's role",
                        "DROP PUBLICATION " + identifier(name) + ", if nobody uses it");
            }
            publication.ifPresent(there ->
                    there.tables().forEach(published -> existing.add(published.schema() + "." + published.table())));
        }
        if (!one(connection, "SELECT has_database_privilege(current_database(), 'CREATE')", row -> row.getBoolean(1))) {
            var database = one(connection, "SELECT current_database()", row -> row.getString(1));
            problem(
                    "CannotMakePublication",
                    "database " + database,
                    "role has no CREATE on it, which CREATE PUBLICATION needs",
                    "GRANT CREATE ON DATABASE " + identifier(database) + " TO " + user
                            + "; or make a publication yourself and name it in publicationName");
        }
        for (var table : tables) {
            boolean published = existing.contains(table.mapping().source());
            var owner = find(
                    connection,
                    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = ? AND NOT pg_has_role(relowner, 'USAGE')",
                    row -> row.getString(1),
                    table.source().relid());
            if (owner.isPresent() && !published) {
                problem(
                        "CannotMakePublication",
                        "table " + table.mapping().source(),
                        "belongs to " + owner.get() + ", and only its owner may publish it",
                        "GRANT " + owner.get() + " TO " + user
                                + "; or let the owner CREATE PUBLICATION … FOR TABLE …, and name it in publicationName");
            }
        }
    }

    private void checkSlot(Connection connection) throws SQLException {
        var own = pipe.settings().ownsSlot();
        var object = "slot " + pipe.slot();
        var found = Slots.find(connection, pipe.slot());
        if (found.isEmpty()) {
            if (!own) {
                problem(
                        "SlotMissing",
                        object,
                        "does not exist",
                        "SELECT pg_create_logical_replication_slot('" + pipe.slot()
                                + "', 'pgoutput'), in the source database; or leave replicationSlotName empty");
            }
            return;
        }
        var slot = found.get();
        var database = one(connection, "SELECT current_database()", row -> row.getString(1));
        var instead = own ? "Drop it, if nobody reads it" : "Name another slot, or leave replicationSlotName empty";
        if (!"pgoutput".equals(slot.plugin())) {
            problem(
                    "SlotUnusable",
                    object,
                    slot.plugin() == null
                            ? "is a physical slot"
                            : "uses the plugin " + slot.plugin() + ", not pgoutput",
                    instead);
        } else if (!database.equals(slot.database())) {
            problem("SlotUnusable", object, "was created in database " + slot.database(), instead);
        } else if (slot.temporary()) {
            problem("SlotUnusable", object, "is temporary: it goes with the session that made it", instead);
        } else if (slot.lost()) {
            problem(
                    "SlotInvalidated",
                    object,
                    "is invalidated (wal_status lost): the changes it was to keep are gone",
                    own
                            ? "Delete and create the pipe, so that it loads anew"
                            : "Drop the slot, create it anew, and load what was missed");
        }
        if (slot.activePid() != null) {
            var reader = find(
                            connection,
                            "SELECT application_name FROM pg_stat_activity WHERE pid = ?",
                            row -> row.getString(1),
                            slot.activePid())
                    .orElse("");
            if (!reader.startsWith(pipe.applicationName(""))) {
                problem(
                        "SlotInUse",
                        object,
                        "is being read by pid " + slot.activePid() + " (application_name \"" + reader + "\")",
                        "Stop that reader; a slot serves one");
            }
        }
    }

    private void problem(String reason, String object, String message, String remedy) {
        problems.add(new Problem(reason, object, message, remedy));
    }

    private static String sqlName(SourceTable table) {
        return identifier(table.schema()) + "." + identifier(table.name());
    }

    /** A list that may be long, for a message. */
    private static String some(List<String> names) {
        return names.size() <= 5
                ? String.join(", ", names)
                : String.join(", ", names.subList(0, 5)) + " and " + (names.size() - 5) + " more";
    }

    @FunctionalInterface
    private interface Row<T> {
        T read(ResultSet row) throws SQLException;
    }

    private static String setting(Connection connection, String name) throws SQLException {
        return find(connection, "SELECT current_setting(?)", row -> row.getString(1), name)
                .orElseThrow();
    }

    private static <T> T one(Connection connection, String sql, Row<T> row) throws SQLException {
        try (var statement = connection.createStatement();
                var rows = statement.executeQuery(sql)) {
            rows.next();
            return row.read(rows);
        }
    }

    private static <T> Optional<T> find(Connection connection, String sql, Row<T> row, Object... parameters)
            throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(i + 1, parameters[i]);
            }
            try (var rows = statement.executeQuery()) {
                return rows.next() ? Optional.of(row.read(rows)) : Optional.empty();
            }
        }
    }

    private static List<String> strings(Connection connection, String sql, Object... parameters) throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(i + 1, parameters[i]);
            }
            var strings = new ArrayList<String>();
            try (var rows = statement.executeQuery()) {
                while (rows.next()) {
                    strings.add(rows.getString(1));
                }
            }
            return strings;
        }
    }
}
