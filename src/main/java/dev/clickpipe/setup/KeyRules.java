package dev.clickpipe.setup;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.UnsuitableType;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Publications;
import dev.clickpipe.postgres.SourceColumn;
import dev.clickpipe.postgres.SourceTable;
import dev.clickpipe.postgres.SourceTable.ReplicaIdentity;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Which columns of a source table are replicated, and by which key. Pure.
 *
 * <p>A row of a ReplacingMergeTree is found again by its sorting key alone. So the key must tell any two source rows apart
 * (it contains the source's key), and every UPDATE and DELETE must carry all of it (it is part of the replica identity):
 *
 * <ul>
 *   <li>The source's key is the primary key where the replica identity carries it, else the index of REPLICA IDENTITY USING
 *       INDEX. Without change data capture the replica identity does not matter.
 *   <li>REPLICA IDENTITY FULL without a primary key carries every column but has no key: equal rows are legal there, and a
 *       sorting key of all columns would make them one. Only a custom sorting key, by which the user vouches that it is
 *       unique, or an append-only target serves.
 *   <li>Without any replica identity Postgres would refuse the application's UPDATE and DELETE if they were published.
 *       Such tables are published insert-only, into append-only targets.
 *   <li>Generated columns are replicated only without change data capture: pgoutput does not publish them.
 * </ul>
 */
final class KeyRules {
    private final Pipe pipe;
    private final TableMapping mapping;
    private final SourceTable table;
    private final boolean streams;
    private final List<Problem> problems = new ArrayList<>();

    private KeyRules(Pipe pipe, TableMapping mapping, SourceTable table) {
        this.pipe = pipe;
        this.mapping = mapping;
        this.table = table;
        this.streams = pipe.settings().replicationMode() != ReplicationMode.SNAPSHOT;
    }

    /** @param definition what would be recorded; to be used only when there are no problems */
    record Result(TableDefinition definition, List<Problem> problems) {}

    static Result apply(Pipe pipe, TableMapping mapping, SourceTable table) {
        return new KeyRules(pipe, mapping, table).apply();
    }

    private Result apply() {
        var columns = columns();
        var key = key();
        var sortingKey = mapping.useCustomSortingKey() ? mapping.sortingKeys() : key;
        if (!mapping.tableEngine().stores()) {
            sortingKey = List.of();
            checkNoLayout();
        }
        checkCustomKey();
        if (!mapping.tableEngine().appendOnly()) {
            checkReplacingKey(key, sortingKey);
        }
        checkKeyColumns(sortingKey);
        boolean nullables = pipe.settings().allowNullableColumns();
        var definition = TableDefinition.wanted(
                        table.schema(),
                        table.name(),
                        table.relid(),
                        mapping.targetTable(),
                        mapping.tableEngine(),
                        table.identityColumns().stream()
                                .filter(name -> !mapping.excludedColumns().contains(name))
                                .toList(),
                        sortingKey,
                        columns.stream()
                                .map(column -> mapped(column, nullables))
                                .toList())
                .withHighestColumn(table.columns().stream()
                        .mapToInt(SourceColumn::number)
                        .max()
                        .orElse(0))
                .withIgnored(ignored(mapping));
        return new Result(definition, List.copyOf(problems));
    }

    static Ignored ignored(TableMapping mapping) {
        return new Ignored(mapping.ignoreDeletes(), mapping.ignoreTruncates());
    }

    /** The column as it is chosen; where that can't be, as its type is mapped by itself. */
    private TableDefinition.Column mapped(SourceColumn column, boolean nullables) {
        var choice = mapping.columns().stream()
                .filter(chosen -> chosen.name().equals(column.name()))
                .map(chosen -> new TableDefinition.Choice(chosen.name(), chosen.targetType(), chosen.nullable()))
                .findFirst()
                .orElse(TableDefinition.Choice.none(column.name()));
        try {
            var mapped = TableDefinition.Column.of(column, nullables, choice);
            if (Boolean.TRUE.equals(choice.nullable())
                    && mapped.clickHouseType().startsWith("Array(")) {
                columnProblem(
                        column.name(),
                        "ClickHouse has no Nullable(Array), and nullable is true",
                        "Leave nullable out: a NULL array becomes the empty one; or add targetType: String, which keeps it apart");
            }
            return mapped;
        } catch (UnsuitableType e) {
            columnProblem(column.name(), e.getMessage(), "Choose one of: " + e.choices());
            return TableDefinition.Column.of(column, nullables);
        }
    }

    private void columnProblem(String column, String message, String remedy) {
        problems.add(new Problem(
                "ColumnMappingInvalid", "table " + mapping.source() + ", column " + column, message, remedy));
    }

    /** Columns that are there but not replicated, because pgoutput leaves them out. */
    static List<String> unpublished(Pipe pipe, SourceTable table) {
        return pipe.settings().replicationMode().streams()
                ? table.columns().stream()
                        .filter(SourceColumn::generated)
                        .map(SourceColumn::name)
                        .toList()
                : List.of();
    }

    private List<SourceColumn> columns() {
        var names = table.columns().stream().map(SourceColumn::name).toList();
        for (var excluded : mapping.excludedColumns()) {
            if (!names.contains(excluded)) {
                problem(
                        "ExcludedColumnUnknown",
                        "excludedColumns names \"" + excluded + "\", which the table does not have",
                        "Its columns are " + String.join(", ", names));
            }
        }
        Set<String> chosen = new HashSet<>();
        for (var column : mapping.columns()) {
            if (!names.contains(column.name())) {
                columnProblem(
                        column.name(),
                        "the mapping's columns name it, and the table does not have it",
                        "Its columns are " + String.join(", ", names));
            } else if (mapping.excludedColumns().contains(column.name())) {
                columnProblem(
                        column.name(),
                        "the mapping's columns name it, and excludedColumns leaves it out",
                        "Take it out of one of the two");
            } else if (column.targetType() != null && column.targetType().contains("Nullable(")) {
                columnProblem(
                        column.name(),
                        "targetType is " + column.targetType(),
                        "Leave Nullable out: nullable says whether the column holds NULL, and elements of arrays always may");
            } else if (!chosen.add(column.name())) {
                columnProblem(column.name(), "the mapping's columns name it twice", "Name each column once");
            }
        }
        var reserved = TargetTable.systemColumns(true).keySet();
        for (var name : names) {
            if (reserved.contains(name) && !mapping.excludedColumns().contains(name)) {
                problem(
                        "ColumnNameReserved",
                        "column \"" + name + "\" has the name of a column the pipe adds to every target",
                        "Rename it, or put it into excludedColumns");
            }
        }
        var unpublished = unpublished(pipe, table);
        var columns = table.columns().stream()
                .filter(column -> !mapping.excludedColumns().contains(column.name()))
                .filter(column -> !unpublished.contains(column.name()))
                .toList();
        if (columns.isEmpty()) {
            problem("NoColumns", "no column is left to replicate", "Take columns out of excludedColumns");
        }
        return columns;
    }

    /** The source's key: tells any two rows apart, and is carried by UPDATE and DELETE where they are read; or empty. */
    private List<String> key() {
        var primaryKey = table.primaryKey();
        if (!primaryKey.isEmpty() && (!streams || table.identityColumns().containsAll(primaryKey))) {
            return primaryKey;
        }
        return table.identity() == ReplicaIdentity.INDEX ? table.identityColumns() : List.of();
    }

    private void checkNoLayout() {
        if (mapping.useCustomSortingKey() || mapping.partitionByExpr() != null) {
            problem(
                    "LayoutWithoutStorage",
                    "tableEngine Null stores nothing, and has neither a sorting key nor partitions",
                    "Leave out useCustomSortingKey and partitionByExpr; or use tableEngine: MergeTree");
        }
    }

    private void checkCustomKey() {
        if (!mapping.useCustomSortingKey()) {
            return;
        }
        if (mapping.sortingKeys().isEmpty()) {
            problem(
                    "SortingKeyInvalid",
                    "useCustomSortingKey without sortingKeys",
                    "List the columns of the sorting key, in order");
        }
        Set<String> seen = new HashSet<>();
        for (var name : mapping.sortingKeys()) {
            if (!seen.add(name)) {
                problem("SortingKeyInvalid", "sortingKeys names \"" + name + "\" twice", "Name each column once");
            } else if (table.columns().stream()
                    .noneMatch(column -> column.name().equals(name))) {
                problem(
                        "SortingKeyInvalid",
                        "sortingKeys names \"" + name + "\", which the table does not have",
                        "Correct the name");
            } else if (mapping.excludedColumns().contains(name)) {
                problem(
                        "SortingKeyInvalid",
                        "sortingKeys names \"" + name + "\", which excludedColumns leaves out",
                        "Take it out of one of the two");
            }
        }
    }

    private void checkReplacingKey(List<String> key, List<String> sortingKey) {
        if (streams && !table.hasUsableIdentity()) {
            problem("NoReplicaIdentity", whyNoIdentity(), waysToAKey());
            return;
        }
        if (key.isEmpty() && !mapping.useCustomSortingKey()) {
            problem(
                    "NoKey",
                    table.identity() == ReplicaIdentity.FULL
                            ? "REPLICA IDENTITY FULL without a primary key: nothing tells two equal rows apart, a ReplacingMergeTree would make them one"
                            : "no primary key: nothing tells two rows apart, a ReplacingMergeTree would make them one",
                    waysToAKey()
                            + (streams && table.identity() != ReplicaIdentity.FULL
                                    ? ""
                                    : "; or give sortingKeys that are unique"));
            return;
        }
        var lacking = key.stream().filter(name -> !sortingKey.contains(name)).toList();
        if (!lacking.isEmpty()) {
            problem(
                    "SortingKeyLacksKey",
                    "sortingKeys lacks %s of the source's key: rows that differ only there would become one"
                            .formatted(quoted(lacking)),
                    "Add it at the end of sortingKeys");
        }
        var beyond = sortingKey.stream()
                .filter(name -> table.columns().stream()
                        .anyMatch(column -> column.name().equals(name)))
                .filter(name -> !table.identityColumns().contains(name))
                .toList();
        if (streams && !beyond.isEmpty()) {
            problem(
                    "SortingKeyBeyondIdentity",
                    "sortingKeys has %s, which UPDATE and DELETE do not carry: deleted and moved rows would stay"
                            .formatted(quoted(beyond)),
                    "ALTER TABLE " + sqlName() + " REPLICA IDENTITY FULL; or take it out of sortingKeys");
        }
    }

    private void checkKeyColumns(List<String> sortingKey) {
        Set<String> key = new HashSet<>(table.primaryKey());
        if (table.identity() != ReplicaIdentity.FULL) {
            key.addAll(table.identityColumns());
        }
        for (var excluded : mapping.excludedColumns()) {
            if (key.contains(excluded)) {
                problem(
                        "ExcludedColumnInKey",
                        "excludedColumns names \"" + excluded + "\", which is part of the table's key",
                        "Take it out of excludedColumns");
            }
        }
        for (var name : unpublished(pipe, table)) {
            if (sortingKey.contains(name) || key.contains(name)) {
                problem(
                        "GeneratedColumnInKey",
                        "column \"" + name + "\" of the key is GENERATED ALWAYS AS, which Postgres does not publish",
                        "Use a key of ordinary columns: ALTER TABLE " + sqlName() + " REPLICA IDENTITY USING INDEX …");
            }
        }
    }

    private String whyNoIdentity() {
        return switch (table.identity()) {
            case NOTHING -> "REPLICA IDENTITY NOTHING: Postgres can't publish its UPDATE and DELETE";
            case INDEX -> "the index of REPLICA IDENTITY USING INDEX is gone: Postgres can't publish UPDATE and DELETE";
            default ->
                (table.primaryKey().isEmpty()
                                ? "no primary key and no replica identity"
                                : "the primary key is deferrable, or a partition lacks it, and there is no other replica identity")
                        + ": Postgres can't publish UPDATE and DELETE";
        };
    }

    private String waysToAKey() {
        var identity = table.primaryKey().isEmpty()
                ? "ALTER TABLE " + sqlName()
                        + " ADD PRIMARY KEY (…), or REPLICA IDENTITY USING INDEX with a unique index"
                : "ALTER TABLE " + sqlName()
                        + (table.identity() == ReplicaIdentity.NOTHING
                                ? " REPLICA IDENTITY DEFAULT"
                                : " REPLICA IDENTITY USING INDEX with a unique index, or FULL");
        return identity + "; or set tableEngine: MergeTree"
                + (streams && !table.hasUsableIdentity() ? ", which gets its inserts only" : "");
    }

    private static String quoted(List<String> names) {
        return "\"" + String.join("\", \"", names) + "\"";
    }

    private String sqlName() {
        return Publications.identifier(table.schema()) + "." + Publications.identifier(table.name());
    }

    private void problem(String reason, String message, String remedy) {
        problems.add(new Problem(reason, "table " + mapping.source(), message, remedy));
    }
}
