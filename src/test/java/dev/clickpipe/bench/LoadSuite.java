package dev.clickpipe.bench;

import dev.clickpipe.testbed.ClickHouse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * The initial load of one table, beside other ways to bring it over into the same target table. The time counts from where rows
 * begin to be read: what a JVM takes to start is a figure of its own.
 */
final class LoadSuite {
    private static final String NAME = "load";
    private static final double MEGABYTE = 1e6;
    private static final double MILLION = 1e6;

    private final Servers servers;
    private final Settings settings;
    private final Figures figures;

    /** Loads the table once. */
    private interface Subject {
        Outcome load(Data.Table table, Pipeline template) throws InterruptedException;
    }

    /**
     * @param start seconds before the first row was asked for; 0 where that is not told apart
     * @param worker what carried the rows; null: one of the servers did
     */
    private record Outcome(double start, double seconds, Measured worker) {}

    LoadSuite(Servers servers, Settings settings, Figures figures) {
        this.servers = servers;
        this.settings = settings;
        this.figures = figures;
    }

    void run() throws InterruptedException {
        var size = settings.size();
        var postgres = servers.postgres();
        var tables = new LinkedHashMap<String, Supplier<Data.Table>>();
        tables.put("firenibble", () -> Data.firenibble(postgres, size.firenibble()));
        tables.put("pgbench_accounts", () -> Data.accounts(postgres, size.accounts()));
        tables.put("wide", () -> Data.wide(postgres, size.wide()));
        for (var table : tables.entrySet()) {
            if (settings.isCase(table.getKey())) {
                measure(table.getValue().get());
            }
        }
    }

    private void measure(Data.Table table) throws InterruptedException {
        Bench.say("load of %s: %,d rows, %.0f MB".formatted(table.name(), table.rows(), table.bytes() / MEGABYTE));
        try (var template = pipeline(table, 1).setUp()) {
            Pipeline.dropSlot(servers, template.slot()); // it would keep WAL all the time
            for (int round = 0; round < settings.rounds(); round++) {
                var subjects = new ArrayList<>(subjects().entrySet());
                Collections.rotate(subjects, round); // nobody is always the first
                for (var subject : subjects) {
                    measure(table, template, subject.getKey(), subject.getValue());
                }
            }
        }
    }

    private Map<String, Subject> subjects() {
        var subjects = new LinkedHashMap<String, Subject>();
        for (int readers : List.of(1, 2, 4)) {
            subjects.put(
                    "us, %d %s".formatted(readers, readers == 1 ? "reader" : "readers"),
                    (table, template) -> us(table, readers));
        }
        for (int readers : List.of(1, 2)) {
            subjects.put("psql | curl, " + readers, (table, template) -> psqlToCurl(table, template, readers));
        }
        subjects.put("INSERT … SELECT FROM postgresql()", this::postgresqlFunction);
        subjects.put("COPY TO STDOUT alone", (table, template) -> copyAlone(table));
        if (settings.debezium() != null) {
            subjects.put("Debezium, into nothing", (table, template) -> debezium(table));
        }
        subjects.keySet().removeIf(name -> !settings.isSubject(name));
        return subjects;
    }

    private void measure(Data.Table table, Pipeline template, String name, Subject subject)
            throws InterruptedException {
        var before = servers.cpu();
        Outcome outcome;
        try (var watch = new SourceWatch(servers.postgres())) {
            outcome = subject.load(table, template);
            add(table, name, "longest transaction on the source", "s", watch.longestTransaction());
            add(table, name, "connections to the source", "", watch.backends());
        }
        var cpu = servers.cpu().since(before);
        double millions = table.rows() / MILLION;
        add(table, name, "rows", "rows/s", table.rows() / outcome.seconds());
        add(table, name, "heap", "MB/s", table.bytes() / MEGABYTE / outcome.seconds());
        add(table, name, "CPU of Postgres", "s/million rows", cpu.postgres() / millions);
        add(table, name, "CPU of ClickHouse", "s/million rows", cpu.clickHouse() / millions);
        if (outcome.worker() != null) {
            add(
                    table,
                    name,
                    "CPU of the worker",
                    "s/million rows",
                    outcome.worker().cpuSeconds() / millions);
            add(table, name, "memory of the worker", "MB", outcome.worker().peakBytes() / MEGABYTE);
        }
        if (outcome.start() > 0) {
            add(table, name, "before the first row", "s", outcome.start());
        }
        Bench.say("  %-40s %,12.0f rows/s".formatted(name, table.rows() / outcome.seconds()));
    }

    private void add(Data.Table table, String subject, String metric, String unit, double value) {
        figures.add(NAME, table.name(), subject, metric, unit, value);
    }

    private Pipeline pipeline(Data.Table table, int readers) {
        var pipeline = new Pipeline(servers, settings.worker(), settings.directory());
        pipeline.pipe().setting("initialLoadParallelism", readers).map("public." + table.name());
        return pipeline;
    }

    private Outcome us(Data.Table table, int readers) throws InterruptedException {
        try (var pipeline = pipeline(table, readers).setUp()) {
            long start = System.nanoTime();
            try (var worker = pipeline.start("snapshot")) {
                long begin = worker.await("Reading 1 tables").nanos();
                long end = worker.await("Load complete").nanos();
                worker.awaitEnd();
                check(table, pipeline.target());
                return new Outcome((begin - start) / 1e9, (end - begin) / 1e9, worker);
            }
        }
    }

