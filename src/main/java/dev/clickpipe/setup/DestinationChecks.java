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
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Everything that can be known of the destination before a target is made. Makes one table of its own for a trial, and drops it. */
final class DestinationChecks {
    private static final Set<String> SYSTEM_DATABASES = Set.of("system", "information_schema", "INFORMATION_SCHEMA");

    /** Those that rename and exchange tables atomically. */
    private static final Set<String> DATABASE_ENGINES = Set.of("Atomic", "Replicated", "Shared");

    /** What a server puts before an engine's name by itself. */
    private static final Pattern ENGINE_PREFIX = Pattern.compile("^(Replicated|Shared)");

    private final Pipe pipe;
    private final ClickHouseClient clickHouse;
    private final List<Problem> problems = new ArrayList<>();

    private DestinationChecks(Pipe pipe, ClickHouseClient clickHouse) {
        this.pipe = pipe;
        this.clickHouse = clickHouse;
    }

    /**
     * @param work what is to be made
     * @param wanted what source and mapping make of the source tables that were found, by source
     * @throws PipeException retryable, when the connection is lost on the way
     */
    static List<Problem> run(
            Pipe pipe, ClickHouseClient clickHouse, Recorded recorded, Work work, Map<String, TableDefinition> wanted) {
        var checks = new DestinationChecks(pipe, clickHouse);
        checks.run(recorded, work, wanted);
        return List.copyOf(checks.problems);
    }

    private void run(Recorded recorded, Work work, Map<String, TableDefinition> wanted) {
        checkTargetsAreDistinct();
        if (checkDatabase() && checkRights()) {
            var others = new Definitions(clickHouse, pipe).targetsOfOthers();
            for (var table : work.tables()) {
                if (table.builds()) {
                    checkTable(recorded, table, wanted.get(table.mapping().source()), others);
                }
            }
        }
    }

    /** @param wanted null where the source table was not found */
    private void checkTable(Recorded recorded, Work.Table table, TableDefinition wanted, Map<String, String> others) {
        if (!pipe.settings().replicationMode().loads() && table.decision() != Decision.BUILD) {
            problem(
                    "RebuildNeedsLoad",
                    "table " + table.mapping().source(),
                    "is to be built anew, for its mapping has changed in what can't change in place, or for changes were missed; and replicationMode cdc_only loads nothing",
                    "Set the mapping back; or use replicationMode: cdc");
            return;
        }
        if (wanted != null) {
            checkNames(wanted);
        }
        for (var name : new LinkedHashSet<>(List.of(table.mapping().targetTable(), table.target()))) {
            if (others.containsKey(name)) {
                problem(
                        "TargetOfAnotherPipe",
                        table(name),
                        "the ClickPipe " + others.get(name) + " writes to it",
                        "Choose another targetTable");
                return;
            }
        }
        if (table.decision() == Decision.REPLACE) {
            checkPlaceBeside(recorded, table);
            if (wanted != null) {
                checkExpiry(table, wanted);
            }
        } else if (table.decision() == Decision.BUILD && wanted != null) {
            checkTarget(table, wanted);
        }
    }

    /**
     * ClickHouse stores Array columns whose names agree up to the first dot as one Nested structure, with one length for all
     * (ClickHouse documentation, "Nested").
     */
    private void checkNames(TableDefinition wanted) {
        wanted.columns().stream()
                .filter(column -> column.name().indexOf('.') > 0
                        && column.clickHouseType().startsWith("Array("))
                .map(TableDefinition.Column::name)
                .collect(Collectors.groupingBy(name -> name.substring(0, name.indexOf('.'))))
                .values()
                .stream()
                .filter(names -> names.size() > 1)
                .forEach(names -> problem(
                        "ColumnNamesNested",
                        "table " + wanted.source(),
                        "its array columns " + String.join(", ", names)
                                + " would be one Nested structure in ClickHouse, which wants arrays of the same length in them",
                        "Rename all but one of them, or put them into excludedColumns"));
    }

    /** What has the name of the table that is to be built beside the target goes, if it is the pipe's. */
    private void checkPlaceBeside(Recorded recorded, Work.Table table) {
        var there = recorded.tables().get(table.target());
        boolean ours = there == null
                || there.replacementOf(pipe)
                || recorded.builds().stream()
                        .anyMatch(build ->
                                build.replaces() && build.replacement().uuid().equals(there.uuid()));
        if (!ours) {
            problem(
                    "TargetTaken",
                    table(table.target()),
                    "exists, and is not the pipe's: " + table.mapping().targetTable()
                            + " is to be built anew under that name, before it is swapped",
                    "Rename or drop it");
        }
        if (table.found() == Decision.Found.THEIRS) {
            TargetTable.find(clickHouse, table.mapping().targetTable())
                    .filter(target -> target.text() == null)
                    .ifPresent(target -> problem(
                            "TargetUnsuitable",
                            table(target.name()),
                            "has the engine " + target.engine(),
                            "Drop or rename it and the pipe creates it; or choose another targetTable"));
        }
    }

