package dev.clickpipe.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * A backlog of changes, read from a slot as fast as it goes. Every subject has a slot of its own for each round, made before the
 * backlog is written: so all of them read the same.
 */
final class CdcSuite {
    private static final String NAME = "cdc";
    private static final List<Integer> TRANSACTIONS = List.of(1, 100, 10_000);
    private static final String PUBLICATION = "bench";
    private static final double MILLION = 1e6;
    private static final Pattern RESULT = Pattern.compile("read \\d+ in ([0-9.]+) s");

    private final Servers servers;
    private final Settings settings;
    private final Figures figures;

    /** Reads the backlog once. */
    private interface Subject {
        Outcome read(int round) throws InterruptedException;
    }

    private record Outcome(double seconds, Measured worker) {}

    /** @param end every commit of it ends here or before */
    private record Backlog(String scenario, long changes, String end, Map<String, Pipeline> pipelines) {}

    CdcSuite(Servers servers, Settings settings, Figures figures) {
        this.servers = servers;
        this.settings = settings;
        this.figures = figures;
    }

    void run() throws InterruptedException {
        for (int rows : TRANSACTIONS) {
            if (rows <= settings.size().changes() && settings.isCase(scenario(rows))) {
                measure(rows);
            }
        }
    }

    private void measure(int rowsPerTransaction) throws InterruptedException {
        var postgres = servers.postgres();
        Data.changes(postgres);
        postgres.execute(
                "DROP PUBLICATION IF EXISTS " + PUBLICATION,
                "CREATE PUBLICATION " + PUBLICATION + " FOR TABLE changes");
        var pipelines = new HashMap<String, Pipeline>();
        try {
            for (int round = 0; round < settings.rounds(); round++) {
                pipelines.put(slot("us", round), pipeline());
                for (var other : List.of("stream", "peek", "batches", "debezium")) {
                    postgres.query("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')"
                            .formatted(slot(other, round)));
                }
            }
            long changes = settings.size().changes();
            var scenario = scenario(rowsPerTransaction);
            postgres.execute("CALL write_changes(%d, %d)".formatted(changes, rowsPerTransaction));
            var end = postgres.query("SELECT pg_current_wal_insert_lsn()");
            // A commit behind all others, by which it is known that they were read.
            postgres.execute("INSERT INTO changes VALUES (0, 0, 0, 'the end', now(), true)");
            Bench.say("cdc: %,d changes in %s".formatted(changes, scenario));
            measure(new Backlog(scenario, changes, end, pipelines));
        } finally {
            pipelines.values().forEach(Pipeline::close);
            for (var slot :
                    postgres.rows("SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'bench\\_%'")) {
                Pipeline.dropSlot(servers, slot.getFirst());
            }
        }
    }

    private static String scenario(int rows) {
        return "transactions of %,d %s".formatted(rows, rows == 1 ? "row" : "rows");
    }

    private static String slot(String subject, int round) {
        return "bench_" + subject + "_" + round;
    }

    /** Batches end when they are full or a second old: with five, the last batch's age would be most of the time. */
    private Pipeline pipeline() throws InterruptedException {
        var pipeline = new Pipeline(servers, settings.worker(), settings.directory());
        pipeline.pipe()
                .setting("replicationMode", "cdc_only")
                .setting("syncIntervalSeconds", 1)
                .map("public.changes");
        return pipeline.setUp();
    }

    private void measure(Backlog backlog) throws InterruptedException {
        for (int round = 0; round < settings.rounds(); round++) {
            var subjects = new ArrayList<>(subjects(backlog).entrySet());
            Collections.rotate(subjects, round); // nobody is always the first
            for (var subject : subjects) {
                measure(backlog, subject.getKey(), subject.getValue(), round);
            }
        }
    }

