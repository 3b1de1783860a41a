package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableText.Clause;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Pipe;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
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
 * @param text its definition, taken apart; null for what is neither a MergeTree table nor a Null table
 */
public record TargetTable(
        String name,
        String engine,
        String engineFull,
        String sortingKey,
        List<String> partitionColumns,
        String comment,
        Map<String, Column> columns,
        boolean empty,
        TableText text) {

    /** What a server puts before an engine's name by itself. */
    private static final Pattern ENGINE_PREFIX = Pattern.compile("^(Replicated|Shared)");

    private static final Pattern NULL = Pattern.compile("`?Null`?");

    private static final Pattern INTEGER = Pattern.compile("(U?)Int(\\d+)");

    /** What ClickHouse computes, and nobody can write. */
    private static final Pattern COMPUTED = Pattern.compile("^ (MATERIALIZED|ALIAS|EPHEMERAL)\\b");

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

    /**
     * How many inserts an append-only target knows again by their tokens. An insert is sent again right after a crash; in between
     * come the load's, of which a block counts once for each partition.
     */
    private static final String REMEMBERED_INSERTS = "10000";

    private static final Pattern WINDOW = Pattern.compile("\\b((?:non_)?)replicated_deduplication_window = (\\d+)");

    /**
     * Whether the table knows an insert again by its token (ClickHouse documentation, "Deduplicating inserts on retries"). What a
     * server presets for tables that do not say is not looked at: not every user may.
     */
    public static boolean deduplicates(ClickHouseClient clickHouse, String name) {
        return clickHouse
                .query(
                        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
                        Map.of("database", clickHouse.database(), "table", name))
                .stream()
                .map(row -> (String) row.get("engine_full"))
                .anyMatch(TargetTable::deduplicates);
    }

    static boolean deduplicates(String engineFull) {
        if (NULL.matcher(engineFull).matches()) {
            return true; // it has nothing to know again, and what is behind it is asked for itself
        }
        boolean replicated = ENGINE_PREFIX.matcher(engineFull).find();
        return WINDOW.matcher(engineFull)
                .results()
                .filter(set -> replicated == set.group(1).isEmpty())
                .map(set -> !set.group(2).equals("0"))
                .findFirst()
                .orElse(replicated);
    }

    /** The engine with its arguments: FINAL reads the newest version of a row, and none of a deleted one. */
    public static String engine(TableDefinition definition, boolean deleteOnMerge) {
        if (definition.engine().appendOnly()) {
            return definition.engine().name();
        }
        return "ReplacingMergeTree(" + SystemColumns.VERSION + (deleteOnMerge ? ", " + SystemColumns.IS_DELETED : "")
                + ")";
    }

    /**
     * The statement that creates a target.
     *
     * @param partitionBy null: none
     * @param engine {@link #engine}, as the database wants it: {@link ClickHouseClient#engine}
     */
    public static String createStatement(
            TableDefinition definition, String partitionBy, String engine, String comment) {
        var columns = new ArrayList<String>();
        columnsOf(definition).forEach((name, type) -> columns.add(identifier(name) + " " + type));
        var clauses = new EnumMap<Clause, String>(Clause.class);
        clauses.put(Clause.ORDER_BY, orderBy(definition));
        if (partitionBy != null) {
            clauses.put(Clause.PARTITION_BY, partitionBy);
        }
        return createStatement(definition, columns, engine, clauses, comment);
    }

    /**
     * The statement that creates a target to take this table's place: what the user added to this one (columns, codecs,
     * defaults, comments, TTL, indexes, projections, constraints, settings, a partition key where the pipe had none) is in
     * the new one as well; the pipe's own columns are as the source has them now.
     *
     * @param recorded what this table was made by; null where nothing is recorded, and then all columns that are not wanted
     *     are the user's
     * @param definition of the new one
     * @param partitionBy null: none, or the user's
     * @param engine {@link #engine}
     */
    public String replacementStatement(
            TableDefinition recorded, TableDefinition definition, String partitionBy, String engine, String comment) {
        var wanted = columnsOf(definition);
        var former = recorded == null ? wanted : columnsOf(recorded);
        if (recorded != null && recorded.followed() != null) {
            recorded.followed().dropped().forEach(column -> former.putIfAbsent(column.name(), column.clickHouseType()));
        }
        var parts = new ArrayList<String>();
        var names = new ArrayList<String>();
        for (var column : text.columns()) {
            boolean ours = wanted.containsKey(column.name());
            if (ours || !former.containsKey(column.name())) {
                names.add(column.name());
                parts.add(identifier(column.name()) + " "
                        + (ours
                                ? kept(column, wanted.get(column.name()), former.get(column.name()))
                                : column.type() + column.rest()));
            }
        }
        String previous = null;
        for (var name : wanted.keySet()) {
            if (!names.contains(name)) {
                int at = previous == null ? 0 : names.indexOf(previous) + 1;
                names.add(at, name);
                parts.add(at, identifier(name) + " " + wanted.get(name));
            }
            previous = name;
        }
        var clauses = new EnumMap<Clause, String>(Clause.class);
        if (definition.engine().stores()) {
            parts.addAll(text.others());
            clauses.putAll(text.clauses());
        }
        boolean sameKey = recorded == null
                ? Set.of(sortingKey.replace("`", "").split(", ")).equals(Set.copyOf(definition.sortingKey()))
                : recorded.sortingKey().equals(definition.sortingKey()) && recorded.engine() == definition.engine();
        if (!sameKey) {
            clauses.remove(Clause.PRIMARY_KEY);
            clauses.remove(Clause.SAMPLE_BY);
            clauses.put(Clause.ORDER_BY, orderBy(definition));
        }
        if (partitionBy != null) {
            clauses.put(Clause.PARTITION_BY, partitionBy);
        } else if (recorded != null
                && recorded.request() != null
                && recorded.request().layout().partitionBy() != null) {
            clauses.remove(Clause.PARTITION_BY);
        }
        var prefix = ENGINE_PREFIX.matcher(this.engine);
        boolean prefixed = definition.engine().stores() && prefix.find();
        return createStatement(definition, parts, (prefixed ? prefix.group() : "") + engine, clauses, comment);
    }

    /** @param type may have a default behind it */
    private static String kept(TableText.Column column, String type, String former) {
        int space = type.indexOf(" DEFAULT ");
        var plain = space < 0 ? type : type.substring(0, space);
        boolean chosen = former == null || !former.equals(column.type()) && !former.startsWith(column.type() + " ");
        if (COMPUTED.matcher(column.rest()).find()) {
            return type;
        }
        return (chosen && holds(column.type(), plain) ? column.type() : plain) + column.rest();
    }

    private static String createStatement(
            TableDefinition definition,
            List<String> columns,
            String engine,
            Map<Clause, String> clauses,
            String comment) {
        if (!definition.engine().stores()) {
            return "CREATE TABLE " + identifier(definition.target()) + " (\n    " + String.join(",\n    ", columns)
                    + "\n) ENGINE = " + engine + "\nCOMMENT " + literal(comment);
        }
        // What a partition expression reads is known only to ClickHouse.
        boolean nullableKey = definition.columns().stream()
                .anyMatch(column -> column.clickHouseType().contains("Nullable(")
                        && (clauses.containsKey(Clause.PARTITION_BY)
                                || definition.sortingKey().contains(column.name())));
        if (nullableKey) {
            clauses.merge(
                    Clause.SETTINGS,
                    "allow_nullable_key = 1",
                    (there, ours) -> there.contains("allow_nullable_key") ? there : there + ", " + ours);
        }
        if (definition.engine().appendOnly()) {
            clauses.merge(
                    Clause.SETTINGS,
                    "non_replicated_deduplication_window = " + REMEMBERED_INSERTS,
                    (there, ours) ->
                            there.contains("non_replicated_deduplication_window") ? there : there + ", " + ours);
        }
        return "CREATE TABLE " + identifier(definition.target()) + " (\n    " + String.join(",\n    ", columns)
                + "\n) ENGINE = " + engine
                + clauses.entrySet().stream()
                        .map(clause -> "\n" + clause.getKey().keyword() + " " + clause.getValue())
                        .collect(Collectors.joining())
                + "\nCOMMENT " + literal(comment);
    }

    private static String orderBy(TableDefinition definition) {
        return definition.sortingKey().isEmpty()
                ? "tuple()"
                : definition.sortingKey().stream()
                        .map(ClickHouseClient::identifier)
                        .collect(Collectors.joining(", ", "(", ")"));
    }

    /** What such a target has of the pipe, by name, with type and default. */
    private static Map<String, String> columnsOf(TableDefinition definition) {
        var columns = new LinkedHashMap<String, String>();
        definition.columns().forEach(column -> columns.put(column.name(), column.clickHouseType()));
        columns.putAll(systemColumns(definition.engine().appendOnly()));
        return columns;
    }

    /** Whether a column of the actual type takes every value of the wanted one unchanged. */
    public static boolean holds(String actual, String wanted) {
        if (actual.equals(wanted)) {
            return true;
        }
        var plainActual = unwrap(actual);
        var plainWanted = unwrap(wanted);
        if (wanted.contains("Nullable(") && !actual.contains("Nullable(")) {
            return false;
        }
        var from = INTEGER.matcher(plainWanted);
        var to = INTEGER.matcher(plainActual);
        return plainActual.equals(plainWanted)
                || from.matches()
                        && to.matches()
                        && from.group(1).equals(to.group(1))
                        && Integer.parseInt(to.group(2)) >= Integer.parseInt(from.group(2));
    }

    private static String unwrap(String type) {
        for (var wrapper : List.of("LowCardinality(", "Nullable(")) {
            if (type.startsWith(wrapper)) {
                type = type.substring(wrapper.length(), type.length() - 1);
            }
        }
        return type;
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

    /** False for a Null table. */
    public boolean stores() {
        return !engine.equals(TableEngine.Null.name());
    }

    /**
     * What is in the pipe's database, in short.
     *
     * @param empty whether it is a table that is known to have no row
     */
    public record Listed(String uuid, String comment, boolean empty) {
        /** Whether this pipe created it. */
        public boolean createdBy(Pipe pipe) {
            return comment.startsWith(ownership(pipe) + " ");
        }

        /** Whether this pipe created it to take another table's place, which it has not yet. */
        public boolean replacementOf(Pipe pipe) {
            return comment.startsWith(ownership(pipe) + REPLACEMENT + " ");
        }
    }

    /** All tables and views of the pipe's database, by name. */
    public static Map<String, Listed> list(ClickHouseClient clickHouse) {
        var tables = new LinkedHashMap<String, Listed>();
        clickHouse
                .query(
                        "SELECT name, toString(uuid) AS uuid, comment, ifNull(total_rows = 0, false) AS empty FROM system.tables WHERE database = {database:String} ORDER BY name",
                        Map.of("database", clickHouse.database()))
                .forEach(row -> tables.put(
                        (String) row.get("name"),
                        new Listed(
                                (String) row.get("uuid"),
                                (String) row.get("comment"),
                                "true".equals(String.valueOf(row.get("empty")))
                                        || "1".equals(String.valueOf(row.get("empty"))))));
        return tables;
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
                "SELECT engine, engine_full, create_table_query, sorting_key, comment FROM system.tables" + where
                        + "name = {table:String}",
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
        boolean mergeTree = engine.endsWith("MergeTree");
        boolean stores = !engine.equals(TableEngine.Null.name());
        return Optional.of(new TargetTable(
                name,
                engine,
                (String) table.get("engine_full"),
                (String) table.get("sorting_key"),
                partitionColumns,
                (String) table.get("comment"),
                columns,
                !stores
                        || mergeTree
                                && clickHouse
                                        .query("SELECT 1 FROM " + identifier(name) + " LIMIT 1", Map.of())
                                        .isEmpty(),
                mergeTree || !stores
                        ? TableText.parse((String) table.get("create_table_query"), (String) table.get("engine_full"))
                        : null));
    }
}