    private void checkTargetsAreDistinct() {
        var sources = new HashMap<String, String>();
        var names = pipe.mappings().stream().map(TableMapping::targetTable).collect(Collectors.toSet());
        for (TableMapping mapping : pipe.mappings()) {
            var other = sources.putIfAbsent(mapping.targetTable(), mapping.source());
            if (other != null && !other.equals(mapping.source())) {
                problem(
                        "TargetMappedTwice",
                        table(mapping.targetTable()),
                        other + " and " + mapping.source() + " are both mapped to it",
                        "Give each a targetTable of its own; a table of ClickHouse's Merge engine reads them as one");
            }
            if (names.contains(Work.beside(mapping.targetTable()))) {
                problem(
                        "TargetNameReserved",
                        table(Work.beside(mapping.targetTable())),
                        "is mapped, and is the name under which " + mapping.targetTable() + " would be built anew",
                        "Choose another targetTable for one of the two");
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
        if (attempt("ALTER TABLE " + trial + " ADD COLUMN added String", name)) {
            attempt("ALTER TABLE " + trial + " MODIFY COLUMN added Nullable(String)", name);
            attempt("ALTER TABLE " + trial + " RENAME COLUMN added TO renamed", name);
        }
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

    /** A table that is there serves when it fits; one that the pipe made and left empty is made anew. */
    private void checkTarget(Work.Table table, TableDefinition wanted) {
        var found = TargetTable.find(clickHouse, wanted.target());
        if (found.isEmpty() || table.found() == Decision.Found.OURS_EMPTY) {
            return;
        }
        var target = found.get();
        var object = table(wanted.target());
        var shape = new ArrayList<String>();
        checkEngine(target, wanted, shape);
        if (shape.isEmpty()) {
            checkKey(target, wanted, shape);
            checkPartitions(target, wanted, table.mapping().partitionByExpr(), shape);
            expiry(target, wanted).ifPresent(shape::add);
            checkColumns(target, wanted, shape);
        }
        if (!shape.isEmpty()) {
            problem(
                    "TargetUnsuitable",
                    object,
                    String.join("; ", shape),
                    "Drop or rename it and the pipe creates it; or choose another targetTable");
            return;
        }
        if (!target.empty() && pipe.settings().replicationMode().loads()) {
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
    }

    private static void checkPartitions(
            TargetTable target, TableDefinition wanted, String expression, List<String> shape) {
        partitions(target, wanted).ifPresent(shape::add);
        var actual = target.text() == null ? null : target.text().partitionBy();
        if (expression != null && (actual == null || !plain(actual).equals(plain(expression)))) {
            shape.add("is " + (actual == null ? "not partitioned" : "partitioned by " + actual) + ", not by "
                    + expression + ", as partitionByExpr wants it");
        }
    }

    private static String plain(String expression) {
        return expression.replaceAll("[\\s`]", "").replaceFirst("^\\((.*)\\)$", "$1");
    }

    /** Why versions of a row could lie in several partitions; empty when they can't. */
    static Optional<String> partitions(TargetTable target, TableDefinition wanted) {
        var beyond = target.partitionColumns().stream()
                .filter(column -> !wanted.sortingKey().contains(column))
                .toList();
        return wanted.engine().appendOnly() || beyond.isEmpty()
                ? Optional.empty()
                : Optional.of("is partitioned by " + String.join(", ", beyond)
                        + ", outside the sorting key: versions of a row are not replaced across partitions");
    }

    /** What is built to take the target's place has the target's TTL. */
    private void checkExpiry(Work.Table table, TableDefinition wanted) {
        TargetTable.find(clickHouse, table.mapping().targetTable())
                .flatMap(target -> expiry(target, wanted))
                .ifPresent(unsuitable -> problem(
                        "TtlUnsuitable",
                        table(table.mapping().targetTable()),
                        unsuitable,
                        "ALTER TABLE … MODIFY TTL by columns of the sorting key, or by one of your own with a default such"
                                + " as now(); or REMOVE TTL"));
    }

    /**
     * Why the newest version of a row could expire before an older one, which would then be seen again; empty when it can't. A
     * tombstone has nothing but the sorting key, and an UPDATE changes everything else.
     */
    static Optional<String> expiry(TargetTable target, TableDefinition wanted) {
        if (wanted.engine().appendOnly() || target.text() == null) {
            return Optional.empty();
        }
        var beyond = target.text().expireBy().stream()
                .filter(name -> name.equals(SystemColumns.IS_DELETED)
                        || wanted.columns().stream()
                                        .anyMatch(column -> column.name().equals(name))
                                && !wanted.sortingKey().contains(name))
                .toList();
        return beyond.isEmpty()
                ? Optional.empty()
                : Optional.of("has a TTL that deletes rows by " + String.join(", ", beyond)
                        + ", outside the sorting key: the newest version of a row, or the one that says that it is deleted,"
                        + " would expire before an older one, which would be seen again");
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
            } else if (!TargetTable.holds(column.type(), type)) {
                shape.add("column \"" + name + "\" is " + column.type() + ", not " + type);
            }
        });
    }

    private String table(String name) {
        return "table " + clickHouse.database() + "." + name;
    }

    private void problem(String reason, String object, String message, String remedy) {
        problems.add(new Problem(reason, object, message, remedy));
    }
}
