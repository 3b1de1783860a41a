package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.postgres.Chunk;
import dev.clickpipe.postgres.Lsn;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What of the initial load is planned and done, in the table {@code _clickpipe_chunks} that all pipes of a database share. It
 * lives beside the rows it speaks of, so that it is backed up and restored with them. Thread-safe.
 */
public final class ChunkLedger {
    public static final String TABLE = "_clickpipe_chunks";

    private static final List<String> PLANNED = List.of(
            "pipe",
            "build",
            "generation",
            "chunk",
            "chunks",
            "relid",
            "filenode",
            "first_block",
            "end_block",
            "bytes",
            "key_column",
            "key_from",
            "key_to",
            "key_null");
    /** Came later. */
    private static final List<String> KEYS = List.of(
            "key_column String DEFAULT '' COMMENT 'by whose values the table is cut; empty: by blocks'",
            "key_from Nullable(String) COMMENT 'with this value; NULL: from the least one'",
            "key_to Nullable(String) COMMENT 'without this value; NULL: to the greatest one'",
            "key_null Bool DEFAULT false COMMENT 'the rows that have no value'");

    private final ClickHouseClient clickHouse;
    private final Pipe pipe;

    /**
     * The chunks of one table.
     *
     * @param build of the {@link TableDefinition} that is loaded
     * @param generation counts the table's plans from 1: a table that starts over gets a new one, and the marks of the former
     *     no longer count
     * @param entries in the order of the plan
     */
    public record Plan(String build, long generation, List<Entry> entries) {
        public Plan {
            entries = List.copyOf(entries);
        }

        public boolean loaded() {
            return entries.stream().allMatch(Entry::loaded);
        }

        public long rows() {
            return entries.stream().mapToLong(Entry::rows).sum();
        }

        /** Stands for a chunk in all workers. */
        public String name(Entry entry) {
            return build + ":" + generation + ":" + entry.number();
        }
    }

    /** @param rows how many were inserted; 0 while not loaded */
    public record Entry(int number, Chunk chunk, boolean loaded, long rows) {}

    public ChunkLedger(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
    }

    /** Creates the table where it is absent. */
    public void create() {
        clickHouse.execute(
                """
                CREATE TABLE IF NOT EXISTS %s (
                    pipe String COMMENT 'uid of the ClickPipe',
                    build String COMMENT 'the target table, as in _clickpipe_tables',
                    generation UInt32 COMMENT 'plan of the table; only the last one counts',
                    chunk UInt32,
                    chunks UInt32 COMMENT 'in this plan',
                    relid UInt32 COMMENT 'source table or partition',
                    filenode UInt32 COMMENT 'its file when it was planned; another one means that its rows moved',
                    first_block Int64,
                    end_block Int64 COMMENT '-1: to the end',
                    bytes UInt64 COMMENT 'in the source, estimated',
                    loaded Bool DEFAULT false,
                    lsn String DEFAULT '' COMMENT 'boundary of the session that read it',
                    rows UInt64 DEFAULT 0,
                    written_at DateTime64(3, 'UTC') DEFAULT now64(3),
                    %s
                ) ENGINE = %s ORDER BY (pipe, build, generation, chunk)
                """.formatted(TABLE, String.join(",\n    ", KEYS), clickHouse.engine("ReplacingMergeTree(loaded)")));
        if (!hasKeys()) { // a table of an earlier version
            clickHouse.execute("ALTER TABLE " + TABLE
                    + KEYS.stream()
                            .collect(Collectors.joining(
                                    ", ADD COLUMN IF NOT EXISTS ", " ADD COLUMN IF NOT EXISTS ", "")));
        }
    }

    private boolean hasKeys() {
        return clickHouse
                        .queryState(
                                "SELECT 1 FROM system.columns WHERE database = currentDatabase() AND table = {table:String} AND startsWith(name, 'key_')",
                                Map.of("table", TABLE))
                        .size()
                == KEYS.size();
    }

    /** The last complete plan of each build of this pipe that has one. */
    public Map<String, Plan> plans() {
        var plans = new HashMap<String, Plan>();
        if (!clickHouse.exists(TABLE)) {
            return plans;
        }
        var keys = hasKeys() ? "key_column, key_from, key_to, toString(key_null) AS key_null" : "'' AS key_column";
        // Numbers as text: the client's Java types for them differ by width.
        var rows = clickHouse.query("""
                SELECT build, toString(generation) AS generation, toString(chunk) AS chunk, toString(chunks) AS chunks,
                       toString(relid) AS relid, toString(filenode) AS filenode, toString(first_block) AS first_block,
                       toString(end_block) AS end_block, toString(bytes) AS bytes, toString(loaded) AS loaded, toString(rows) AS rows,
                       %2$s
                FROM %1$s FINAL
                WHERE pipe = {pipe:String} AND (build, generation) IN (
                    SELECT build, max(generation) FROM %1$s WHERE pipe = {pipe:String} GROUP BY build)
                """.formatted(TABLE, keys), Map.of("pipe", pipe.uid()));
        var entries = new HashMap<String, List<Entry>>();
        for (var row : rows) {
            entries.computeIfAbsent((String) row.get("build"), build -> new ArrayList<>())
                    .add(entry(row));
        }
        for (var row : rows) {
            var build = (String) row.get("build");
            var chunks = entries.get(build);
            if (!plans.containsKey(build) && chunks.size() == number(row, "chunks")) {
                chunks.sort(Comparator.comparingInt(Entry::number));
                plans.put(build, new Plan(build, number(row, "generation"), chunks));
            }
        }
        return plans;
    }

