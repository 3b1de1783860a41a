package dev.clickpipe.chaos;

import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.FaultProxy;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.PostgresServer.StopMode;
import dev.clickpipe.testbed.WallClock;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionTimeoutException;

/**
 * A pipe between real servers, its workers processes, an application that never stops, and one trouble after the other: first
 * while it is loaded, then while it follows, and again from the beginning, by a resync. Whatever is struck during a load is struck
 * while one is under way: when it is at its end too soon, another resync is asked for. In the stream the time is measured until
 * a commit is in ClickHouse again. At the end of either phase everything is counted.
 *
 * <p>By hand: {@code dev/chaos --minutes N --seed S}. The seed decides what is struck, in which order, and for how long; what the
 * processes do meanwhile, nobody decides.
 */
final class Chaos implements AutoCloseable {
    private static final Duration RECOVERY_LIMIT = Duration.ofMinutes(4);
    private static final int DISK_MEGABYTES = 1024;

    private final long seed;
    private final Random random;
    private final PrintStream out;
    private final List<String> struck = new ArrayList<>();
    private final Map<Phase, Map<Strike, Integer>> counts = new EnumMap<>(Phase.class);
    private final Map<Strike, List<Duration>> recoveries = new EnumMap<>(Strike.class);
    private final long began = System.nanoTime();
    private final Path directory;
    private final PostgresServer postgresServer;
    private final ClickHouseProcess clickHouseServer;
    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final FaultProxy toPostgres;
    private final FaultProxy toClickHouse;
    private final WallClock clock;
    private final Customers customers;
    private final TestPipe pipe;
    private final WorkerRun stream;
    private final WorkerRun load;
    private int resyncs;
    private boolean wholeView;

    private enum Phase {
        LOAD,
        STREAM
    }

