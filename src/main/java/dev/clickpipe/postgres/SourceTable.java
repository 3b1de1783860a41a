package dev.clickpipe.postgres;

import java.util.List;

/**
 * A source table as the catalogue describes it at one moment.
 *
 * @param relid its OID
 * @param kind 'r' ordinary, 'p' partitioned ({@code pg_class.relkind})
 * @param identity how Postgres identifies a row in UPDATE and DELETE messages
 * @param primaryKey names of the primary key's columns in key order; empty when there is none
 * @param identityColumns names of the columns that old rows carry: the primary key, the index of USING INDEX, all columns
 *     for FULL; empty for NOTHING, or DEFAULT without a primary key
 */
public record SourceTable(
        long relid,
        String schema,
        String name,
        char kind,
        ReplicaIdentity identity,
        List<String> primaryKey,
        List<String> identityColumns,
        List<SourceColumn> columns) {

    /** {@code pg_class.relreplident}. */
    public enum ReplicaIdentity {
        DEFAULT,
        FULL,
        INDEX,
        NOTHING
    }

    public SourceTable {
        primaryKey = List.copyOf(primaryKey);
        identityColumns = List.copyOf(identityColumns);
        columns = List.copyOf(columns);
    }

    /** False where Postgres would refuse the application's UPDATE and DELETE if they were published. */
    public boolean hasUsableIdentity() {
        return !identityColumns.isEmpty();
    }

    @Override
    public String toString() {
        return schema + "." + name;
    }
}
