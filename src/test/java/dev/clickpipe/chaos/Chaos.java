package dev.clickpipe.chaos;

import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.FaultProxy;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.PostgresServer.StopMode;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionTimeoutException;

/**
 * A pipe between real servers, its workers processes, an application that never stops, and one trouble after the other: first
 * while it is loaded, then while it follows. After each the time is measured until a commit is in ClickHouse again; at the end
 * of either phase everything is counted.
 *
 * <p>By hand: {@code dev/chaos --minutes N --seed S}. The seed decides what is struck, in which order, and for how long; what the
 * processes do meanwhile, nobody decides.
 */
final class Chaos implements AutoCloseable {
    private static final Duration RECOVERY_LIMIT = Duration.ofMinutes(4);

    private final long seed;
    private final Random random;
    private final PrintStream out;
    private final List<String> struck = new ArrayList<>();
    private final Map<Strike, List<Duration>> recoveries = new EnumMap<>(Strike.class);
    private final long began = System.nanoTime();
    private final Path directory;
    private final PostgresServer postgresServer;
    private final ClickHouseProcess clickHouseServer;
    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final FaultProxy toPostgres;
    private final FaultProxy toClickHouse;
    private final Customers customers;
    private final WorkerRun stream;
    private final WorkerRun load;

    Chaos(long seed, int rows, PrintStream out) throws IOException {
        this.seed = seed;
        this.random = new Random(seed);
        this.out = out;
        out.printf("chaos with --seed %d%n", seed);
        directory = Files.createTempDirectory("chaos");
        postgresServer = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
        clickHouseServer = ClickHouseProcess.create();
        clickHouseServer.client("default").query("CREATE DATABASE target");
        postgres = postgresServer.createDatabase("source");
        clickHouse = clickHouseServer.client("target");
        toPostgres = FaultProxy.to(postgres.host(), postgres.port());
        toClickHouse = FaultProxy.to(clickHouse.host(), clickHouse.port());
        customers = new Customers(postgres, seed, rows);
        var pipe = new TestPipe(
                        directory,
                        new Postgres(
                                "127.0.0.1",
                                toPostgres.port(),
                                postgres.user(),
                                postgres.password(),
                                postgres.database()),
                        new ClickHouse(
                                URI.create("http://127.0.0.1:" + toClickHouse.port()),
                                clickHouse.user(),
                                clickHouse.password(),
                                clickHouse.database()))
                .setting("syncIntervalSeconds", 1)
                .setting("pullBatchSize", 2000)
                .setting("snapshotNumRowsPerPartition", 1000)
                .setting("allowNullableColumns", true)
                .map("public.accounts")
                .map("public.probe")
                .map("public.events", "tableEngine: MergeTree")
                .map("public.meters", "tableEngine: MergeTree");
        var pipeFile = pipe.pipeFile();
        var credentials = pipe.credentialsDirectory();
        try (var setup = new WorkerRun("setup", false, pipeFile, credentials, directory).start()) {
            await("setup", setup::done);
        }
        stream = new WorkerRun("cdc", true, pipeFile, credentials, directory);
        load = new WorkerRun("snapshot", false, pipeFile, credentials, directory);
    }

    Random random() {
        return random;
    }

    FaultProxy toPostgres() {
        return toPostgres;
    }

    FaultProxy toClickHouse() {
        return toClickHouse;
    }

    PostgresServer postgresServer() {
        return postgresServer;
    }

    ClickHouseProcess clickHouseServer() {
        return clickHouseServer;
    }

    WorkerRun stream() {
        return stream;
    }

    WorkerRun load() {
        return load;
    }

