package dev.clickpipe.setup;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.ClickHouseErrors;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/** Everything that can be known of the destination before a target is made. Makes one table of its own for a trial, and drops it. */
final class DestinationChecks {
    private static final Set<String> SYSTEM_DATABASES = Set.of("system", "information_schema", "INFORMATION_SCHEMA");

    /** Those that rename and exchange tables atomically. */
    private static final Set<String> DATABASE_ENGINES = Set.of("Atomic", "Replicated", "Shared");

    /** What a server puts before an engine's name by itself. */
    private static final Pattern ENGINE_PREFIX = Pattern.compile("^(Replicated|Shared)");

    private static final Pattern INTEGER = Pattern.compile("(U?)Int(\\d+)");

    private final Pipe pipe;
    private final ClickHouseClient clickHouse;
    private final List<Problem> problems = new ArrayList<>();

    private DestinationChecks(Pipe pipe, ClickHouseClient clickHouse) {
        this.pipe = pipe;
        this.clickHouse = clickHouse;
    }

    /**
     * @param wanted definitions of the source tables that were found
     * @throws PipeException retryable, when the connection is lost on the way
     */
    static List<Problem> run(Pipe pipe, ClickHouseClient clickHouse, List<TableDefinition> wanted) {
        var checks = new DestinationChecks(pipe, clickHouse);
        checks.run(wanted);
        return List.copyOf(checks.problems);
    }

    private void run(List<TableDefinition> wanted) {
        checkTargetsAreDistinct();
        if (!checkDatabase()) {
            return;
        }
        if (checkRights()) {
            var definitions = new Definitions(clickHouse, pipe);
            var others = definitions.targetsOfOthers();
            var recorded = new HashMap<String, TableDefinition>();
            definitions.all().forEach(definition -> recorded.put(source(definition), definition));
            for (var definition : wanted) {
                checkTarget(definition, recorded.get(source(definition)), others);
            }
        }
    }

    private static String source(TableDefinition definition) {
        return definition.sourceSchema() + "." + definition.sourceTable();
    }

    private void checkTargetsAreDistinct() {
        var sources = new HashMap<String, String>();
        for (TableMapping mapping : pipe.mappings()) {
            var other = sources.putIfAbsent(mapping.targetTable(), mapping.source());
            if (other != null && !other.equals(mapping.source())) {
                problem(
                        "TargetMappedTwice",
                        table(mapping.targetTable()),
                        other + " and " + mapping.source() + " are both mapped to it",
                        "Give each a targetTable of its own");
            }
            if (mapping.targetTable().startsWith("_clickpipe_")) {
                problem(
                        "TargetNameReserved",
                        table(mapping.targetTable()),
                        "names that begin with _clickpipe_ are the pipe's own state",
                        "Choose another targetTable");
            }
        }
    }

    private boolean checkDatabase() {
        var database = clickHouse.database();
        if (SYSTEM_DATABASES.contains(database)) {
            problem("DatabaseUnsuitable", clickHouse.object(), "is a system database", "Name a database of your own");
            return false;
        }
        // With a database that is missing the server refuses every query: the client reports that as DatabaseMissing.
        var engine = (String) clickHouse
                .query(
                        "SELECT engine FROM system.databases WHERE name = {database:String}",
                        Map.of("database", database))
                .getFirst()
                .get("engine");
        if (!DATABASE_ENGINES.contains(engine)) {
            problem(
                    "DatabaseUnsuitable",
                    clickHouse.object(),
                    "has the engine " + engine,
                    "Use a database with engine Atomic (the default of CREATE DATABASE) or Replicated");
            return false;
        }
        return true;
    }

    /** Does with a table of its own whatever the pipe will do with its tables. The server's answers name the grant. */
    private boolean checkRights() {
        int before = problems.size();
        var name = "_clickpipe_check_" + pipe.uid().replace("-", "").substring(0, 8);
        var trial = identifier(name);
        if (!attempt("DROP TABLE IF EXISTS " + trial + " SYNC", name)
                || !attempt(
                        "CREATE TABLE " + trial + " (id Int32, "
                                + SystemColumns.VERSION + " " + SystemColumns.VERSION_TYPE + ", "
                                + SystemColumns.IS_DELETED + " " + SystemColumns.IS_DELETED_TYPE + ") ENGINE = "
                                + clickHouse.engine("ReplacingMergeTree(" + SystemColumns.VERSION + ", "
                                        + SystemColumns.IS_DELETED + ")")
                                + " ORDER BY id",
                        name)) {
            return false;
        }
        attempt("INSERT INTO " + trial + " VALUES (1, 1, 0)", name);
        attempt("SELECT id FROM " + trial + " FINAL FORMAT Null", name);
        attempt("ALTER TABLE " + trial + " ADD COLUMN added String", name);
        attempt("ALTER TABLE " + trial + " DELETE WHERE id = 1 SETTINGS mutations_sync = 2", name);
        attempt("TRUNCATE TABLE " + trial + " SYNC", name);
        attempt("DROP TABLE " + trial + " SYNC", name);
        return problems.size() == before;
    }