    private Map<String, Subject> subjects(Backlog backlog) {
        var subjects = new LinkedHashMap<String, Subject>();
        subjects.put("us", round -> us(backlog, backlog.pipelines().get(slot("us", round))));
        subjects.put("pgjdbc stream, into nothing", round -> floor("stream", backlog, round));
        if (settings.debezium() != null) {
            subjects.put("Debezium, into nothing", round -> debezium(backlog, round));
        }
        subjects.put("COPY of a peek, into nothing", round -> floor("peek", backlog, round));
        subjects.put("peeks of 100,000 and advances, into nothing", round -> floor("batches", backlog, round));
        subjects.keySet().removeIf(name -> !settings.isSubject(name));
        return subjects;
    }

    private void measure(Backlog backlog, String name, Subject subject, int round) throws InterruptedException {
        var before = servers.cpu();
        var outcome = subject.read(round);
        var cpu = servers.cpu().since(before);
        double millions = backlog.changes() / MILLION;
        add(backlog, name, "rows", "rows/s", backlog.changes() / outcome.seconds());
        add(
                backlog,
                name,
                "CPU of the worker",
                "s/million rows",
                outcome.worker().cpuSeconds() / millions);
        add(backlog, name, "CPU of Postgres", "s/million rows", cpu.postgres() / millions);
        add(backlog, name, "CPU of ClickHouse", "s/million rows", cpu.clickHouse() / millions);
        add(backlog, name, "memory of the worker", "MB", outcome.worker().peakBytes() / 1e6);
        Bench.say("  %-40s %,12.0f rows/s".formatted(name, backlog.changes() / outcome.seconds()));
    }

    private void add(Backlog backlog, String subject, String metric, String unit, double value) {
        figures.add(NAME, backlog.scenario(), subject, metric, unit, value);
    }

    /** From where the slot is in use until Postgres has been told that all is in ClickHouse. */
    private Outcome us(Backlog backlog, Pipeline pipeline) throws InterruptedException {
        try (var worker = pipeline.start("cdc")) {
            servers.await(worker, "active", pipeline.slot());
            long begin = System.nanoTime();
            servers.await(worker, "confirmed_flush_lsn > '" + backlog.end() + "'", pipeline.slot());
            double seconds = (System.nanoTime() - begin) / 1e9;
            check(pipeline);
            return new Outcome(seconds, worker);
        }
    }

    private void check(Pipeline pipeline) {
        var there = servers.postgres().query("SELECT count(*) || ' ' || sum(amount) FROM changes");
        var here = pipeline.target().query("SELECT count() || ' ' || toString(sum(amount)) FROM changes FINAL");
        var difference =
                new java.math.BigDecimal(there.split(" ")[1]).compareTo(new java.math.BigDecimal(here.split(" ")[1]));
        if (!there.split(" ")[0].equals(here.split(" ")[0]) || difference != 0) {
            throw new IllegalStateException("Postgres has %s, ClickHouse %s".formatted(there, here));
        }
    }

    private Outcome floor(String how, Backlog backlog, int round) throws InterruptedException {
        var command = new ArrayList<>(Pipeline.floor(SlotReader.class));
        command.addAll(List.of(how, slot(how, round), PUBLICATION, backlog.end()));
        var postgres = servers.postgres();
        var environment = Map.of(
                "PGHOST", postgres.host(),
                "PGPORT", String.valueOf(postgres.port()),
                "PGUSER", postgres.user(),
                "PGPASSWORD", postgres.password(),
                "PGDATABASE", postgres.database());
        try (var reader = Measured.start(how, command, environment).awaitEnd()) {
            var result = RESULT.matcher(reader.said());
            if (!result.find()) {
                throw new IllegalStateException(reader.said());
            }
            return new Outcome(Double.parseDouble(result.group(1)), reader);
        }
    }

    private Outcome debezium(Backlog backlog, int round) throws InterruptedException {
        try (var reader = Debezium.stream(servers, settings, slot("debezium", round), PUBLICATION, backlog.changes())
                .awaitEnd()) {
            return new Outcome(Debezium.seconds(reader), reader);
        }
    }
}
