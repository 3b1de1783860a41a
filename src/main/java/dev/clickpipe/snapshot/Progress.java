package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.ClampedValues;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/** What the initial load has done, as status, metrics and log show it. Thread-safe. */
final class Progress {
    private static final int WINDOW_SECONDS = 10;

    private final Map<String, Table> tables = new LinkedHashMap<>();
    private final Set<Chunk> underWay = ConcurrentHashMap.newKeySet();
    private final LongAdder rowsRead = new LongAdder();
    private final Deque<Sample> samples = new ArrayDeque<>();
    private WorkerStatus.State state = WorkerStatus.State.Starting;
    private final ClampedValues clamped;
    private Problem problem;

    private record Sample(long nanos, long rowsRead, long bytesDone) {}

    /** Guarded by the progress. */
    private static final class Table {
        private final TableDefinition definition;
        /** Of the plan that the figures are of; 0: there is none. */
        private long generation;
        /** By number; maybe of other workers. */
        private final BitSet done = new BitSet();

        private int chunksDone;
        private int chunks;
        private long rows;
        private long bytesDone;
        private long bytes;
        private boolean loaded;
        /** Another one is loaded in its stead: what it took is no part of this load. */
        private boolean replaced;

        private Problem problem;

        private Table(TableDefinition definition) {
            this.definition = definition;
        }

        private void loaded(int chunk, long rows, long bytes) {
            if (!done.get(chunk)) {
                done.set(chunk);
                chunksDone++;
                this.rows += rows;
                bytesDone += bytes;
            }
        }
    }

    /** One chunk while it is read. Written by one thread, read by any. */
    final class Chunk {
        private final String build;
        private final int number;
        private final long bytesPlanned;
        private volatile long rows;
        private volatile long bytes;
        private volatile long movedAt = System.nanoTime();

        private Chunk(String build, ChunkLedger.Entry entry) {
            this.build = build;
            this.number = entry.number();
            this.bytesPlanned = entry.chunk().bytes();
        }

        /** Totals so far. */
        void read(long rows, long bytes) {
            rowsRead.add(rows - this.rows);
            this.rows = rows;
            this.bytes = bytes;
            moved();
        }

        /** It begins, or gets on. */
        void moved() {
            movedAt = System.nanoTime();
        }

        /** How long nothing has moved. */
        Duration silence() {
            return Duration.ofNanos(System.nanoTime() - movedAt);
        }

        /** Dates and times of these columns became the nearest end of the target's range. */
        void clamped(TableDefinition definition, Collection<String> columns, long values) {
            clamped.add(definition.source(), columns, values);
        }

        long rows() {
            return rows;
        }
    }

    Progress(MeterRegistry meters) {
        this.clamped = new ClampedValues(meters);
        FunctionCounter.builder("clickpipe.load.rows", rowsRead, LongAdder::sum)
                .description("Rows read from Postgres by this worker's initial load, those of repeated chunks included")
                .register(meters);
        Gauge.builder("clickpipe.load.chunks.left", this, Progress::chunksLeft)
                .description("Chunks of the planned tables that are not in ClickHouse yet")
                .register(meters);
        Gauge.builder("clickpipe.load.tables.left", this, Progress::tablesLeft)
                .description("Tables whose initial load is not complete")
                .register(meters);
    }

    /** The tables of the load and what a former worker or session left of them. */
    synchronized void begin(List<TableDefinition> definitions, Map<String, ChunkLedger.Plan> plans) {
        tables.clear();
        var replaced = definitions.stream()
                .filter(TableDefinition::replaces)
                .map(definition -> definition.replacement().live())
                .collect(Collectors.toSet());
        definitions.forEach(definition -> {
            var table = new Table(definition);
            tables.put(definition.build(), table);
            var plan = plans.get(definition.build());
            if (!definition.replaces() && replaced.contains(definition.target())) {
                table.replaced = true;
                table.loaded = definition.loaded();
            } else if (plan != null) {
                planned(plan);
            }
        });
        samples.clear();
    }

    synchronized void planned(ChunkLedger.Plan plan) {
        var table = tables.get(plan.build());
        table.generation = plan.generation();
        table.done.clear();
        table.chunksDone = 0;
        table.rows = 0;
        table.bytesDone = 0;
        table.chunks = plan.entries().size();
        table.bytes = plan.entries().stream()
                .mapToLong(entry -> entry.chunk().bytes())
                .sum();
        loaded(table, plan);
    }

    /** What the ledger says by now, of other workers' chunks as well. */
    synchronized void loaded(Map<String, ChunkLedger.Plan> plans) {
        for (var table : tables.values()) {
            var plan = plans.get(table.definition.build());
            if (plan != null && !table.replaced) {
                if (plan.generation() == table.generation) {
                    loaded(table, plan);
                } else {
                    planned(plan);
                }
            }
        }
    }

