package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Several workers on one load. */
@Timeout(600)
class SnapshotWorkersIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private static final Duration PATIENCE = Duration.ofMinutes(3);

    @TempDir
    Path directory;

    private LoadedPipe pipe() {
        return new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    private static void create(String table, int rows) {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE " + table + " (id int PRIMARY KEY, n int, filler text)",
                        "INSERT INTO " + table + " SELECT i, 0, repeat('x', 100) FROM generate_series(1, " + rows
                                + ") i",
                        "ANALYZE " + table);
    }

    @Test
    void they_share_the_work_and_one_that_is_killed_is_made_up_for() throws Exception {
        create("killed", 50_000);
        create("one_log", 20_000);
        create("another_log", 20_000);
        try (var pipe = pipe().table("public", "killed", ReplacingMergeTree)
                .table("public", "one_log", MergeTree)
                .table("public", "another_log", MergeTree)) {
            CLICKHOUSE.client().query("SYSTEM STOP MERGES _clickpipe_chunks");
            // The first one is killed with a chunk on its way, of which the second one can't know when it will be
            // there.
            var late = new Fault.Late();
            CLICKHOUSE.failNext("INSERT INTO `killed`", late);
            var first = pipe.worker(2);
            Process second = null;
            try {
                assertThat(late.sent().await(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                        .isTrue();
                await().atMost(PATIENCE).until(() -> pipe.ledger("killed", "countIf(loaded) > 3")
                        .equals(List.of(List.of("1"))));
                second = pipe.worker(2);
                first.destroyForcibly().waitFor();
                var loaded = loaded(pipe);
                assertThat(second.waitFor()).isZero();
                late.arrives().countDown();
                assertThat(pipe.ledger("killed", "uniq(lsn) > 1")).isEqualTo(List.of(List.of("1")));
                pipe.compare("public", "killed").assertEqual();
                pipe.compare("public", "one_log").assertEqual();
                pipe.compare("public", "another_log").assertEqual();
                // What the ledger says is loaded is not read again, by either.
                assertThat(loaded(pipe)).containsAll(loaded);
                assertThat(CLICKHOUSE
                                .client()
                                .rows("SELECT chunk FROM _clickpipe_chunks WHERE loaded AND build = '"
                                        + pipe.definition("killed").build() + "' GROUP BY chunk HAVING count() > 1"))
                        .isEmpty();
                for (var log : List.of("one_log", "another_log")) {
                    assertThat(pipe.ledger(log, "uniq(lsn)")).isEqualTo(List.of(List.of("1")));
                }
            } finally {
                CLICKHOUSE.client().query("SYSTEM START MERGES _clickpipe_chunks");
                late.arrives().countDown();
                first.destroyForcibly();
                if (second != null) {
                    second.destroyForcibly();
                }
            }
        }
    }

    private static List<List<String>> loaded(LoadedPipe pipe) {
        return pipe.ledger("killed", "chunk, lsn, written_at, loaded").stream()
                .filter(row -> row.get(3).equals("true"))
                .toList();
    }

    @Test
    void a_table_that_must_be_read_in_one_session_is_one_worker_s() throws Exception {
        create("left_log", 3000);
        create("right_log", 3000);
        try (var pipe = pipe().table("public", "left_log", MergeTree).table("public", "right_log", MergeTree)) {
            run(pipe.snapshot(2), pipe.snapshot(2)).join();
            pipe.compare("public", "left_log").assertEqual();
            pipe.compare("public", "right_log").assertEqual();
            assertThat(pipe.definition("left_log").boundary())
                    .as("either took its share")
                    .isNotEqualTo(pipe.definition("right_log").boundary());
        }
    }

    @Test
    void a_chunk_that_another_has_is_left_to_it_until_it_is_gone() throws Exception {
        create("claimed", 5000);
        try (var pipe = pipe().table("public", "claimed", ReplacingMergeTree)) {
            var other = pipe.session();
            assertThat(other.claim(pipe.definition("claimed").build() + ":1:3")).isTrue();
            var snapshot = pipe.snapshot(2);
            var load = run(snapshot);
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(snapshot.status().problem())
                            .extracting(Problem::reason)
                            .isEqualTo(Problem.ANOTHER_LOAD_RUNS));
            assertThat(pipe.ledger("claimed", "groupArrayIf(chunk, NOT loaded), countIf(loaded) > 2"))
                    .isEqualTo(List.of(List.of("[3]", "1")));
            assertThat(load).isNotDone();
            other.close();
            load.join();
            pipe.compare("public", "claimed").assertEqual();
            assertThat(pipe.ledger("claimed", "max(generation), uniq(lsn)")).isEqualTo(List.of(List.of("1", "2")));
        }
    }

    @Test
    void a_table_is_begun_anew_when_nobody_reads_it_any_more() throws Exception {
        create("rewritten", 5000);
        create("appended", 5000);
        try (var pipe =
                pipe().table("public", "rewritten", ReplacingMergeTree).table("public", "appended", MergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `rewritten`", Fault.Refuse.memoryLimit());
            CLICKHOUSE.failNext("INSERT INTO `appended`", Fault.Refuse.memoryLimit());
            assertThatThrownBy(() -> pipe.snapshot(2).run(new Stop())).isInstanceOf(PipeException.class);
            var boundary = pipe.definition("rewritten").boundary();
            var append = pipe.definition("appended").boundary();
            POSTGRES.client().execute("DELETE FROM rewritten WHERE id < 3000", "VACUUM FULL rewritten");
            var other = pipe.session();
            var snapshot = pipe.snapshot(2);
            var load = run(snapshot);
            // The session that began the append-only table is over; of the other table nobody knows.
            await().atMost(PATIENCE).until(() -> pipe.definition("appended").loaded());
            assertThat(pipe.definition("appended").boundary()).isNotEqualTo(append);
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(snapshot.status().problem())
                            .extracting(Problem::reason)
                            .isEqualTo(Problem.ANOTHER_LOAD_RUNS));
            assertThat(pipe.definition("rewritten").boundary()).isEqualTo(boundary);
            other.close();
            load.join();
            pipe.compare("public", "rewritten").assertEqual();
            pipe.compare("public", "appended").assertEqual();
            assertThat(pipe.definition("rewritten").boundary()).isNotEqualTo(boundary);
        }
    }

    /** The other one's work is not cut off by the end of this one's pod. */
    @Test
    void a_worker_that_can_not_go_on_waits_for_the_others() throws Exception {
        create("dropped", 10);
        create("slow", 5000);
        try (var pipe =
                pipe().table("public", "dropped", ReplacingMergeTree).table("public", "slow", ReplacingMergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `slow`", Fault.Refuse.memoryLimit());
            POSTGRES.client().execute("DROP TABLE dropped");
            assertThatThrownBy(() -> pipe.snapshot(2).run(new Stop())).isInstanceOf(PipeException.class);
            var missing = pipe.ledger("slow", "chunk, loaded").stream()
                    .filter(row -> row.get(1).equals("false"))
                    .map(row -> row.get(0))
                    .toList();
            var other = pipe.session();
            other.claim(pipe.definition("slow").build() + ":1:" + missing.getFirst());
            var snapshot = pipe.snapshot(2);
            var load = run(snapshot);
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(snapshot.status().problem())
                            .extracting(Problem::reason)
                            .isEqualTo(Problem.ANOTHER_LOAD_RUNS));
            assertThat(snapshot.status().tables())
                    .filteredOn(table -> table.target().equals("dropped"))
                    .singleElement()
                    .satisfies(table -> assertThat(table.problem().reason()).isEqualTo("SourceTableMissing"));
            assertThat(load).isNotDone();
            other.close();
            assertThatThrownBy(load::join)
                    .isInstanceOf(CompletionException.class)
                    .cause()
                    .isInstanceOfSatisfying(PipeException.class, e -> assertThat(e.problems())
                            .extracting(Problem::reason)
                            .containsExactly("SourceTableMissing"));
            pipe.compare("public", "slow").assertEqual();
        }
    }

    private static CompletableFuture<Void> run(Snapshot... workers) {
        return CompletableFuture.allOf(java.util.Arrays.stream(workers)
                .map(worker -> CompletableFuture.runAsync(
                        () -> {
                            try {
                                worker.run(new Stop());
                            } catch (InterruptedException e) {
                                throw new IllegalStateException(e);
                            }
                        },
                        task -> Thread.ofVirtual().start(task)))
                .toArray(CompletableFuture[]::new));
    }
}
