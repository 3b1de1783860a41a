package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * Large values through both phases, by workers with a heap of so many times their size. With
 * {@code -Dclickpipe.test.largeValueMegabytes=100} as large as they are meant to be.
 */
@Timeout(600)
class LargeValuesIT {
    private static final int MEGABYTES = Integer.getInteger("clickpipe.test.largeValueMegabytes", 10);

    /** As docs/types.md says. */
    private static final int HEAP_PER_VALUE = Integer.getInteger("clickpipe.test.heapPerValue", 6);

    /** Of a worker without large values. */
    private static final int HEAP = 64;

    private static final int HEAP_MEGABYTES = HEAP + HEAP_PER_VALUE * MEGABYTES;

    /** Bytes of values of which there are many. */
    private static final int SMALLER = 300_000;

    private static final Duration PATIENCE = Duration.ofMinutes(5);

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    @Test
    void comeThroughBothPhasesInABoundedHeap() throws Exception {
        var postgres = POSTGRES.client();
        postgres.execute(
                "CREATE TABLE large (id int PRIMARY KEY, t text, b bytea, j jsonb, at date, touched int)",
                "ALTER TABLE large ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL");
        insert(postgres, 1);
        var pipe = new TestPipe(directory, postgres, CLICKHOUSE.client())
                .setting("syncIntervalSeconds", 0)
                .map("public.large");
        run(pipe, "setup");
        run(pipe, "snapshot");
        assertEqual(postgres, 3);

        var worker = start(pipe, "cdc");
        try {
            insert(postgres, 4);
            // Unchanged, and so not sent: looked up in the target.
            postgres.execute("UPDATE large SET touched = 1 WHERE id <= 3");
            awaitTouched(worker, 3);
            // More of them in one transaction than the heap holds.
            postgres.execute("INSERT INTO large SELECT 1000 + i, repeat(md5(i::text), " + SMALLER / 32
                    + ") FROM generate_series(1, " + (HEAP_MEGABYTES << 20) / SMALLER + ") i");
            postgres.execute("UPDATE large SET touched = 2 WHERE id > 1000");
            awaitTouched(worker, 3 + (HEAP_MEGABYTES << 20) / SMALLER);
            // Sent twice, as it was and as it is.
            postgres.execute(
                    "ALTER TABLE large REPLICA IDENTITY FULL",
                    "UPDATE large SET t = t || 'x', b = b || 'x', j = j || '1', touched = 3 WHERE id IN (4, 5, 6)",
                    "DELETE FROM large WHERE id IN (1, 2, 3)",
                    "UPDATE large SET touched = 4 WHERE id IN (4, 5, 6)");
            await().atMost(PATIENCE).until(() -> !worker.isAlive() || "3".equals(count("touched = 4")));
            assertThat(worker.isAlive()).as(log()).isTrue();
            assertEqual(postgres, 3 + (HEAP_MEGABYTES << 20) / SMALLER);
        } finally {
            worker.destroy();
            assertThat(worker.waitFor(60, TimeUnit.SECONDS)).isTrue();
        }
    }

    private void awaitTouched(Process worker, int rows) {
        await().atMost(PATIENCE)
                .until(() -> !worker.isAlive() || count("touched IS NOT NULL").equals(String.valueOf(rows)));
        assertThat(worker.isAlive()).as(log()).isTrue();
    }

    private static String count(String condition) {
        return CLICKHOUSE.client().query("SELECT count() FROM large FINAL WHERE " + condition);
    }

    /** Three rows, each with one large value. */
    private static void insert(Postgres postgres, int id) {
        var text = "(SELECT string_agg(md5(i::text), E'\\t\\\\\\n') FROM generate_series(1, " + (MEGABYTES << 20) / 35
                + ") i)";
        postgres.execute(
                "INSERT INTO large VALUES (" + id + ", " + text + ", NULL, NULL, '2024-01-01')",
                "INSERT INTO large VALUES (" + (id + 1) + ", NULL, convert_to(" + text
                        + ", 'UTF8'), NULL, '2024-01-01')",
                "INSERT INTO large SELECT " + (id + 2)
                        + ", NULL, NULL, jsonb_agg(md5(i::text)), '2024-01-01' FROM generate_series(1, "
                        + (MEGABYTES << 20) / 36 + ") i");
    }

    private static void assertEqual(Postgres postgres, int rows) {
        var expected = postgres.rows(
                "SELECT id, length(t), md5(t), length(b), md5(b), md5(j::text), touched FROM large ORDER BY id");
        assertThat(expected).hasSize(rows);
        assertThat(
                        CLICKHOUSE
                                .client()
                                .rows(
                                        "SELECT id, length(t), lower(hex(MD5(t))), length(b), lower(hex(MD5(b))), lower(hex(MD5(j))), touched FROM large FINAL ORDER BY id"))
                .isEqualTo(expected.stream()
                        .map(row -> row.stream()
                                .map(value -> value == null ? "\\N" : value)
                                .toList())
                        .toList());
    }

    private void run(TestPipe pipe, String mode) throws Exception {
        var worker = start(pipe, mode);
        try {
            assertThat(worker.waitFor(300, TimeUnit.SECONDS)).as("it ends").isTrue();
            assertThat(worker.exitValue()).as(log()).isZero();
        } finally {
            worker.destroyForcibly();
        }
    }

    private Process start(TestPipe pipe, String mode) throws IOException {
        return new ProcessBuilder(List.of(
                        ProcessHandle.current().info().command().orElseThrow(),
                        "-Xmx" + HEAP_MEGABYTES + "m",
                        "-XX:+UseSerialGC", // as in a small container
                        "-XX:+ExitOnOutOfMemoryError",
                        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                        "--enable-native-access=ALL-UNNAMED",
                        "--sun-misc-unsafe-memory-access=allow",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "dev.clickpipe.Main",
                        mode,
                        "--pipe",
                        pipe.pipeFile().toString(),
                        "--credentials",
                        pipe.credentialsDirectory().toString(),
                        "--http-port",
                        "0",
                        "--termination-message",
                        directory.resolve("termination").toString()))
                .redirectOutput(directory.resolve("out").toFile())
                .redirectError(directory.resolve("err").toFile())
                .start();
    }

    private String log() {
        try {
            return Files.readString(directory.resolve("err")) + Files.readString(directory.resolve("out"));
        } catch (IOException e) {
            return e.toString();
        }
    }
}
