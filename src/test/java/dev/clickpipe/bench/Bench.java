package dev.clickpipe.bench;

import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Postgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.TimeZone;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The measuring part of {@code dev/bench}, which installs and starts what it needs; see there. */
@Command(name = "bench", sortOptions = false)
public final class Bench {

    /** What is measured; in this order. */
    enum Suite {
        load,
        cdc,
        latency,
        memory
    }

    private enum SizeName {
        tiny(Settings.Size.TINY),
        usual(Settings.Size.USUAL),
        full(Settings.Size.FULL);

        private final Settings.Size size;

        SizeName(Settings.Size size) {
            this.size = size;
        }
    }

    @Option(names = "--suites", split = ",", defaultValue = "load,cdc,latency,memory")
    private Set<Suite> suites = EnumSet.allOf(Suite.class);

    @Option(names = "--size", defaultValue = "usual")
    private SizeName size;

    @Option(names = "--rows")
    private Long rows;

    @Option(names = "--changes")
    private Long changes;

    @Option(names = "--transaction-rows")
    private Long transactionRows;

    @Option(names = "--latency-seconds")
    private Integer latencySeconds;

    @Option(names = "--cases")
    private Pattern cases = Pattern.compile("");

    @Option(names = "--subjects")
    private Pattern subjects = Pattern.compile("");

    @Option(names = "--rounds", defaultValue = "3")
    private int rounds;

    @Option(names = "--out")
    private Path out;

    @Option(names = "--chart")
    private Path chart;

    @Option(names = "--page")
    private Path page;

    @Option(names = "--from")
    private Path from;

    @Option(names = "--worker", required = true)
    private Path worker;

    @Option(names = "--profile")
    private Path profile;

    @Option(names = "--jvm", split = " ")
    private List<String> jvm = List.of();

    @Option(names = "--debezium")
    private String debezium;

    private Bench() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        var bench = new Bench();
        new CommandLine(bench).parseArgs(args);
        var figures = bench.from != null ? Figures.read(bench.from) : bench.measure();
        System.out.println(Tables.text(figures));
        if (bench.out != null) {
            Figures.write(figures, bench.out);
        }
        if (bench.chart != null) {
            Files.writeString(bench.chart, Chart.svg(figures));
        }
        if (bench.page != null) {
            var chart = bench.chart == null ? null : bench.chart.getFileName().toString();
            Files.writeString(bench.page, Tables.fill(Files.readString(bench.page), figures, chart));
        }
        System.exit(0);
    }

    /** Progress, apart from results. */
    static void say(String text) {
        System.err.println("  " + text);
    }

    private List<Figure> measure() throws IOException, InterruptedException {
        var environment = System.getenv();
        var postgres = new Postgres(
                environment.get("PGHOST"),
                Integer.parseInt(environment.get("PGPORT")),
                environment.get("PGUSER"),
                environment.get("PGPASSWORD"),
                environment.get("PGDATABASE"));
        var directory = Files.createTempDirectory("bench");
        var settings = new Settings(
                size(),
                rounds,
                cases,
                subjects,
                Pipeline.worker(
                        Stream.concat(profiling(), image(worker, jvm).stream()).toList()),
                debezium == null ? null : Arrays.asList(debezium.split(" ")),
                Path.of(environment.getOrDefault("PSQL", "psql")),
                directory);
        try (var clickHouse = ClickHouseProcess.create()) {
            return measure(Servers.of(postgres, clickHouse), settings, suites);
        }
    }

    static List<Figure> measure(Servers servers, Settings settings, Set<Suite> suites) throws InterruptedException {
        var figures = new Figures();
        for (var suite : suites.stream().sorted().toList()) {
            switch (suite) {
                case load -> new LoadSuite(servers, settings, figures).run();
                case cdc -> new CdcSuite(servers, settings, figures).run();
                case latency -> new LatencySuite(servers, settings, figures).run();
                case memory -> new MemorySuite(servers, settings, figures).run();
            }
        }
        return figures.all();
    }

    private Settings.Size size() {
        var usual = size.size;
        return new Settings.Size(
                rows == null ? usual.firenibble() : rows,
                rows == null ? usual.accounts() : rows * 2,
                rows == null ? usual.wide() : rows / 25,
                changes == null ? usual.changes() : changes,
                latencySeconds == null ? usual.latencySeconds() : latencySeconds,
                transactionRows == null ? usual.transactionRows() : transactionRows);
    }

    private Stream<String> profiling() {
        return profile == null
                ? Stream.empty()
                : Stream.of(
                        "-XX:StartFlightRecording=settings=profile",
                        // A worker halts at its end, and nothing is dumped: what was written until then is read from
                        // here.
                        "-XX:FlightRecorderOptions=preserve-repository=true,repository=" + profile,
                        "-Xlog:jfr*=off");
    }

    /**
     * The flags of the image's ENTRYPOINT, for the jar that was built.
     *
     * @param more flags; of two that contradict each other the JVM takes the later
     */
    private static List<String> image(Path jar, List<String> more) throws IOException {
        var entrypoint = Files.readAllLines(Path.of("Dockerfile")).stream()
                .filter(line -> line.startsWith("ENTRYPOINT"))
                .findFirst()
                .orElseThrow()
                .replaceAll("^ENTRYPOINT \\[\"|\"]$", "");
        return Arrays.stream(entrypoint.split("\", \""))
                .skip(1)
                .flatMap(argument -> argument.equals("-jar")
                        ? Stream.concat(more.stream(), Stream.of(argument))
                        : Stream.of(argument.endsWith(".jar") ? jar.toString() : argument))
                .toList();
    }
}
