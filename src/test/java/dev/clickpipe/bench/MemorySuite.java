package dev.clickpipe.bench;

import java.sql.SQLException;

/** What a worker needs of its container's 256 MiB where it is hard: wide rows, and a transaction larger than memory. */
final class MemorySuite {
    private static final String NAME = "memory";

    private final Servers servers;
    private final Settings settings;
    private final Figures figures;

    MemorySuite(Servers servers, Settings settings, Figures figures) {
        this.servers = servers;
        this.settings = settings;
        this.figures = figures;
    }

    void run() throws InterruptedException {
        snapshot(Data.wide(servers.postgres(), settings.size().wide()));
        Data.changes(servers.postgres());
        cdc(settings.size().transactionRows());
    }

    private void snapshot(Data.Table table) throws InterruptedException {
        try (var pipeline = new Pipeline(servers, settings.worker(), settings.directory())) {
            pipeline.pipe().map("public." + table.name());
            pipeline.setUp();
            try (var worker = pipeline.start("snapshot")) {
                worker.awaitEnd();
                add("snapshot, rows of 8 kB, 4 readers", worker);
            }
        }
    }

    private void cdc(long rows) throws InterruptedException {
        var postgres = servers.postgres();
        try (var pipeline = new Pipeline(servers, settings.worker(), settings.directory())) {
            pipeline.pipe().setting("replicationMode", "cdc_only").map("public.changes");
            pipeline.setUp();
            try (var worker = pipeline.start("cdc")) {
                worker.await("following slot");
                var others = Thread.ofPlatform().start(this::smallTransactions);
                postgres.execute(
                        "INSERT INTO changes SELECT i, 0, 0, md5(i::text), now(), false FROM generate_series(1, %d) AS i"
                                .formatted(rows));
                others.interrupt();
                others.join();
                var end = postgres.query("SELECT pg_current_wal_insert_lsn()");
                postgres.execute("INSERT INTO changes VALUES (0, 0, 0, 'the end', now(), true)");
                servers.await(worker, "confirmed_flush_lsn > '" + end + "'", pipeline.slot());
                add("cdc, a transaction of %,d rows among small ones".formatted(rows), worker);
            }
        }
    }

    private void smallTransactions() {
        try (var connection = servers.postgres().connect();
                var statement = connection.createStatement()) {
            for (long id = -1; !Thread.interrupted(); id--) {
                statement.execute("INSERT INTO changes VALUES (%d, 1, 1, 'small', now(), false)".formatted(id));
                Thread.sleep(10);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            // enough of them
        }
    }

    /** Over time: what it took at each look. */
    private void add(String scenario, Measured worker) {
        worker.memory()
                .forEach(bytes -> figures.add(NAME, scenario, "us", "resident over time", "MiB", bytes / 1048576.0));
        figures.add(NAME, scenario, "us", "resident at most", "MiB", worker.peakBytes() / 1048576.0);
        Bench.say("memory: %s: %.0f MiB at most".formatted(scenario, worker.peakBytes() / 1048576.0));
    }
}
