package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;

/** Cuts a table into chunks: by blocks from its size alone, no row is counted or read; by a column from a sample of its values. */
public final class ChunkPlanner {
    /** Fewer rows are not worth an INSERT, unless they are large. */
    private static final long MIN_BLOCKS = 16;
    /** What a lost connection costs at most. */
    private static final long MAX_BYTES = 128L << 20;
    /** Keeps the ledger small; tables of many terabytes have larger chunks instead. */
    private static final long MAX_CHUNKS = 20_000;
    /** Where Postgres has no statistics. */
    private static final double USUAL_ROWS_PER_BLOCK = 50;
    /** Looked at for each chunk: enough that none is many times as large as it should be, also where a block has equal values. */
    private static final double SAMPLED_ROWS = 100;

    private static final double SAMPLED_BLOCKS = 10;

    /** A table with rows of its own: a mapped table, or a partition of one. */
    record Heap(
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
        return plan(connection, relid, rowsPerChunk, null);
    }

    /** @param key a column by whose values to cut; null: by blocks */
    public static List<Chunk> plan(Connection connection, long relid, long rowsPerChunk, String key)
            throws SQLException {
        var heaps = heaps(connection, relid);
        if (heaps.isEmpty() || !heaps.stream().allMatch(Heap::readable)) {
            // No partitions yet, or a role that may read the table but not its partitions by themselves.
            if (!exists(connection, relid)) {
                return List.of();
            }
            var all = new Heap(
                    relid,
                    0,
                    true,
                    false,
                    USUAL_ROWS_PER_BLOCK,
                    heaps.stream().mapToLong(Heap::blocks).sum(),
                    heaps.stream().mapToLong(Heap::bytes).sum());
            return key == null ? cut(all, rowsPerChunk) : cut(connection, all, rowsPerChunk, key);
        }
        if (key != null) {
            var chunks = new ArrayList<Chunk>();
            for (var heap : heaps) {
                chunks.addAll(cut(connection, heap, rowsPerChunk, key));
            }
            return chunks;
        }
        return heaps.stream().flatMap(heap -> cut(heap, rowsPerChunk).stream()).toList();
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

    static List<Chunk> cut(Heap heap, long rowsPerChunk) {
        if (!heap.hasCtid || heap.blocks <= MIN_BLOCKS && heap.bytes <= MAX_BYTES) {
            return List.of(Chunk.whole(heap.relid, heap.filenode, heap.bytes));
        }
        var chunks = new ArrayList<Chunk>();
        double bytesPerBlock = (double) heap.bytes / heap.blocks;
        double wanted = Math.max(rowsPerChunk / heap.rowsPerBlock, MIN_BLOCKS);
        long step = (long) Math.max(Math.min(wanted, MAX_BYTES / bytesPerBlock), Math.max(1, heap.blocks / MAX_CHUNKS));
        for (long first = 0; first < heap.blocks; first += step) {
            long end = first + step;
            boolean last = end >= heap.blocks;
            long blocks = last ? heap.blocks - first : step;
            chunks.add(new Chunk(
                    heap.relid, heap.filenode, first, last ? Chunk.END : end, (long) (blocks * bytesPerBlock)));
        }
        return chunks;
    }

    private static List<Chunk> cut(Connection connection, Heap heap, long rowsPerChunk, String key)
            throws SQLException {
        double rows = heap.blocks * heap.rowsPerBlock;
        double wanted = Math.max(rows / rowsPerChunk, (double) heap.bytes / MAX_BYTES);
        if (wanted < 2) {
            return List.of(Chunk.whole(heap.relid, heap.filenode, heap.bytes));
        }
        int ranges = (int) Math.min(wanted, MAX_CHUNKS);
        double percent = 100 * ranges * Math.max(SAMPLED_ROWS / rows, SAMPLED_BLOCKS / heap.blocks);
        var bounds = bounds(connection, heap, key, ranges, percent);
        if (bounds.isEmpty() && percent < 100) {
            bounds = bounds(connection, heap, key, ranges, 100); // most blocks may be empty
        }
        var chunks = new ArrayList<Chunk>();
        long bytes = heap.bytes / (bounds.size() + 1);
        for (int i = 0; i <= bounds.size(); i++) {
            var keys = new Chunk.Keys(
                    key, i == 0 ? null : bounds.get(i - 1), i == bounds.size() ? null : bounds.get(i), false);
            chunks.add(new Chunk(heap.relid, heap.filenode, 0, Chunk.END, bytes, keys));
        }
        chunks.add(new Chunk(heap.relid, heap.filenode, 0, Chunk.END, 0, Chunk.Keys.none(key)));
        return chunks;
    }

    /** Values between which there are about equally many rows, in their order, as Postgres prints them. */
    private static List<String> bounds(Connection connection, Heap heap, String key, int ranges, double percent)
            throws SQLException {
        var name = Publications.identifier(key);
        var sample = heap.hasCtid && percent < 100 ? " TABLESAMPLE SYSTEM (" + percent + ")" : "";
        // The same for every order a type may have, and it gives values that are there.
        var sql = """
                SELECT b::text FROM unnest((
                    SELECT percentile_disc(ARRAY (SELECT i::float8 / %d FROM generate_series(1, %d) i)) WITHIN GROUP (ORDER BY %s)
                    FROM %s%s)) WITH ORDINALITY AS u (b, n)
                WHERE b IS NOT NULL GROUP BY b ORDER BY min(n)
                """.formatted(ranges, ranges - 1, name, source(connection, heap), sample);
        try (var statement = connection.createStatement();
                var rows = statement.executeQuery(sql)) {
            var bounds = new ArrayList<String>();
            while (rows.next()) {
                bounds.add(rows.getString(1));
            }
            return bounds;
        }
    }

    private static String source(Connection connection, Heap heap) throws SQLException {
        try (var query = connection.prepareStatement(
                "SELECT CASE WHEN relkind = 'p' THEN '' ELSE 'ONLY ' END || oid::regclass FROM pg_class WHERE oid = ?::oid")) {
            query.setLong(1, heap.relid);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    throw new SQLException("relation " + heap.relid + " does not exist", "42P01");
                }
                return rows.getString(1);
            }
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