    /** Records the plan of a table that starts; it is the table's last when this returns. */
    public Plan plan(String build, List<Chunk> chunks) {
        var generation = number(
                        clickHouse
                                .query(
                                        "SELECT toString(max(generation)) AS generation FROM " + TABLE
                                                + " WHERE pipe = {pipe:String} AND build = {build:String}",
                                        Map.of("pipe", pipe.uid(), "build", build))
                                .getFirst(),
                        "generation")
                + 1;
        var entries = new ArrayList<Entry>();
        for (int i = 0; i < chunks.size(); i++) {
            entries.add(new Entry(i, chunks.get(i), false, 0));
        }
        var plan = new Plan(build, generation, entries);
        var rows = new TsvBuffer();
        for (var entry : entries) {
            key(plan, entry, rows);
            rows.newline();
        }
        clickHouse.insert(new ClickHouseClient.Insert(TABLE, PLANNED, TypeMapping.INSERT_SETTINGS, rows::writeTo));
        return plan;
    }

    /**
     * Marks a chunk as loaded, after ClickHouse confirmed its rows.
     *
     * @param boundary of the session that read it
     */
    public void loaded(Plan plan, Entry entry, Lsn boundary, long rows) {
        var row = new TsvBuffer();
        key(plan, entry, row);
        row.ascii("\ttrue\t" + boundary + "\t" + rows);
        row.newline();
        var columns = new ArrayList<>(PLANNED);
        columns.addAll(List.of("loaded", "lsn", "rows"));
        clickHouse.insert(new ClickHouseClient.Insert(TABLE, columns, TypeMapping.INSERT_SETTINGS, row::writeTo));
    }

    /** Whether a worker has loaded the chunk by now. */
    public boolean isLoaded(Plan plan, Entry entry) {
        return !clickHouse
                .queryState(
                        "SELECT 1 FROM " + TABLE
                                + " WHERE pipe = {pipe:String} AND build = {build:String} AND generation = "
                                + plan.generation() + " AND chunk = " + entry.number() + " AND loaded LIMIT 1",
                        Map.of("pipe", pipe.uid(), "build", plan.build()))
                .isEmpty();
    }

    /** Removes the plans of one build; there may be none. */
    public void forget(String build) {
        if (clickHouse.exists(TABLE)) {
            clickHouse.execute("ALTER TABLE " + TABLE + " DELETE WHERE pipe = " + literal(pipe.uid()) + " AND build = "
                    + literal(build) + " SETTINGS mutations_sync = 2");
        }
    }

    /** Removes this pipe's plans. */
    public void forget() {
        clickHouse.forget(TABLE, pipe);
    }

    private void key(Plan plan, Entry entry, TsvBuffer out) {
        var chunk = entry.chunk();
        out.escaped(pipe.uid());
        out.tab();
        out.escaped(plan.build());
        for (long number : new long[] {
            plan.generation(),
            entry.number(),
            plan.entries().size(),
            chunk.relid(),
            chunk.filenode(),
            chunk.firstBlock(),
            chunk.endBlock(),
            chunk.bytes()
        }) {
            out.tab();
            out.ascii(Long.toString(number));
        }
        var keys = chunk.keys();
        out.tab();
        out.escaped(keys == null ? "" : keys.column());
        bound(keys == null ? null : keys.from(), out);
        bound(keys == null ? null : keys.to(), out);
        out.tab();
        out.ascii(String.valueOf(keys != null && keys.nulls()));
    }

    private static void bound(String value, TsvBuffer out) {
        out.tab();
        if (value == null) {
            out.nullValue();
        } else {
            out.escaped(value);
        }
    }

    private static Entry entry(Map<String, Object> row) {
        var chunk = new Chunk(
                number(row, "relid"),
                number(row, "filenode"),
                number(row, "first_block"),
                number(row, "end_block"),
                number(row, "bytes"),
                keys(row));
        return new Entry((int) number(row, "chunk"), chunk, "true".equals(row.get("loaded")), number(row, "rows"));
    }

    private static Chunk.Keys keys(Map<String, Object> row) {
        var column = (String) row.get("key_column");
        return column.isEmpty()
                ? null
                : new Chunk.Keys(
                        column,
                        (String) row.get("key_from"),
                        (String) row.get("key_to"),
                        "true".equals(row.get("key_null")));
    }

    private static long number(Map<String, Object> row, String column) {
        return Long.parseLong((String) row.get(column));
    }
}
