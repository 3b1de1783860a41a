package dev.clickpipe.cdc;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * The key of a source row, in the order of {@link dev.clickpipe.clickhouse.TableDefinition#keyColumns}.
 *
 * @param text as Postgres prints the columns, for asking Postgres
 * @param encoded the same as TabSeparated fields with tabs between them, for asking ClickHouse and for finding the row in a
 *     batch
 */
record RowKey(List<String> text, ByteBuffer encoded) {
    @Override
    public boolean equals(Object other) {
        return other instanceof RowKey key && encoded.equals(key.encoded);
    }

    @Override
    public int hashCode() {
        return encoded.hashCode();
    }
}