    private static void loaded(Table table, ChunkLedger.Plan plan) {
        plan.entries().stream()
                .filter(ChunkLedger.Entry::loaded)
                .forEach(entry ->
                        table.loaded(entry.number(), entry.rows(), entry.chunk().bytes()));
        table.loaded = table.chunksDone == table.chunks;
    }

    Chunk begin(String build, ChunkLedger.Entry entry) {
        var chunk = new Chunk(build, entry);
        underWay.add(chunk);
        return chunk;
    }

    /** The chunk is in ClickHouse. */
    synchronized void loaded(Chunk chunk) {
        underWay.remove(chunk);
        problem = null;
        state = WorkerStatus.State.Working;
        var table = tables.get(chunk.build);
        table.loaded(chunk.number, chunk.rows, chunk.bytesPlanned);
        table.loaded = table.chunksDone == table.chunks;
    }

    /** The chunk is to be read again; null for no problem of ours. */
    synchronized void failed(Chunk chunk, Problem why) {
        underWay.remove(chunk);
        if (why != null) {
            problem = why;
            state = WorkerStatus.State.Retrying;
            tables.get(chunk.build).problem = why;
        }
    }

    synchronized void failed(String build, Problem why) {
        tables.get(build).problem = why;
    }

    /** What it waits for; null when it works. */
    synchronized void waiting(Problem why) {
        problem = why;
        state = why == null ? WorkerStatus.State.Working : state;
    }

    /** Called about every second, for the rates. */
    synchronized void sample() {
        samples.add(new Sample(System.nanoTime(), rowsRead.sum(), bytesDone()));
        if (samples.size() > WINDOW_SECONDS + 1) {
            samples.poll();
        }
    }

    synchronized WorkerStatus status() {
        return new WorkerStatus(
                "snapshot",
                state,
                problem,
                tables.isEmpty() ? null : load(), // nothing is known yet, which is not the same as none of none
                null,
                tables.values().stream().map(this::status).toList());
    }

    synchronized WorkerStatus.Load load() {
        long bytes = tables.values().stream().mapToLong(table -> table.bytes).sum();
        long bytesDone = bytesDone();
        int tablesDone = tables.size() - tablesLeft();
        return new WorkerStatus.Load(
                tablesDone,
                tables.size(),
                (int) tables.values().stream()
                        .filter(table -> table.definition.replaces())
                        .count(),
                tables.values().stream().mapToLong(table -> table.rows).sum()
                        + underWay.stream().mapToLong(Chunk::rows).sum(),
                bytesDone,
                bytes,
                percent(bytesDone, bytes),
                perSecond(Sample::rowsRead),
                secondsLeft(bytes - bytesDone));
    }

    private int percent(long bytesDone, long bytes) {
        var loading = tables.values().stream().filter(table -> !table.replaced).toList();
        long done = loading.stream().filter(table -> table.loaded).count();
        if (done == loading.size()) {
            return loading.isEmpty() ? 0 : 100;
        }
        long planned = loading.stream().filter(table -> table.chunks > 0).count();
        // A table that has no plan yet is taken to be as large as the others.
        double share =
                bytes > 0 ? (double) bytesDone / bytes * planned / loading.size() : (double) done / loading.size();
        return (int) Math.min(99, 100 * share);
    }

    private Long secondsLeft(long bytesLeft) {
        long bytesPerSecond = perSecond(Sample::bytesDone);
        return bytesPerSecond <= 0 ? null : Math.ceilDiv(bytesLeft, bytesPerSecond);
    }

    private long perSecond(ToLongFunction<Sample> what) {
        if (samples.size() < 2) {
            return 0;
        }
        var first = samples.getFirst();
        var last = samples.getLast();
        double seconds =
                (double) (last.nanos - first.nanos) / Duration.ofSeconds(1).toNanos();
        return Math.max(0, (long) ((what.applyAsLong(last) - what.applyAsLong(first)) / seconds));
    }

    private long bytesDone() {
        // COPY's bytes are not the heap's: a chunk under way counts for no more than it was planned with.
        return tables.values().stream().mapToLong(table -> table.bytesDone).sum()
                + underWay.stream()
                        .mapToLong(chunk -> Math.min(chunk.bytes, chunk.bytesPlanned))
                        .sum();
    }

    private WorkerStatus.Table status(Table table) {
        long rowsUnderWay = underWay.stream()
                .filter(chunk -> chunk.build.equals(table.definition.build()))
                .mapToLong(Chunk::rows)
                .sum();
        return new WorkerStatus.Table(
                table.definition.source(),
                table.definition.target(),
                table.chunksDone,
                table.chunks,
                table.rows + rowsUnderWay,
                table.loaded,
                table.definition.replaces() ? table.definition.replacement().live() : null,
                table.loaded ? null : table.problem,
                clamped.note(table.definition.source()));
    }

    private synchronized int chunksLeft() {
        return tables.values().stream()
                .mapToInt(table -> table.chunks - table.chunksDone)
                .sum();
    }

    private synchronized int tablesLeft() {
        return (int) tables.values().stream().filter(table -> !table.loaded).count();
    }
}
