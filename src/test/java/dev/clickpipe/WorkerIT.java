package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Workers as processes: exit codes, last words, log, HTTP endpoint, signals. */
class WorkerIT {
    private static final ObjectMapper JSON = new ObjectMapper();

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private final List<Process> started = new ArrayList<>();

    @AfterEach
    void end() throws InterruptedException {
        for (var process : started) {
            process.destroyForcibly().waitFor();
        }
    }

    private Process start(String... args) throws IOException {
        var command = new ArrayList<>(List.of(
                ProcessHandle.current().info().command().orElseThrow(),
                "--enable-native-access=ALL-UNNAMED",
                // As in the packaged application, where it would swallow every record.
                "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                "-Duser.timezone=Asia/Tokyo",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.clickpipe.Main"));
        command.addAll(List.of(args));
        var process = new ProcessBuilder(command)
                .redirectOutput(directory.resolve("out").toFile())
                .redirectError(directory.resolve("err").toFile())
                .start();
        started.add(process);
        return process;
    }

    private Process worker(String mode, TestPipe pipe, String... more) throws IOException {
        var args = new ArrayList<>(List.of(
                mode,
                "--pipe",
                pipe.pipeFile().toString(),
                "--credentials",
                pipe.credentialsDirectory().toString(),
                "--http-port",
                "0",
                "--termination-message",
                directory.resolve("termination").toString()));
        args.addAll(List.of(more));
        return start(args.toArray(String[]::new));
    }

    private static int exitCode(Process process) throws InterruptedException {
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("it ends").isTrue();
        return process.exitValue();
    }

    private String log() {
        return read("err");
    }

    private String read(String file) {
        try {
            return Files.readString(directory.resolve(file));
        } catch (IOException e) {
            return "";
        }
    }

