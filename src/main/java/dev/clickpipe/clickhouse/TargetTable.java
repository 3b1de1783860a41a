package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Pipe;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A target table as it is in ClickHouse.
 *
 * @param engine such as {@code ReplacingMergeTree}, {@code View}
 * @param engineFull the engine with its arguments and all clauses, as system.tables shows it
 * @param sortingKey the expressions of ORDER BY as system.tables shows them; empty for {@code tuple()}
 * @param partitionColumns columns that PARTITION BY reads
 * @param comment by which a table that a pipe created is known, see {@link #comment}
 * @param columns by name
 * @param empty whether it has no row; false for what can't be read as a table
 */
public record TargetTable(
        String name,
        String engine,
        String engineFull,
        String sortingKey,
        List<String> partitionColumns,
        String comment,
        Map<String, Column> columns,
        boolean empty) {

    /** After the pipe's uid in the comment of a table that is built beside a live one. */
    private static final String REPLACEMENT = " resync";

    /** @param defaultKind DEFAULT, MATERIALIZED, ALIAS, EPHEMERAL or empty */
    public record Column(String type, String defaultKind) {
        /** False for what ClickHouse computes itself. */
        public boolean insertable() {
            return !defaultKind.equals("MATERIALIZED") && !defaultKind.equals("ALIAS");
        }
    }

    /** The system columns of such a target, by name, with type and default. */
    public static Map<String, String> systemColumns(boolean appendOnly) {
        var columns = new LinkedHashMap<String, String>();
        if (appendOnly) {
            columns.put(SystemColumns.OPERATION, SystemColumns.OPERATION_TYPE);
            columns.put(SystemColumns.COMMITTED_AT, SystemColumns.COMMITTED_AT_TYPE);
        }
        columns.put(SystemColumns.VERSION, SystemColumns.VERSION_TYPE);
        columns.put(SystemColumns.IS_DELETED, SystemColumns.IS_DELETED_TYPE);
        columns.put(SystemColumns.SYNCED_AT, SystemColumns.SYNCED_AT_TYPE);
        return columns;
    }

    /** The engine with its arguments: FINAL reads the newest version of a row, and none of a deleted one. */
    public static String engine(TableDefinition definition, boolean deleteOnMerge) {
        if (definition.engine().appendOnly()) {
            return "MergeTree";
        }
        return "ReplacingMergeTree(" + SystemColumns.VERSION + (deleteOnMerge ? ", " + SystemColumns.IS_DELETED : "")
                + ")";
    }

    /**
     * The statement that creates a target.
     *
     * @param engine {@link #engine}, as the database wants it: {@link ClickHouseClient#engine}
     */
    public static String createStatement(TableDefinition definition, String engine, String comment) {
        var columns = new ArrayList<String>();
        definition.columns().forEach(column -> columns.add(identifier(column.name()) + " " + column.clickHouseType()));
        systemColumns(definition.engine().appendOnly())
                .forEach((name, type) -> columns.add(identifier(name) + " " + type));
        var key = definition.sortingKey().stream()
                .map(ClickHouseClient::identifier)
                .collect(Collectors.joining(", ", "(", ")"));
        boolean nullableKey = definition.columns().stream()
                .anyMatch(column -> definition.sortingKey().contains(column.name())
                        && column.clickHouseType().contains("Nullable("));
        return "CREATE TABLE " + identifier(definition.target()) + " (\n    " + String.join(",\n    ", columns)
                + "\n) ENGINE = " + engine
                + "\nORDER BY " + (definition.sortingKey().isEmpty() ? "tuple()" : key)
                + (nullableKey ? "\nSETTINGS allow_nullable_key = 1" : "")
                + "\nCOMMENT " + literal(comment);
    }

    /** By what a table created by this pipe is known, and a replacement as one, whatever becomes of the recorded state. */
    public static String comment(Pipe pipe, TableDefinition definition) {
        return "%s%s %s: %s.%s of postgres %s:%d/%s"
                .formatted(
                        ownership(pipe),
                        definition.replaces() ? REPLACEMENT : "",
                        pipe,
                        definition.sourceSchema(),
                        definition.sourceTable(),
                        pipe.spec().source().postgres().host(),
                        pipe.spec().source().postgres().port(),
                        pipe.spec().source().postgres().database());
    }

    /** Whether this pipe created it. */
    public boolean createdBy(Pipe pipe) {
        return comment.startsWith(ownership(pipe) + " ");
    }

    /** Whether this pipe created it to take another table's place, which it has not yet. */
    public boolean replacementOf(Pipe pipe) {
        return comment.startsWith(ownership(pipe) + REPLACEMENT + " ");
    }

    /** By which ClickHouse knows a table whatever it is called; empty when there is none of that name. */
    public static Optional<String> uuid(ClickHouseClient clickHouse, String name) {
        return clickHouse
                .query(
                        "SELECT toString(uuid) AS uuid FROM system.tables WHERE database = {database:String} AND name = {table:String}",
                        Map.of("database", clickHouse.database(), "table", name))
                .stream()
                .map(row -> (String) row.get("uuid"))
                .findFirst();
    }

    /** Names of the tables this pipe created. */
    public static List<String> createdByPipe(ClickHouseClient clickHouse, Pipe pipe) {
        return clickHouse
                .query(
                        "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(comment, {ours:String}) ORDER BY name",
                        Map.of("database", clickHouse.database(), "ours", ownership(pipe) + " "))
                .stream()
                .map(row -> (String) row.get("name"))
                .toList();
    }

    /** Drops a table whatever its size, and returns when it is gone. */
    public static void drop(ClickHouseClient clickHouse, String name) {
        clickHouse.execute("DROP TABLE IF EXISTS " + identifier(name) + " SYNC SETTINGS max_table_size_to_drop = 0");
    }

    private static String ownership(Pipe pipe) {
        return "ClickPipe " + pipe.uid();
    }

    /** The table, view or dictionary of that name in the pipe's database. */
    public static Optional<TargetTable> find(ClickHouseClient clickHouse, String name) {
        var where = " WHERE database = {database:String} AND ";
        var parameters = Map.<String, Object>of("database", clickHouse.database(), "table", name);
        var tables = clickHouse.query(
                "SELECT engine, engine_full, sorting_key, comment FROM system.tables" + where + "name = {table:String}",
                parameters);
        if (tables.isEmpty()) {
            return Optional.empty();
        }
        var table = tables.getFirst();
        var columns = new LinkedHashMap<String, Column>();
        var partitionColumns = new ArrayList<String>();
        clickHouse
                .query(
                        "SELECT name, type, default_kind, is_in_partition_key FROM system.columns" + where
                                + "table = {table:String} ORDER BY position",
                        parameters)
                .forEach(column -> {
                    var columnName = (String) column.get("name");
                    columns.put(
                            columnName, new Column((String) column.get("type"), (String) column.get("default_kind")));
                    if (((Number) column.get("is_in_partition_key")).intValue() == 1) {
                        partitionColumns.add(columnName);
                    }
                });
        var engine = (String) table.get("engine");
        return Optional.of(new TargetTable(
                name,
                engine,
                (String) table.get("engine_full"),
                (String) table.get("sorting_key"),
                partitionColumns,
                (String) table.get("comment"),
                columns,
                engine.endsWith("MergeTree")
                        && clickHouse
                                .query("SELECT 1 FROM " + identifier(name) + " LIMIT 1", Map.of())
                                .isEmpty()));
    }
}
