package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.stream.LongStream;

/** Cuts a table into chunks from its size alone: no row is counted or read. */
public final class ChunkPlanner {
    private static final long MIN_BLOCKS = 16;
    private static final long MAX_BYTES = 128L << 20;
    /** Keeps the ledger small; tables of many terabytes have larger chunks instead. */
    private static final long MAX_CHUNKS = 20_000;
    /** Where Postgres has no statistics. */
    private static final double USUAL_ROWS_PER_BLOCK = 50;

    /** A table with rows of its own: a mapped table, or a partition of one. */
    private record Heap(
            long relid,
            long filenode,
            boolean readable,
            boolean hasCtid,
            double rowsPerBlock,
            long blocks,
            long bytes) {}

    private ChunkPlanner() {}

    /**
     * The chunks of a table; of a partitioned one, those of its partitions. Together they cover all its rows whatever is added
     * meanwhile: the last one of each heap is open-ended.
     *
     * @param relid an ordinary, partitioned or foreign table
     * @param rowsPerChunk what a chunk should hold, by the statistics
     * @return at least one chunk; empty when there is no such table
     */
    public static List<Chunk> plan(Connection connection, long relid, long rowsPerChunk) throws SQLException {
        var heaps = heaps(connection, relid);
        if (heaps.isEmpty() || !heaps.stream().allMatch(Heap::readable)) {
            // No partitions yet, or a role that may read the table but not its partitions by themselves.
            return exists(connection, relid)
                    ? List.of(Chunk.whole(
                            relid, 0, heaps.stream().mapToLong(Heap::bytes).sum()))
                    : List.of();
        }
        var chunks = new ArrayList<Chunk>();
        heaps.forEach(heap -> cut(heap, rowsPerChunk, chunks));
        return chunks;
    }

    /**
     * Whether the blocks that the chunks name are still the same. A partition dropped since does not count: what was read of it
     * stays, as its DROP would not be replicated either.
     */
    public static boolean stillValid(Connection connection, List<Chunk> chunks) throws SQLException {
        var relids = chunks.stream().map(Chunk::relid).distinct().toArray(Long[]::new);
        var filenodes = new HashMap<Long, Long>();
        try (var query = connection.prepareStatement(
                "SELECT oid, coalesce(pg_relation_filenode(oid), 0) FROM pg_class WHERE oid = ANY (?::oid[])")) {
            query.setArray(1, connection.createArrayOf("int8", relids));
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    filenodes.put(rows.getLong(1), rows.getLong(2));
                }
            }
        }
        return chunks.stream()
                .allMatch(chunk -> filenodes.getOrDefault(chunk.relid(), chunk.filenode()) == chunk.filenode());
    }

    private static void cut(Heap heap, long rowsPerChunk, List<Chunk> chunks) {
        if (!heap.hasCtid || heap.blocks <= MIN_BLOCKS) {
            chunks.add(Chunk.whole(heap.relid, heap.filenode, heap.bytes));
            return;
        }
        double bytesPerBlock = (double) heap.bytes / heap.blocks;
        double wanted = Math.min(rowsPerChunk / heap.rowsPerBlock, MAX_BYTES / bytesPerBlock);
        long step = LongStream.of((long) wanted, MIN_BLOCKS, heap.blocks / MAX_CHUNKS)
                .max()
                .getAsLong();
        for (long first = 0; first < heap.blocks; first += step) {
            long end = first + step;
            boolean last = end >= heap.blocks;
            long blocks = last ? heap.blocks - first : step;
            chunks.add(new Chunk(
                    heap.relid, heap.filenode, first, last ? Chunk.END : end, (long) (blocks * bytesPerBlock)));
        }
    }

    private static List<Heap> heaps(Connection connection, long relid) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT c.oid, coalesce(pg_relation_filenode(c.oid), 0),
                       c.oid = t.relid OR has_table_privilege(c.oid, 'SELECT'),
                       am.amname IS NOT DISTINCT FROM 'heap',
                       CASE WHEN c.reltuples > 0 AND c.relpages > 0 THEN c.reltuples / c.relpages END,
                       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint,
                       coalesce(pg_table_size(c.oid), 0)
                FROM (SELECT ?::oid AS relid) AS t
                JOIN pg_class c ON c.oid = t.relid
                    OR c.oid IN (SELECT p.relid FROM pg_partition_tree(t.relid::regclass) AS p)
                LEFT JOIN pg_am am ON am.oid = c.relam
                WHERE c.relkind IN ('r', 'f') AND (c.oid = t.relid OR c.relispartition)
                ORDER BY c.oid
                """)) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                var heaps = new ArrayList<Heap>();
                while (rows.next()) {
                    var rowsPerBlock = rows.getObject(5, Double.class);
                    heaps.add(new Heap(
                            rows.getLong(1),
                            rows.getLong(2),
                            rows.getBoolean(3),
                            rows.getBoolean(4),
                            rowsPerBlock == null ? USUAL_ROWS_PER_BLOCK : rowsPerBlock,
                            rows.getLong(6),
                            rows.getLong(7)));
                }
                return heaps;
            }
        }
    }

    private static boolean exists(Connection connection, long relid) throws SQLException {
        try (var query = connection.prepareStatement("SELECT 1 FROM pg_class WHERE oid = ?::oid")) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                return rows.next();
            }
        }
    }
}
