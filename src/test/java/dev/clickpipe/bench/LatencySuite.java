package dev.clickpipe.bench;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/** How long after its commit a row can be seen in ClickHouse, at a steady rate, and into how many parts that cuts the table. */
final class LatencySuite {
    private static final String NAME = "latency";
    private static final List<Integer> RATES = List.of(10, 1_000, 10_000);
    /** The default, and as soon as possible. */
    private static final List<Integer> INTERVALS = List.of(5, 0);
    /** Above it, rows share a transaction. */
    private static final int TRANSACTIONS_PER_SECOND = 1_000;

    private static final double SECOND = 1e9;

    private final Servers servers;
    private final Settings settings;
    private final Figures figures;

    LatencySuite(Servers servers, Settings settings, Figures figures) {
        this.servers = servers;
        this.settings = settings;
        this.figures = figures;
    }

    void run() throws InterruptedException {
        for (int interval : INTERVALS) {
            for (int rate : RATES) {
                measure(interval, rate);
            }
        }
    }

    private void measure(int interval, int rate) throws InterruptedException {
        servers.postgres()
                .execute(
                        "DROP TABLE IF EXISTS events",
                        "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, what text NOT NULL)");
        try (var pipeline = new Pipeline(servers, settings.worker(), settings.directory())) {
            pipeline.pipe()
                    .setting("replicationMode", "cdc_only")
                    .setting("syncIntervalSeconds", interval)
                    .map("public.events");
            pipeline.setUp();
            try (var worker = pipeline.start("cdc")) {
                worker.await("following slot");
                measure(new Flow(rate, settings.size().latencySeconds()), interval, pipeline, worker);
            }
        }
    }

    /** Rows that are written one after the other; each is known by its number, from 1. */
    private static final class Flow {
        private final int rate;
        private final int warmUp;
        private final int rows;
        private final AtomicLongArray committed;

        Flow(int rate, int seconds) {
            this.rate = rate;
            this.warmUp = Math.max(rate * seconds / 3, 1);
            this.rows = warmUp + rate * seconds;
            this.committed = new AtomicLongArray(rows + 1);
        }
    }

    private void measure(Flow flow, int interval, Pipeline pipeline, Measured worker) throws InterruptedException {
        var writer = Thread.ofPlatform().start(() -> write(flow));
        var latencies = new ArrayList<Double>();
        double cpuBefore = 0;
        long partsBefore = 0;
        long began = 0;
        for (int seen = 0; seen < flow.rows; ) {
            int visible = Integer.parseInt(pipeline.target()
                    .query("SELECT greatest(max(id), %d) FROM events WHERE id > %1$d".formatted(seen)));
            long now = System.nanoTime();
            for (int row = seen + 1; row <= visible; row++) {
                if (row > flow.warmUp) {
                    // Visible before the writer has noted the commit: no time at all.
                    long committed = flow.committed.get(row);
                    latencies.add(committed == 0 ? 0 : Math.max(0, (now - committed) / 1e6));
                }
            }
            seen = visible;
            if (began == 0 && seen >= flow.warmUp) {
                began = now;
                cpuBefore = worker.cpuSeconds();
                partsBefore = parts(pipeline);
            }
            if (!worker.isAlive() || !writer.isAlive() && flow.committed.get(flow.rows) == 0) {
                throw new IllegalStateException("writer or worker ended: " + worker.said());
            }
            Thread.sleep(5);
        }
        double seconds = (System.nanoTime() - began) / SECOND;
        writer.join();
        var scenario = "%,d rows/s".formatted(flow.rate);
        var subject = "us, syncIntervalSeconds " + interval;
        latencies.sort(null);
        for (int percent : List.of(50, 95, 99)) {
            figures.add(NAME, scenario, subject, "p" + percent, "ms", Figures.percentile(latencies, percent));
        }
        figures.add(
                NAME, scenario, subject, "parts", "/min", (parts(pipeline) - partsBefore) / Math.max(seconds, 1) * 60);
        figures.add(NAME, scenario, subject, "CPU of the worker", "s/s", (worker.cpuSeconds() - cpuBefore) / seconds);
        figures.add(NAME, scenario, subject, "memory of the worker", "MB", worker.peakBytes() / 1e6);
        Bench.say("latency: %s, %s: p95 %.0f ms".formatted(scenario, subject, Figures.percentile(latencies, 95)));
    }

    /** Parts that inserts have made since the table was, whether merged by now or not: each took the next block number. */
    private static long parts(Pipeline pipeline) {
        return Long.parseLong(
                pipeline.target()
                        .query(
                                "SELECT max(max_block_number) FROM system.parts WHERE database = currentDatabase() AND table = 'events'"));
    }

    private void write(Flow flow) {
        int together = Math.max(1, flow.rate / TRANSACTIONS_PER_SECOND);
        long between = (long) (SECOND * together / flow.rate);
        try (var connection = servers.postgres().connect();
                var insert = connection.prepareStatement(
                        "INSERT INTO events SELECT i, now(), md5(i::text) FROM generate_series(?, ?) AS i")) {
            long due = System.nanoTime();
            for (int first = 1; first <= flow.rows; first += together) {
                LockSupport.parkNanos(due - System.nanoTime());
                due += between;
                int last = Math.min(first + together - 1, flow.rows);
                insert.setInt(1, first);
                insert.setInt(2, last);
                insert.executeUpdate();
                long now = System.nanoTime();
                for (int row = first; row <= last; row++) {
                    flow.committed.set(row, now);
                }
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
