package dev.clickpipe.clickhouse;

import dev.clickpipe.api.TableEngine;
import java.util.List;

/**
 * A replicated table as Setup recorded it: what both phases go by, whatever the catalogues say meanwhile.
 *
 * @param relid the source table's OID when it was recorded
 * @param keyColumns columns that identify a row in UPDATE and DELETE (the replica identity); empty for keyless tables
 * @param sortingKey ORDER BY of the target; empty for {@code tuple()}
 * @param columns the replicated columns, in source order; excluded ones are absent
 * @param boundary append-only targets: commits before this LSN are in the initial load already, CDC skips them; null
 *     until the load's session began, and for ReplacingMergeTree, where the version column decides
 */
public record TableDefinition(
        String sourceSchema,
        String sourceTable,
        long relid,
        String target,
        TableEngine engine,
        List<String> keyColumns,
        List<String> sortingKey,
        List<Column> columns,
        String boundary) {

    /**
     * @param number {@code attnum} in the source
     * @param type the source type, from which the codec is chosen again after a restart
     * @param clickHouseType the whole type in the target, such as {@code Nullable(Int32)}
     */
    public record Column(
            int number,
            String name,
            dev.clickpipe.postgres.PgType type,
            int dimensions,
            boolean nullable,
            String clickHouseType) {}

    public TableDefinition {
        keyColumns = List.copyOf(keyColumns);
        sortingKey = List.copyOf(sortingKey);
        columns = List.copyOf(columns);
    }

    /** The same with another boundary. */
    public TableDefinition withBoundary(String boundary) {
        return new TableDefinition(
                sourceSchema, sourceTable, relid, target, engine, keyColumns, sortingKey, columns, boundary);
    }

    /** Schema and table as people write them in messages: {@code public.orders}. */
    public String source() {
        return sourceSchema + "." + sourceTable;
    }
}