    Chaos(long seed, int rows, PrintStream out) throws IOException {
        this.seed = seed;
        this.random = new Random(seed);
        this.out = out;
        out.printf("chaos with --seed %d%n", seed);
        directory = Files.createTempDirectory("chaos");
        clock = new WallClock(directory.resolve("clock"));
        postgresServer = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
        clickHouseServer = ClickHouseProcess.onDiskOf(DISK_MEGABYTES);
        clickHouseServer.client("default").query("CREATE DATABASE target");
        postgres = postgresServer.createDatabase("source");
        clickHouse = clickHouseServer.client("target");
        toPostgres = FaultProxy.to(postgres.host(), postgres.port());
        toClickHouse = FaultProxy.to(clickHouse.host(), clickHouse.port());
        customers = new Customers(postgres, seed, rows);
        pipe = new TestPipe(
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
                .map("public.baskets")
                .map("public.probe")
                .map("public.events", "tableEngine: MergeTree")
                .map("public.meters", "tableEngine: MergeTree");
        var pipeFile = pipe.pipeFile();
        var credentials = pipe.credentialsDirectory();
        try (var setup = new WorkerRun(List.of("setup"), false, pipeFile, credentials, directory).start()) {
            await("setup", setup::done);
        }
        Customers.view(clickHouse);
        stream = new WorkerRun(List.of("cdc"), true, pipeFile, credentials, directory).start();
        load = new WorkerRun(List.of("setup", "snapshot"), false, pipeFile, credentials, directory);
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

    WallClock clock() {
        return clock;
    }

    WorkerRun stream() {
        return stream;
    }

    WorkerRun load() {
        return load;
    }

    /** As the server does by itself when it has not heard of a client for wal_sender_timeout, or its TCP keep-alives. */
    void endConnections(List<String> purposes) {
        purposes.forEach(purpose -> postgres.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'clickpipe % "
                        + purpose + "'"));
    }

    /** Strikes while the pipe is loaded, until all of it is. */
    void load(List<Strike> strikes) throws Exception {
        customers.start();
        beginLoad();
        for (var strike : strikes) {
            if (load.done()) {
                awaitSwapped();
                beginLoad();
            }
            strike(strike, Phase.LOAD);
        }
        await("the load's end", load::done);
        awaitSwapped();
        settle(Phase.LOAD);
        if (!wholeView) {
            Customers.fillView(clickHouse);
            wholeView = true;
        }
    }

    /** The first one is due; later ones are asked for. */
    private void beginLoad() {
        if (load.starts() > 0) {
            pipe.extra("  resync: \"" + ++resyncs + "\"\n").pipeFile();
        }
        load.start();
    }

    private void awaitSwapped() {
        await("the new tables to take the places of the live ones", () -> clickHouse
                .query("SELECT count() FROM system.tables WHERE database = 'target' AND name LIKE '%\\_resync'")
                .equals("0"));
    }

    /** Strikes while the pipe follows. */
    void follow(List<Strike> strikes) throws Exception {
        customers.start();
        for (var strike : strikes) {
            strike(strike, Phase.STREAM);
            awaitProbe(strike);
        }
        settle(Phase.STREAM);
    }

    private void strike(Strike strike, Phase phase) throws Exception {
        Thread.sleep(200 + random.nextInt(1500));
        double at = seconds();
        var what = "%6.1f s  %-6s  %s".formatted(at, phase, strike);
        struck.add(what);
        counts.computeIfAbsent(phase, none -> new EnumMap<>(Strike.class)).merge(strike, 1, Integer::sum);
        strike.strike(this);
        out.printf("%s, %.1f s long%n", what, seconds() - at);
    }

    private double seconds() {
        return (System.nanoTime() - began) / 1e9;
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
    private void settle(Phase phase) throws InterruptedException {
        customers.stop();
        try {
            Awaitility.await()
                    .atMost(RECOVERY_LIMIT)
                    .pollInterval(Duration.ofMillis(500))
                    .untilAsserted(() -> customers.assertExact(clickHouse, wholeView));
        } catch (ConditionTimeoutException e) {
            throw failure("after the " + phase + " not all is exact: " + e.getMessage());
        }
        await("the slot to let go of WAL", () -> {
            postgres.execute("CHECKPOINT");
            return Long.parseLong(
                            postgres.query("SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint"
                                    + " FROM pg_replication_slots"))
                    < 1 << 20;
        });
        out.printf(
                "%6.1f s  %-6s  exact: %s events, %s accounts; %d starts of the stream, %d of loads%n",
                seconds(),
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
        return new AssertionError("%s%nseed %d, struck:%n%s%n%s%n%s"
                        .formatted(
                                message,
                                seed,
                                String.join("\n", struck),
                                stream == null ? "" : stream.log(25),
                                load == null ? "" : load.log(25))
                + "in " + directory);
    }

    void report() {
        out.println(
                "struck while it was loaded, while it followed, and then the time until a commit was in ClickHouse, in seconds:");
        for (var strike : Strike.values()) {
            out.printf(
                    "  %-24s %3d %3d  %s%n",
                    strike,
                    count(Phase.LOAD, strike),
                    count(Phase.STREAM, strike),
                    recoveries.getOrDefault(strike, List.of()).stream()
                            .sorted()
                            .map(time -> "%.1f".formatted(time.toMillis() / 1e3))
                            .collect(Collectors.joining(" ")));
        }
    }

    private int count(Phase phase, Strike strike) {
        return counts.getOrDefault(phase, Map.of()).getOrDefault(strike, 0);
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

    /** {@code --minutes N} (default 10), {@code --rounds R} (default 1), {@code --seed S} (default: any), {@code --rows R} */
    public static void main(String[] args) throws Exception {
        var options = new HashMap<String, Long>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], Long.parseLong(args[i + 1]));
        }
        long seed = options.getOrDefault("--seed", System.currentTimeMillis() % 100_000);
        long end = System.nanoTime()
                + Duration.ofMinutes(options.getOrDefault("--minutes", 10L)).toNanos();
        long rounds = options.getOrDefault("--rounds", 1L);
        int rows = options.getOrDefault("--rows", 50_000L).intValue();
        var all = List.of(Strike.values());
        try (var chaos = new Chaos(seed, rows, System.out)) {
            for (int round = 0; round < rounds || System.nanoTime() < end; round++) {
                chaos.load(chaos.shuffled(all));
                chaos.follow(chaos.shuffled(all));
            }
            chaos.report();
        } catch (AssertionError e) {
            System.out.println(e.getMessage());
            System.exit(1);
        }
        System.exit(0);
    }
}