    /** A hand-made pipe. With several readers each has its share of the table's blocks. */
    private Outcome psqlToCurl(Data.Table table, Pipeline template, int readers) throws InterruptedException {
        var target = emptyCopy(template, table);
        long blocks = Long.parseLong(servers.postgres()
                .query("SELECT pg_relation_size('%s') / current_setting('block_size')::int".formatted(table.name())));
        var script = new StringBuilder("set -euo pipefail\n");
        for (int reader = 0; reader < readers; reader++) {
            script.append(
                    "psql_ \"COPY (SELECT * FROM %s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)') TO STDOUT\" | insert & p%d=$!\n"
                            .formatted(
                                    table.name(),
                                    blocks * reader / readers,
                                    reader + 1 == readers ? 4294967295L : blocks * (reader + 1) / readers,
                                    reader));
        }
        for (int reader = 0; reader < readers; reader++) {
            script.append("wait $p%d\n".formatted(reader));
        }
        var statement = "INSERT INTO %s (%s) FORMAT TSV".formatted(target.table(), columns(table));
        long start = System.nanoTime();
        try (var shell = shell(script.toString(), statement, target.clickHouse())) {
            shell.awaitEnd();
            double seconds = (System.nanoTime() - start) / 1e9;
            check(table, target.clickHouse());
            return new Outcome(0, seconds, shell);
        }
    }

    private Outcome copyAlone(Data.Table table) throws InterruptedException {
        long start = System.nanoTime();
        try (var shell = shell("psql_ 'COPY %s TO STDOUT' >/dev/null".formatted(table.name()), "", null)) {
            shell.awaitEnd();
            return new Outcome(0, (System.nanoTime() - start) / 1e9, shell);
        }
    }

    /** With {@code psql_ STATEMENT} and {@code insert}, which reads its standard input. */
    private Measured shell(String script, String insert, ClickHouse target) {
        var postgres = servers.postgres();
        var environment = new LinkedHashMap<>(Map.of(
                "PSQL", settings.psql().toString(),
                "PGHOST", postgres.host(),
                "PGPORT", String.valueOf(postgres.port()),
                "PGUSER", postgres.user(),
                "PGPASSWORD", postgres.password(),
                "PGDATABASE", postgres.database()));
        var functions = "psql_() { \"$PSQL\" -Xqc \"$1\"; }\n";
        if (target != null) {
            environment.put("CURL_CONFIG", curlConfig(insert, target).toString());
            functions += "insert() { curl -sS --fail-with-body -K \"$CURL_CONFIG\" -H Expect: -X POST -T -; }\n";
        }
        return Measured.start("bash", List.of("bash", "-c", functions + script), environment);
    }

    private Path curlConfig(String insert, ClickHouse target) {
        try {
            return Files.writeString(settings.directory().resolve("curl"), """
                    url = "%s/?database=%s&query=%s"
                    user = "%s:%s"
                    """.formatted(
                            target.url(),
                            target.database(),
                            URLEncoder.encode(insert, StandardCharsets.UTF_8),
                            target.user(),
                            target.password()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** ClickHouse reads Postgres by itself. */
    private Outcome postgresqlFunction(Data.Table table, Pipeline template) {
        var target = emptyCopy(template, table);
        var postgres = servers.postgres();
        long start = System.nanoTime();
        target.clickHouse()
                .query("INSERT INTO %s (%s) SELECT %2$s FROM postgresql('%s:%d', '%s', '%s', '%s', '%s')"
                        .formatted(
                                target.table(),
                                columns(table),
                                postgres.host(),
                                postgres.port(),
                                postgres.database(),
                                table.name(),
                                postgres.user(),
                                postgres.password()));
        double seconds = (System.nanoTime() - start) / 1e9;
        check(table, target.clickHouse());
        return new Outcome(0, seconds, null);
    }

    private Outcome debezium(Data.Table table) throws InterruptedException {
        try (var reader = Debezium.snapshot(servers, settings, table)) {
            reader.awaitEnd();
            return new Outcome(0, Debezium.seconds(reader), reader);
        }
    }

    private record Target(ClickHouse clickHouse, String table) {}

    /** Our target table, empty, with all its columns: what differs then is the way there. */
    private Target emptyCopy(Pipeline template, Data.Table table) {
        var clickHouse = template.target();
        clickHouse.query("DROP TABLE IF EXISTS copy SYNC");
        clickHouse.query("CREATE TABLE copy AS " + table.name());
        return new Target(clickHouse, "copy");
    }

    private String columns(Data.Table table) {
        return servers.postgres()
                .query(
                        "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0"
                                .formatted(table.name()));
    }

    private static void check(Data.Table table, ClickHouse clickHouse) {
        var loaded = clickHouse.query("EXISTS TABLE copy").equals("1") ? "copy" : table.name();
        long rows = clickHouse.count(loaded);
        if (rows != table.rows()) {
            throw new IllegalStateException("%s has %d rows of %d".formatted(loaded, rows, table.rows()));
        }
    }
}
