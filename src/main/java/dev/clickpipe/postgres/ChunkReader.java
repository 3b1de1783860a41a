package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyOut;

/**
 * Reads chunks through a snapshot, each in a transaction of its own, so that a table is locked against DDL for no longer than
 * one chunk takes. For one thread at a time; of no use after an exception.
 */
public final class ChunkReader implements AutoCloseable {
    private static final int ROW_FILTERS_SINCE = 15;

    private final Connection connection;
    private final String snapshot;

    ChunkReader(Connection connection, String snapshot) {
        this.connection = connection;
        this.snapshot = snapshot;
    }

    /** How it went. */
    public enum Outcome {
        READ,
        /** The partition does not exist any more, nor do its rows. */
        DROPPED,
        /**
         * The table's rows have moved to another file (TRUNCATE, VACUUM FULL, CLUSTER, ALTER TABLE) since the chunk was planned
         * or since the snapshot was taken. Nothing was read: blocks are others now, and some of these commands are not MVCC-safe
         * (PostgreSQL documentation, 13.6 "Caveats").
         */
        REWRITTEN,
        /** The table's columns are not those to be read. Nothing was read. */
        CHANGED
    }

    /** Asked when nobody can alter the table any more, before it is read. */
    @FunctionalInterface
    public interface Check {
        /** @param connection in the chunk's transaction */
        boolean isUnchanged(Connection connection) throws SQLException;
    }

    /** Takes rows of COPY in text format, each with its line feed. */
    @FunctionalInterface
    public interface Rows {
        /**
         * @return the next row; null after the last, once: with it the transaction has ended, and the next chunk may be read
         * @throws PipeException classified
         */
        byte[] next();
    }

    /** What is done with the rows while they are read. */
    @FunctionalInterface
    public interface Consumer {
        void accept(Rows rows);
    }

    /** A table in a publication. */
    public record Published(String publication, long relid) {}

    private record Found(String name, char kind, long filenode, long filenodeInSnapshot) {}

    /**
     * Reads a chunk's rows in the order of the heap.
     *
     * @param table the mapped table, for messages
     * @param columns unquoted names
     * @param published the mapped table in a publication: only rows that its row filter lets pass are read, as only their changes
     *     are published; null: all
     * @param check whether the table still has these columns
     * @param consumer called once, if there is anything to read; takes all rows. What it throws passes through
     * @throws PipeException classified
     */
    public Outcome read(
            Chunk chunk, String table, List<String> columns, Published published, Check check, Consumer consumer) {
        try {
            SnapshotSession.begin(connection, "'" + snapshot + "'");
            var found = find(chunk);
            if (found == null) {
                return end(Outcome.DROPPED);
            }
            // Takes the lock that reading takes, and unlike LOCK TABLE needs no more rights than that.
            execute("SELECT FROM " + source(found) + " LIMIT 0");
            if (found.kind == 'r') {
                found = find(chunk); // now nobody can rewrite it
                if (found.filenode != chunk.filenode() || found.filenode != found.filenodeInSnapshot) {
                    return end(Outcome.REWRITTEN);
                }
            }
            if (!check.isUnchanged(connection)) {
                return end(Outcome.CHANGED);
            }
            var copy = copy(chunk, found, columns, published == null ? Optional.empty() : rowFilter(published));
            consumer.accept(() -> next(copy, table));
            return Outcome.READ;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "table " + table);
        }
    }

    /** Where the function reads the catalogue as it is now, the column shows it as it was in the snapshot. */
    private Found find(Chunk chunk) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT c.oid::regclass::text, c.relkind, coalesce(pg_relation_filenode(c.oid), 0), c.relfilenode
                FROM pg_class c WHERE c.oid = ?::oid AND pg_table_is_visible(c.oid) IS NOT NULL
                """)) {
            query.setLong(1, chunk.relid());
            try (var rows = query.executeQuery()) {
                return rows.next()
                        ? new Found(rows.getString(1), rows.getString(2).charAt(0), rows.getLong(3), rows.getLong(4))
                        : null;
            }
        }
    }

    /** Only a partitioned table is read with its partitions, where these can't be read one by one. */
    private static String source(Found found) {
        return (found.kind == 'p' ? "" : "ONLY ") + found.name;
    }

    /** As of the snapshot; it names the columns of the mapped table, which a partition has under the same names. */
    private Optional<String> rowFilter(Published published) throws SQLException {
        if (connection.getMetaData().getDatabaseMajorVersion() < ROW_FILTERS_SINCE) {
            return Optional.empty();
        }
        try (var query = connection.prepareStatement("""
                SELECT pg_get_expr(r.prqual, r.prrelid) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                WHERE p.pubname = ? AND r.prrelid = ?::oid
                """)) {
            query.setString(1, published.publication);
            query.setLong(2, published.relid);
            try (var rows = query.executeQuery()) {
                return rows.next() ? Optional.ofNullable(rows.getString(1)) : Optional.empty();
            }
        }
    }

    private CopyOut copy(Chunk chunk, Found found, List<String> columns, Optional<String> rowFilter)
            throws SQLException {
        var names = columns.stream().map(ChunkReader::identifier).collect(Collectors.joining(", "));
        var conditions = Stream.concat(chunk.condition().stream(), rowFilter.stream())
                .map(condition -> "(" + condition + ")")
                .toList();
        var where = conditions.isEmpty() ? "" : " WHERE " + String.join(" AND ", conditions);
        return connection
                .unwrap(PGConnection.class)
                .getCopyAPI()
                .copyOut("COPY (SELECT " + names + " FROM " + source(found) + where + ") TO STDOUT");
    }

    private byte[] next(CopyOut copy, String table) {
        try {
            var row = copy.readFromCopy();
            if (row == null) {
                execute("COMMIT");
            }
            return row;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "table " + table);
        }
    }

    private Outcome end(Outcome outcome) throws SQLException {
        execute("COMMIT");
        return outcome;
    }

    private void execute(String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static String identifier(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    /** Also in the midst of a chunk. */
    @Override
    public void close() {
        try {
            connection.abort(Runnable::run); // unlike close() it does not wait for a COPY to end
        } catch (SQLException e) {
            // its transaction ends with it
        }
    }
}
