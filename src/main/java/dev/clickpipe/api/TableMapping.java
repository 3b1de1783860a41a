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
        message = "useCustomSortingKey needs sortingKeys: list the columns of the sorting key, in order")
@ValidationRule(
        value = "self.useCustomSortingKey || !has(self.sortingKeys) || size(self.sortingKeys) == 0",
        message = "sortingKeys are only used with useCustomSortingKey: true")
@ValidationRule(
        value = "!self.targetTable.startsWith('_clickpipe_')",
        message = "targetTable may not start with _clickpipe_: those tables hold the pipe's own state")
public record TableMapping(
        @Required @Size(min = 1, max = 63) String sourceSchemaName,
        @Required @Size(min = 1, max = 63) String sourceTable,

        @Required
        @Size(min = 1, max = 200)
        @JsonPropertyDescription("Created when absent; must be empty if the pipe is to load it.")
        String targetTable,

        @Size(max = 1600) @JsonPropertyDescription("Source columns that are not replicated.")
        List<String> excludedColumns,

        @Default("false") Boolean useCustomSortingKey,

        @Size(max = 64)
        @JsonPropertyDescription(
                "ORDER BY of the target table, in this order. For ReplacingMergeTree it must contain the source's key.")
        List<String> sortingKeys,

        @Default("ReplacingMergeTree")
        @JsonPropertyDescription(
                "ReplacingMergeTree: one live row per key, read with FINAL. MergeTree: every change a row.")
        TableEngine tableEngine) {

    public TableMapping {
        excludedColumns = excludedColumns == null ? List.of() : List.copyOf(excludedColumns);
        useCustomSortingKey = useCustomSortingKey != null && useCustomSortingKey;
        sortingKeys = sortingKeys == null ? List.of() : List.copyOf(sortingKeys);
        tableEngine = tableEngine == null ? TableEngine.ReplacingMergeTree : tableEngine;
    }

    /** Schema and table as people write them in messages: {@code public.orders}. Not quoted, not for SQL. */
    @JsonIgnore
    public String source() {
        return sourceSchemaName + "." + sourceTable;
    }
}
