package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** One source table and the target table that mirrors it. */
@ValidationRule(
        value = "!self.useCustomSortingKey || (has(self.sortingKeys) && size(self.sortingKeys) > 0)",
        fieldPath = ".sortingKeys",
        message = "useCustomSortingKey needs sortingKeys: list the columns of the sorting key, in order")
@ValidationRule(
        value = "self.useCustomSortingKey || !has(self.sortingKeys) || size(self.sortingKeys) == 0",
        fieldPath = ".sortingKeys",
        message = "sortingKeys are used only with useCustomSortingKey: true; set it, or leave them out")
@ValidationRule(
        value = "!has(self.sortingKeys) || self.sortingKeys.all(k, self.sortingKeys.exists_one(other, other == k))",
        fieldPath = ".sortingKeys",
        message = "a column stands twice in sortingKeys: name each once")
@ValidationRule(
        value = "self.tableEngine != 'Null' || !self.useCustomSortingKey && !has(self.partitionByExpr)",
        fieldPath = ".tableEngine",
        message = "tableEngine Null stores nothing: leave out useCustomSortingKey and partitionByExpr")
@ValidationRule(
        value = "!self.targetTable.startsWith('_clickpipe_')",
        fieldPath = ".targetTable",
        message = "tables named _clickpipe_* hold the pipe's own state: choose another name")
@ValidationRule(
        value = "!self.sourceTable.startsWith(self.sourceSchemaName + '.')",
        fieldPath = ".sourceTable",
        message = "sourceTable is the table's name alone: its schema is sourceSchemaName")
@ValidationRule(
        value = "!self.sourceSchemaName.startsWith('pg_') && self.sourceSchemaName != 'information_schema'",
        fieldPath = ".sourceSchemaName",
        message = "Postgres' own system tables cannot be replicated")
public record TableMapping(
        @Required
        @Size(min = 1, max = 63)
        @JsonPropertyDescription("The source table's schema, spelt as in the catalogue, without quotes: public.")
        String sourceSchemaName,

        @Required
        @Size(min = 1, max = 63)
        @JsonPropertyDescription(
                "The source table's name, spelt as in the catalogue, without quotes. Ordinary or partitioned.")
        String sourceTable,

        @Required
        @Size(min = 1, max = 200)
        @JsonPropertyDescription(
                "The target table's name, unique in the pipe. Created when absent. It must be empty if the pipe is to load it.")
        String targetTable,

        @Size(max = 1600) @JsonPropertyDescription("Source columns that are not replicated.")
        List<@Size(min = 1, max = 63) String> excludedColumns,

        @Default("false")
        @JsonPropertyDescription("false: the target is ordered by the source's key. true: by sortingKeys.")
        Boolean useCustomSortingKey,

        @Size(max = 16)
        @JsonPropertyDescription(
                "ORDER BY of the target table, in this order. For ReplacingMergeTree it must contain the source's key.")
        List<@Size(min = 1, max = 63) String> sortingKeys,

        @Default("ReplacingMergeTree")
        @JsonPropertyDescription(
                "ReplacingMergeTree: one live row per key; read it with FINAL. MergeTree: append-only, every change is a row, with its operation and commit time; also for tables without a key. \"Null\", in quotes, for else YAML takes it for nothing: as MergeTree, but nothing is stored; for materialized views.")
        TableEngine tableEngine,

        @Size(max = 1000)
        @JsonPropertyDescription(
                "PARTITION BY of the target table: a ClickHouse expression over its columns, such as toYYYYMM(created_at). For ReplacingMergeTree over columns of its sorting key, as rows of different partitions are never merged.")
        String partitionByExpr,

        @Size(max = 63)
        @JsonPropertyDescription(
                "A column by whose values the initial load cuts the table into chunks, instead of by its physical blocks: where those say nothing, as in tables of another access method than heap, or where most are empty. With an index on it, of any type that has an order; NULL has a chunk of its own.")
        String partitionKey,

        @Size(max = 1600)
        @JsonPropertyDescription(
                "Columns that are to become something else than their types become by themselves; the others need not be named.")
        List<ColumnMapping> columns,

        @Default("false")
        @JsonPropertyDescription(
                "true: a row that is deleted in the source stays in the target as it was last. An UPDATE of the key is no delete. For what is committed from the edit on; it loads nothing anew.")
        Boolean ignoreDeletes,

        @Default("false")
        @JsonPropertyDescription(
                "true: a TRUNCATE of the source empties no target, and is not told in a MergeTree. For what is committed from the edit on; it loads nothing anew.")
        Boolean ignoreTruncates,

        @Size(max = 253)
        @JsonPropertyDescription(
                "Any text. A new value loads this table anew, beside the live one, and swaps; once for each value. The one present when the mapping is added starts nothing.")
        String resync) {

    public TableMapping {
        excludedColumns = excludedColumns == null ? List.of() : List.copyOf(excludedColumns);
        useCustomSortingKey = useCustomSortingKey != null && useCustomSortingKey;
        sortingKeys = sortingKeys == null ? List.of() : List.copyOf(sortingKeys);
        ignoreDeletes = ignoreDeletes != null && ignoreDeletes;
        ignoreTruncates = ignoreTruncates != null && ignoreTruncates;
        columns = columns == null ? List.of() : List.copyOf(columns);
        partitionByExpr = partitionByExpr == null || partitionByExpr.isBlank() ? null : partitionByExpr;
        partitionKey = partitionKey == null || partitionKey.isEmpty() ? null : partitionKey;
        resync = resync == null || resync.isEmpty() ? null : resync;
        tableEngine = tableEngine == null ? TableEngine.ReplacingMergeTree : tableEngine;
    }

    /** Schema and table as people write them in messages: {@code public.orders}. Not quoted, not for SQL. */
    @JsonIgnore
    public String source() {
        return sourceSchemaName + "." + sourceTable;
    }
}
