package dev.clickpipe.clickhouse;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.postgres.Lsn;
import java.util.List;

/**
 * A replicated table as Setup recorded it: what both phases go by, whatever the catalogues say meanwhile.
 *
 * @param relid the source table's OID when it was recorded
 * @param keyColumns columns that identify a row in UPDATE and DELETE (the replica identity); empty for keyless tables
 * @param sortingKey ORDER BY of the target; empty for {@code tuple()}
 * @param columns the replicated columns, in source order; excluded ones are absent
 * @param boundary commits before this LSN are in the initial load already, whole: CDC skips them. For append-only targets that
 *     keeps rows from being there twice; for all of them it keeps a TRUNCATE of long ago from emptying what was loaded since.
 *     Null until the load began
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

    /** Schema and table as people write them in messages; not quoted, not for SQL. */
    public String source() {
        return sourceSchema + "." + sourceTable;
    }

    /** The same table once its initial load has begun. */
    public TableDefinition withBoundary(Lsn lsn) {
        return new TableDefinition(
                sourceSchema, sourceTable, relid, target, engine, keyColumns, sortingKey, columns, lsn.toString());
    }

    /** Whether both describe the same columns in the same target, wherever the initial load stands. */
    public boolean sameAs(TableDefinition other) {
        return target.equals(other.target)
                && engine == other.engine
                && keyColumns.equals(other.keyColumns)
                && sortingKey.equals(other.sortingKey)
                && columns.equals(other.columns);
    }
}