    private TestPipe pipe() {
        return new TestPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    private URI endpoint() {
        var port = Pattern.compile("http port (\\d+)");
        await().until(() -> port.matcher(log()).find());
        var found = port.matcher(log());
        assertThat(found.find()).isTrue();
        return URI.create("http://127.0.0.1:" + found.group(1));
    }

    private static HttpResponse<String> get(URI uri) throws IOException, InterruptedException {
        try (var client = HttpClient.newHttpClient()) {
            return client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
        }
    }

    @Test
    void wrongUsageIsOneLine() throws Exception {
        for (var args :
                List.of(new String[] {}, new String[] {"fly"}, new String[] {"setup", "--pipe", "x"}, new String[] {
                    "setup", "--what"
                })) {
            assertThat(exitCode(start(args))).isEqualTo(2);
            assertThat(log()).startsWith("clickpipe: ").hasLineCount(1).contains("--help");
        }
    }

    @Test
    void aBadPipeFileIsAUsageError() throws Exception {
        var file = directory.resolve("bad.yaml");
        Files.writeString(file, "apiVersion: clickpipe.dev/v1alpha1\nkind: ClickPipe\nspce: {}\n");

        assertThat(exitCode(start("setup", "--pipe", file.toString(), "--credentials", directory.toString())))
                .isEqualTo(2);
        assertThat(log()).contains("InvalidPipeFile", "spce: unknown field").doesNotContain("\tat ");
    }

    @Test
    void aSnapshotOnlyPipeIsResynced() throws Exception {
        POSTGRES.client()
                .execute("CREATE TABLE parcels (id int PRIMARY KEY)", "INSERT INTO parcels VALUES (1), (2), (3)");
        var pipe = pipe().name("parcels").setting("replicationMode", "snapshot").map("public.parcels");
        for (var mode : List.of("setup", "snapshot")) {
            assertThat(exitCode(worker(mode, pipe))).as(log()).isZero();
        }
        POSTGRES.client().execute("DELETE FROM parcels WHERE id = 1", "INSERT INTO parcels VALUES (4), (5)");

        pipe.extra("  resync: B\n");
        assertThat(exitCode(worker("setup", pipe))).as(log()).isZero();
        var left = JSON.readTree(read("termination")).get("load");
        assertThat(left.get("replacements").asInt()).isEqualTo(1);
        assertThat(exitCode(worker("resync", pipe))).as("it is not loaded").isEqualTo(10);
        assertThat(log()).contains("NotLoaded", "parcels_resync");
        assertThat(exitCode(worker("snapshot", pipe))).as(log()).isZero();
        assertThat(CLICKHOUSE.client().count("parcels")).as("the live table").isEqualTo(3);
        assertThat(exitCode(worker("resync", pipe))).as(log()).isZero();

        assertThat(CLICKHOUSE.client().query("SELECT id FROM parcels ORDER BY id"))
                .isEqualTo("2\n3\n4\n5");
        assertThat(CLICKHOUSE.client().query("EXISTS TABLE parcels_resync")).isEqualTo("0");
        assertThat(exitCode(worker("resync", pipe))).as("nothing is left to do").isZero();
    }

    @Test
    void aTableThatIsAddedToASnapshotOnlyPipeIsLoadedAlone() throws Exception {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE lorries (id int PRIMARY KEY)",
                        "INSERT INTO lorries VALUES (1)",
                        "CREATE TABLE drivers (id int PRIMARY KEY)",
                        "INSERT INTO drivers VALUES (7), (8)");
        var pipe = pipe().name("lorries").setting("replicationMode", "snapshot").map("public.lorries");
        for (var mode : List.of("setup", "snapshot")) {
            assertThat(exitCode(worker(mode, pipe))).as(log()).isZero();
        }
        POSTGRES.client().execute("INSERT INTO lorries VALUES (2)");

        pipe.map("public.drivers");
        assertThat(exitCode(worker("setup", pipe))).as(log()).isZero();
        var left = JSON.readTree(read("termination")).get("load");
        assertThat(left.get("tablesDone").asInt()).isEqualTo(1);
        assertThat(left.get("tablesTotal").asInt()).isEqualTo(2);
        assertThat(exitCode(worker("snapshot", pipe))).as(log()).isZero();

        assertThat(CLICKHOUSE.client().query("SELECT id FROM drivers ORDER BY id"))
                .isEqualTo("7\n8");
        assertThat(CLICKHOUSE.client().query("SELECT id FROM lorries"))
                .as("as it was loaded")
                .isEqualTo("1");
    }

    @Test
    void tellsWhatTheSlotOfAPausedPipeKeeps() throws Exception {
        try (var server =
                PostgresServer.create(PostgresServer.DEFAULT_VERSION, Map.of("max_slot_wal_keep_size", "64MB"))) {
            server.client("postgres").execute("CREATE TABLE paused (id int PRIMARY KEY)");
            var pipe = new TestPipe(directory, server.client("postgres"), CLICKHOUSE.client()).map("public.paused");
            assertThat(exitCode(worker("setup", pipe))).as(log()).isZero();
            server.client("postgres")
                    .execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000)), pg_switch_wal()");

            assertThat(exitCode(worker("inspect", pipe))).as(log()).isZero();

