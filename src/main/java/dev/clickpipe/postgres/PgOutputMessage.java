package dev.clickpipe.postgres;

import java.time.Instant;
import java.util.List;

/**
 * A message of the logical replication protocol as the pgoutput plugin writes it (PostgreSQL documentation, 54.9 "Logical
 * Replication Message Formats"), protocol version 1.
 */
public sealed interface PgOutputMessage {

    /** A message that changes rows of tables. */
    sealed interface Change extends PgOutputMessage {}

    /**
     * A transaction begins; it comes whole, and transactions come in the order of their commits.
     *
     * @param finalLsn where its commit record starts: greater for a transaction that committed later
     */
    record Begin(Lsn finalLsn, Instant committedAt, int xid) implements PgOutputMessage {}

    /**
     * The transaction is complete.
     *
     * @param commitLsn where the commit record starts, the same as {@link Begin#finalLsn}
     * @param endLsn where it ends: acknowledging this acknowledges the transaction
     */
    record Commit(Lsn commitLsn, Lsn endLsn, Instant committedAt) implements PgOutputMessage {}

    /** The transaction came to the source from elsewhere. */
    record Origin(Lsn commitLsn, String name) implements PgOutputMessage {}

    /** What {@code pg_logical_emit_message} wrote; the content is not kept. */
    record Message(boolean transactional, Lsn lsn, String prefix) implements PgOutputMessage {}

    /**
     * The shape of a table, sent before its first change on a connection and again after it changed.
     *
     * @param relid unsigned 32 bits
     * @param identity {@code pg_class.relreplident}: d, n, f or i
     */
    record Relation(long relid, String schema, String name, char identity, List<Column> columns)
            implements PgOutputMessage {

        /**
         * @param identity whether it is part of the replica identity, and so present in the old rows tagged as keys
         * @param type OID, unsigned 32 bits
         */
        public record Column(boolean identity, String name, long type, int typmod) {}

        public Relation {
            columns = List.copyOf(columns);
        }

        @Override
        public String toString() {
            return schema + "." + name;
        }
    }

    /** The name of a type that is not built in. */
    record Type(long oid, String schema, String name) implements PgOutputMessage {}

    record Insert(long relid, Tuple row) implements Change {}

    /**
     * @param old null when the replica identity's columns kept their values (and are not {@code FULL})
     * @param row columns whose TOASTed value did not change are {@link Tuple#unchanged}
     */
    record Update(long relid, OldTuple old, Tuple row) implements Change {}

    record Delete(long relid, OldTuple old) implements Change {}

    record Truncate(List<Long> relids, boolean cascade, boolean restartIdentity) implements Change {
        public Truncate {
            relids = List.copyOf(relids);
        }
    }

    /**
     * What a row was before the change.
     *
     * @param whole true: all columns are there (REPLICA IDENTITY FULL); false: those of the replica identity are, the others
     *     read NULL whatever they were
     */
    record OldTuple(boolean whole, Tuple tuple) {}
}