    /** As the server does by itself when it has not heard of a client for wal_sender_timeout. */
    void letGoOfSlot() {
        postgres.rows("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
    }

    /** Strikes while the pipe is loaded, until all of it is. @param strikes at least these */
    void load(List<Strike> strikes) throws Exception {
        customers.start();
        stream.start();
        load.start();
        for (var strike : strikes) {
            strike(strike, "load");
        }
        await("the load's end", load::done);
        settle("load", false);
    }

    /** Strikes while the pipe follows. */
    void follow(Iterable<Strike> strikes) throws Exception {
        Customers.view(clickHouse);
        customers.start();
        for (var strike : strikes) {
            strike(strike, "stream");
            awaitProbe(strike);
        }
        settle("stream", true);
    }

    private void strike(Strike strike, String phase) throws Exception {
        Thread.sleep(200 + random.nextInt(1500));
        var what = "%6.1f s  %-6s  %s".formatted((System.nanoTime() - began) / 1e9, phase, strike);
        struck.add(what);
        strike.strike(this);
        out.printf(
                "%s, %.1f s long%n",
                what,
                (System.nanoTime() - began) / 1e9
                        - Double.parseDouble(what.strip().split(" ")[0]));
    }

    /** A commit that is made now: how long until it is in ClickHouse. */
    private void awaitProbe(Strike strike) {
        long from = System.nanoTime();
        var n = postgres.query("UPDATE probe SET n = n + 1 RETURNING n");
        await(
                "recovery from " + strike,
                () -> clickHouse.query("SELECT n FROM probe FINAL").equals(n));
        var took = Duration.ofNanos(System.nanoTime() - from);
        recoveries.computeIfAbsent(strike, none -> new ArrayList<>()).add(took);
        out.printf("          recovered in %.1f s%n", took.toMillis() / 1e3);
    }

    /** The application pauses, and everything is counted. */
    private void settle(String phase, boolean view) throws InterruptedException {
        customers.stop();
        try {
            Awaitility.await()
                    .atMost(RECOVERY_LIMIT)
                    .pollInterval(Duration.ofMillis(500))
                    .untilAsserted(() -> customers.assertExact(clickHouse, view));
        } catch (ConditionTimeoutException e) {
            throw failure("after the " + phase + " the tables are not equal: " + e.getMessage());
        }
        await("the slot to let go of WAL", () -> {
            postgres.execute("CHECKPOINT");
            return Long.parseLong(
                            postgres.query("SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint"
                                    + " FROM pg_replication_slots"))
                    < 1 << 20;
        });
        out.printf(
                "%6.1f s  %-6s  exact: %s events, %s accounts; %d starts of the stream, %d of the load%n",
                (System.nanoTime() - began) / 1e9,
                phase,
                postgres.query("SELECT count(*) FROM events"),
                postgres.query("SELECT count(*) FROM accounts"),
                stream.starts(),
                load.starts());
    }

    private void await(String what, java.util.concurrent.Callable<Boolean> condition) {
        try {
            Awaitility.await()
                    .atMost(RECOVERY_LIMIT)
                    .pollInterval(Duration.ofMillis(100))
                    .until(condition);
        } catch (ConditionTimeoutException e) {
            throw failure("waited " + RECOVERY_LIMIT.toSeconds() + " s in vain for " + what);
        }
    }

    private AssertionError failure(String message) {
        return new AssertionError("%s%nseed %d, struck:%n%s%nstream:%n%s%nload:%n%s"
                .formatted(
                        message,
                        seed,
                        String.join("\n", struck),
                        stream == null ? "" : stream.log(25),
                        load == null ? "" : load.log(25)));
    }

    void report() {
        out.println("time until a commit made after the cause was gone is in ClickHouse, in seconds:");
        recoveries.forEach((strike, times) -> out.printf(
                "  %-24s %s%n",
                strike,
                times.stream()
                        .sorted()
                        .map(time -> "%.1f".formatted(time.toMillis() / 1e3))
                        .collect(Collectors.joining(" "))));
    }

    @Override
    public void close() {
        customers.close();
        load.close();
        stream.close();
        toPostgres.close();
        toClickHouse.close();
        clickHouseServer.close();
        postgresServer.stop(StopMode.IMMEDIATE);
        postgresServer.close();
    }

    private List<Strike> shuffled(List<Strike> strikes) {
        var all = new ArrayList<>(strikes);
        Collections.shuffle(all, random);
        return all;
    }

    /** A run of a few strikes. */
    static void run(long seed, int rows, List<Strike> whileLoading, List<Strike> whileFollowing, PrintStream out)
            throws Exception {
        try (var chaos = new Chaos(seed, rows, out)) {
            chaos.load(chaos.shuffled(whileLoading));
            chaos.follow(chaos.shuffled(whileFollowing));
            chaos.report();
        }
    }

    /** {@code --minutes N} (default 10), {@code --seed S} (default: any), {@code --rows R} (default 200000) */
    public static void main(String[] args) throws Exception {
        var options = new java.util.HashMap<String, Long>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], Long.parseLong(args[i + 1]));
        }
        long seed = options.getOrDefault("--seed", System.currentTimeMillis() % 100_000);
        long end = System.nanoTime()
                + Duration.ofMinutes(options.getOrDefault("--minutes", 10L)).toNanos();
        int rows = options.getOrDefault("--rows", 200_000L).intValue();
        var all = Arrays.asList(Strike.values());
        try (var chaos = new Chaos(seed, rows, System.out)) {
            chaos.load(chaos.shuffled(all));
            do {
                chaos.follow(chaos.shuffled(all));
                Customers.noView(chaos.clickHouse);
            } while (System.nanoTime() < end);
            chaos.report();
        } catch (AssertionError e) {
            System.out.println(e.getMessage());
            System.exit(1);
        }
        System.exit(0);
    }
}