    private boolean attempt(String sql, String table) {
        try {
            clickHouse.execute(sql);
            return true;
        } catch (PipeException e) {
            var known = ClickHouseErrors.of(e, table(table));
            if (known.retryable()) {
                throw known;
            }
            problems.addAll(known.problems());
            return false;
        }
    }

    private void checkTarget(TableDefinition wanted, TableDefinition recorded, Map<String, String> others) {
        var object = table(wanted.target());
        var owner = others.get(wanted.target());
        if (owner != null) {
            problem(
                    "TargetOfAnotherPipe",
                    object,
                    "the ClickPipe " + owner + " writes to it",
                    "Choose another targetTable");
            return;
        }
        var found = TargetTable.find(clickHouse, wanted.target());
        if (found.isEmpty()) {
            return;
        }
        var target = found.get();
        boolean ours = recorded != null && recorded.target().equals(wanted.target());
        if (target.empty() && target.createdBy(pipe)) {
            return; // made by a Setup that did not come to its end: made anew where it differs
        }
        var shape = new ArrayList<String>();
        checkEngine(target, wanted, shape);
        if (shape.isEmpty()) {
            checkKey(target, wanted, shape);
            // The recorded columns count: the source may have changed since, which is CDC's affair.
            checkColumns(target, ours ? recorded : wanted, shape);
        }
        if (!shape.isEmpty()) {
            problem(
                    "TargetUnsuitable",
                    object,
                    String.join("; ", shape),
                    "Drop or rename it and the pipe creates it; or choose another targetTable");
            return;
        }
        if (!ours && !target.empty() && pipe.settings().replicationMode().loads()) {
            problem(
                    "TargetNotEmpty",
                    object,
                    "has rows already",
                    "TRUNCATE, drop or rename it; or choose another targetTable; or use replicationMode: cdc_only");
        }
    }

    private void checkEngine(TargetTable target, TableDefinition wanted, List<String> shape) {
        var family = ENGINE_PREFIX.matcher(target.engine()).replaceFirst("");
        if (!family.equals(wanted.engine().name())) {
            shape.add(
                    target.engine().endsWith("View")
                            ? "is a view"
                            : "has the engine " + target.engine() + ", not " + wanted.engine());
            return;
        }
        if (wanted.engine().appendOnly()) {
            return;
        }
        // Before the version column a Replicated engine may have its path and replica name.
        var arguments = Pattern.compile("^\\w+\\((?:'[^']*', '[^']*'(?:, )?)?([^)]*)\\)")
                .matcher(target.engineFull());
        var actual = arguments.find() ? arguments.group(1).replace("`", "") : "";
        var expected =
                TargetTable.engine(wanted, pipe.settings().deleteOnMerge()).replaceAll("^\\w+\\(|\\)$", "");
        if (!actual.equals(expected)) {
            shape.add("is ReplacingMergeTree(" + actual + "), not ReplacingMergeTree(" + expected + ")"
                    + (pipe.settings().deleteOnMerge() ? "" : ", as deleteOnMerge: false wants it"));
        }
    }

    private static void checkKey(TargetTable target, TableDefinition wanted, List<String> shape) {
        var expected = String.join(", ", wanted.sortingKey());
        // A table made AS another one shows its key in parentheses.
        var actual = target.sortingKey().replace("`", "").replaceFirst("^\\((.*)\\)$", "$1");
        boolean same = wanted.engine().appendOnly()
                || Set.of(actual.split(", ")).equals(new HashSet<>(wanted.sortingKey()))
                || actual.equals(expected);
        if (!same) {
            shape.add("is ordered by (" + actual + "), not (" + expected + ")");
        }
        if (!wanted.engine().appendOnly() && !wanted.sortingKey().containsAll(target.partitionColumns())) {
            shape.add(
                    "is partitioned by columns outside the sorting key, across which versions of a row are not replaced");
        }
    }

    private static void checkColumns(TargetTable target, TableDefinition wanted, List<String> shape) {
        var expected = new java.util.LinkedHashMap<String, String>();
        wanted.columns().forEach(column -> expected.put(column.name(), column.clickHouseType()));
        TargetTable.systemColumns(wanted.engine().appendOnly())
                .forEach((name, type) -> expected.put(name, type.replaceFirst(" DEFAULT .*", "")));
        expected.forEach((name, type) -> {
            var column = target.columns().get(name);
            if (column == null) {
                shape.add("lacks column \"" + name + "\" " + type);
            } else if (!column.insertable()) {
                shape.add("column \"" + name + "\" is " + column.defaultKind() + ", and can't be written");
            } else if (!holds(column.type(), type)) {
                shape.add("column \"" + name + "\" is " + column.type() + ", not " + type);
            }
        });
    }

    /** Whether a column of the actual type takes every value of the wanted one unchanged. */
    static boolean holds(String actual, String wanted) {
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

    private String table(String name) {
        return "table " + clickHouse.database() + "." + name;
    }

    private void problem(String reason, String object, String message, String remedy) {
        problems.add(new Problem(reason, object, message, remedy));
    }
}