            var seen = JSON.readTree(read("termination")).get("replication");
            assertThat(seen.get("slot").asText()).isEqualTo(pipe.pipe().slot());
            assertThat(seen.get("retainedWalBytes").asLong()).isGreaterThan(1_000_000);
            assertThat(seen.get("safeWalBytes").asLong()).isBetween(1L, 64L * 1024 * 1024);
            assertThat(seen.get("walStatus").asText()).isEqualTo("reserved");
        }
    }

    @Test
    void setsUpReplicatesStopsOnSigtermAndTearsDown() throws Exception {
        POSTGRES.client().execute("CREATE TABLE orders (id int PRIMARY KEY, at timestamptz)");
        var pipe = pipe().setting("replicationMode", "cdc_only").map("public.orders");

        assertThat(exitCode(worker("setup", pipe))).as(log()).isZero();
        assertThat(JSON.readTree(read("termination")).get("reason").asText()).isEqualTo("Succeeded");

        var cdc = worker("cdc", pipe);
        var endpoint = endpoint();
        POSTGRES.client().execute("INSERT INTO orders VALUES (1, '2024-01-01 00:00:00Z')");
        await().atMost(Duration.ofSeconds(30)).until(() -> CLICKHOUSE.client().count("orders") == 1);
        assertThat(CLICKHOUSE.client().query("SELECT at FROM orders"))
                .as("whatever the machine's time zone")
                .startsWith("2024-01-01 00:00:00");
        assertThat(get(endpoint.resolve("/healthz")).body()).isEqualTo("ok\n");
        assertThat(get(endpoint.resolve("/metrics")).body()).contains("jvm_memory_used_bytes");
        JsonNode status = JSON.readTree(get(endpoint.resolve("/status")).body());
        assertThat(status.get("mode").asText()).isEqualTo("cdc");
        assertThat(status.get("state").asText()).isEqualTo("Working");
        assertThat(get(endpoint.resolve("/status/x")).statusCode()).isEqualTo(404);

        cdc.destroy();
        assertThat(exitCode(cdc)).isZero();

        assertThat(exitCode(worker("teardown", pipe))).as(log()).isZero();
        assertThat(POSTGRES.client().rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()"))
                .isEmpty();
    }

    @Test
    void refusesWithAllProblemsInLogAndLastWordsAndNoPassword() throws Exception {
        var pipe = pipe().map("public.nowhere").map("public.neither");

        assertThat(exitCode(worker("setup", pipe, "--log-format", "json"))).isEqualTo(10);

        var termination = JSON.readTree(read("termination"));
        assertThat(termination.get("reason").asText()).isEqualTo("SourceTableMissing");
        assertThat(termination.get("problems")).hasSize(2);
        assertThat(termination.get("problems"))
                .allSatisfy(
                        problem -> assertThat(problem.get("remedy").asText()).isNotBlank());
        var lines = log().lines().toList();
        assertThat(lines).allSatisfy(line -> assertThat(JSON.readTree(line).get("message"))
                .isNotNull());
        assertThat(lines).filteredOn(line -> line.contains("\"ERROR\"")).hasSize(2);
        assertThat(log() + read("out") + read("termination"))
                .doesNotContain(POSTGRES.client().password())
                .doesNotContain("\tat ");
    }

    @Test
    void aServerThatIsDownIsTriedAgainAndSeen() throws Exception {
        var down = new TestPipe(
                        directory,
                        new Postgres("127.0.0.1", 1, "u", "hush-1", "d"),
                        new ClickHouse(URI.create("http://127.0.0.1:1"), "u", "hush-2", "d"))
                .map("public.orders");
        var worker = worker("cdc", down);
        var endpoint = endpoint();

        await().until(() -> get(endpoint.resolve("/status")).body().contains("CannotConnect"));
        var status = JSON.readTree(get(endpoint.resolve("/status")).body());
        assertThat(status.get("state").asText()).isEqualTo("Retrying");
        assertThat(get(endpoint.resolve("/healthz")).statusCode()).isEqualTo(200);
        assertThat(worker.isAlive()).isTrue();
        worker.destroy();
        assertThat(exitCode(worker)).isZero();
        assertThat(log()).doesNotContain("hush").doesNotContain("\tat ");
    }

    @Test
    void aJobThatIsStoppedDoesNotPassForDone() throws Exception {
        var down = new TestPipe(
                        directory,
                        new Postgres("127.0.0.1", 1, "u", "hush-1", "d"),
                        new ClickHouse(URI.create("http://127.0.0.1:1"), "u", "hush-2", "d"))
                .map("public.orders");
        var worker = worker("snapshot", down);
        endpoint();
        await().until(() -> log().contains("next try"));

        worker.destroy();

        assertThat(exitCode(worker)).isEqualTo(11);
        assertThat(JSON.readTree(read("termination")).get("reason").asText()).isEqualTo("Stopped");
    }
}
