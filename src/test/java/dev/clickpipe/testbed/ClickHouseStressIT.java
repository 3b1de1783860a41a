package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The engine and the JVM in one process: both must live with what the other does to stacks, memory and signals. */
class ClickHouseStressIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private static final Duration LENGTH = Duration.ofSeconds(4);
    private static final int WRITERS = 4;
    private static final int BATCH = 1000;

    @Test
    void servesWritersAndReadersWhileTheJvmIsUnderPressure() throws Exception {
        CLICKHOUSE.client().query("CREATE TABLE t (k UInt64, writer UInt8, text String) ENGINE = MergeTree ORDER BY k");
        Instant end = Instant.now().plus(LENGTH);
        long inserted = 0;
        try (var threads = Executors.newCachedThreadPool()) {
            var writers = new ArrayList<Future<Long>>();
            for (int writer = 0; writer < WRITERS; writer++) {
                int id = writer;
                writers.add(threads.submit(() -> write(id, end)));
            }
            List<Future<Long>> pressure = List.of(
                    threads.submit(() -> countNullPointers(end)), threads.submit(() -> countStackOverflows(end)));
            for (Future<Long> writer : writers) {
                inserted += writer.get();
            }
            for (Future<Long> counter : pressure) {
                assertThat(counter.get()).isPositive();
            }
        }
        assertThat(inserted).isPositive();
        assertThat(CLICKHOUSE.client().count("t")).isEqualTo(inserted);
    }

    /** Inserts and reads back; every third statement is one that fails. */
    private static long write(int writer, Instant end) {
        ClickHouse clickhouse = CLICKHOUSE.client();
        byte[] rows = IntStream.range(0, BATCH)
                .mapToObj(k -> "%d\t%d\ttext %d\n".formatted(k, writer, k))
                .collect(Collectors.joining())
                .getBytes(StandardCharsets.UTF_8);
        long inserted = 0;
        while (Instant.now().isBefore(end)) {
            clickhouse.insert("INSERT INTO t FORMAT TSV", rows);
            inserted += BATCH;
            assertThat(clickhouse.query("SELECT count() FROM t WHERE writer = " + writer))
                    .isEqualTo(String.valueOf(inserted));
            try {
                clickhouse.query("SELECT throwIf(1)");
            } catch (ClickHouse.QueryFailed e) {
                assertThat(e.code()).isEqualTo(395);
            }
        }
        return inserted;
    }

    /** Compiled code finds null by SIGSEGV. */
    private static long countNullPointers(Instant end) {
        String[] names = {"", null};
        long caught = 0;
        while (Instant.now().isBefore(end)) {
            try {
                caught -= names[1].length();
            } catch (NullPointerException e) {
                caught++;
            }
        }
        return caught;
    }

    /** The guard page at a stack's end raises SIGSEGV, too. */
    private static long countStackOverflows(Instant end) throws InterruptedException {
        long caught = 0;
        while (Instant.now().isBefore(end)) {
            try {
                caught -= depth(0);
            } catch (StackOverflowError e) {
                caught++;
            }
            Thread.sleep(20);
        }
        return caught;
    }

    private static long depth(long depth) {
        return depth < 0 ? depth : 1 + depth(depth + 1);
    }
}
