package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Loads that are disturbed, and what the next try makes of them. */
@Timeout(300)
class SnapshotFaultsIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final Executor THREADS = task -> Thread.ofVirtual().start(task);

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
    void only_what_is_missing_is_read_again() throws InterruptedException {
        create("resumed", 10_000);
        create("beside", 1000);
        try (var pipe =
                pipe().table("public", "resumed", ReplacingMergeTree).table("public", "beside", ReplacingMergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `resumed`", Fault.Refuse.memoryLimit());
            var first = pipe.snapshot();
            assertThatThrownBy(() -> first.run(new Stop())).isInstanceOfSatisfying(PipeException.class, e -> {
                assertThat(e.retryable()).isTrue();
                assertThat(e).hasMessageContaining("memory limit exceeded");
            });
            // One chunk failed; neither the table's others nor the other table waited for it.
            assertThat(pipe.ledger("resumed", "countIf(NOT loaded)")).isEqualTo(List.of(List.of("1")));
            pipe.compare("public", "beside").assertEqual();
            var boundary = pipe.definition("resumed").boundary();

            POSTGRES.client().execute("UPDATE beside SET n = 1 WHERE id = 1");
            pipe.load();
            pipe.compare("public", "resumed").assertEqual();
            assertThat(pipe.ledger("resumed", "countIf(lsn != '" + boundary + "')"))
                    .isEqualTo(List.of(List.of("1")));
            assertThat(pipe.definition("resumed").boundary()).isEqualTo(boundary);
            assertThat(CLICKHOUSE.client().query("SELECT uniq(_clickpipe_version) FROM resumed"))
                    .isEqualTo("2");
            assertThat(CLICKHOUSE.client().query("SELECT sum(n) FROM beside")).isEqualTo("0");
        }
    }

    @Test
    void chunks_by_a_column_are_taken_up_again_as_well() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE keyed (id int PRIMARY KEY, k text, filler text)",
                        "INSERT INTO keyed SELECT i, CASE WHEN i % 50 > 0 THEN md5(i::text) || E'\\'\\\\' END, repeat('x', 100)"
                                + " FROM generate_series(1, 10000) i",
                        "ANALYZE keyed");
        var mapping =
                new TableMapping("public", "keyed", "keyed", null, null, null, null, null, "k", null, null, null, null);
        try (var pipe = new LoadedPipe(
                        directory,
                        POSTGRES.client(),
                        CLICKHOUSE.client(),
                        ReplicationMode.CDC,
                        UUID.randomUUID().toString(),
                        List.of(mapping))
                .table("public", "keyed", ReplacingMergeTree)) {
            CLICKHOUSE.client().query("DROP TABLE _clickpipe_chunks"); // of a version that knew no such chunks
            CLICKHOUSE.client().query("""
                    CREATE TABLE _clickpipe_chunks (pipe String, build String, generation UInt32, chunk UInt32, chunks UInt32,
                        relid UInt32, filenode UInt32, first_block Int64, end_block Int64, bytes UInt64, loaded Bool DEFAULT false,
                        lsn String DEFAULT '', rows UInt64 DEFAULT 0, written_at DateTime64(3, 'UTC') DEFAULT now64(3))
                    ENGINE = ReplacingMergeTree(loaded) ORDER BY (pipe, build, generation, chunk)""");
            CLICKHOUSE.failNext("INSERT INTO `keyed`", Fault.Refuse.memoryLimit());
            assertThatThrownBy(pipe::load).isInstanceOf(PipeException.class);
            assertThat(pipe.ledger("keyed", "countIf(NOT loaded), countIf(key_null), countIf(key_column = 'k') > 8"))
                    .isEqualTo(List.of(List.of("1", "1", "1")));
            var loaded = pipe.ledger("keyed", "groupArrayIf(chunk, loaded)");
            pipe.load();
            pipe.compare("public", "keyed").assertEqual();
            assertThat(pipe.ledger("keyed", "uniq(lsn), max(generation)")).isEqualTo(List.of(List.of("2", "1")));
            assertThat(pipe.ledger(
                            "keyed",
                            "groupArrayIf(chunk, lsn = '"
                                    + pipe.definition("keyed").boundary() + "')"))
                    .isEqualTo(loaded);
            assertThat(pipe.ledger("keyed", "max(rows) < 5000")).isEqualTo(List.of(List.of("1")));
        }
    }

    /** Long loads let go of the source's old rows now and then. */
    @Test
    void a_long_load_goes_on_in_other_sessions() throws InterruptedException {
        create("handed_on", 10_000);
        create("in_one", 10_000);
        try (var pipe = pipe().table("public", "handed_on", ReplacingMergeTree).table("public", "in_one", MergeTree)) {
            pipe.snapshot(Duration.ZERO).run(new Stop());
            pipe.compare("public", "handed_on").assertEqual();
            pipe.compare("public", "in_one").assertEqual();
            assertThat(pipe.ledger("in_one", "uniq(lsn)")).isEqualTo(List.of(List.of("1")));
        }
        create("handed_over", 10_000);
        try (var pipe = pipe().table("public", "handed_over", ReplacingMergeTree)) {
            pipe.snapshot(Duration.ZERO).run(new Stop());
            pipe.compare("public", "handed_over").assertEqual();
            assertThat(pipe.ledger("handed_over", "uniq(lsn) > 1")).isEqualTo(List.of(List.of("1")));
        }
    }

    @Test
    void rows_whose_confirmation_was_lost_do_not_count_twice() throws InterruptedException {
        create("replaced", 5000);
        create("appended", 5000);
        try (var pipe = pipe().table("public", "replaced", ReplacingMergeTree).table("public", "appended", MergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `replaced`", new Fault.LoseAnswer());
            CLICKHOUSE.failNext("INSERT INTO `appended`", new Fault.LoseAnswer());
            assertThatThrownBy(pipe::load).isInstanceOf(PipeException.class);
            var boundary = pipe.definition("appended").boundary();
            pipe.load();
            pipe.compare("public", "replaced").assertEqual();
            pipe.compare("public", "appended").assertEqual();
            // The append-only table was read in one session, the second one.
            assertThat(pipe.definition("appended").boundary()).isNotEqualTo(boundary);
            assertThat(CLICKHOUSE.client().query("SELECT uniq(_clickpipe_version) FROM appended"))
                    .isEqualTo("1");
            assertThat(pipe.ledger("appended", "DISTINCT generation, lsn"))
                    .isEqualTo(List.of(List.of("2", pipe.definition("appended").boundary())));
        }
    }

    /** It was on its way when the next try removed the rows of the one before: nothing in ClickHouse knew of it. */
    @Test
    void an_insert_that_comes_when_its_load_has_begun_anew() throws InterruptedException {
        create("late", 500); // one chunk
        var former = new Fault.Late();
        var present = new Fault.Late();
        CLICKHOUSE.failNext("INSERT INTO `late`", former);
        try (var pipe = pipe().table("public", "late", MergeTree)) {
            var first = CompletableFuture.runAsync(() -> run(pipe.snapshot()), THREADS);
            former.sent().await();
            // as of a worker that was stopped for so long that Postgres has given it up
            POSTGRES.client()
                    .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            + " WHERE application_name LIKE 'clickpipe tests/load %'");

            CLICKHOUSE.failNext("INSERT INTO `late`", present);
            var load = CompletableFuture.runAsync(() -> run(pipe.snapshot()), THREADS);
            present.sent().await();
            former.arrives().countDown();
            await().atMost(PATIENCE).until(() -> CLICKHOUSE.client().count("late") == 500);
            present.arrives().countDown();
            load.join();
            first.exceptionally(failure -> null).join(); // it finds its session gone, or that all is done
            pipe.compare("public", "late").assertEqual();
        }
    }

    /** Without a stream to mend the seam, chunks of two sessions would not fit together. */
    @Test
    void a_load_that_no_stream_follows_is_of_one_moment() throws InterruptedException {
        create("moment", 5000);
        try (var pipe = new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client(), ReplicationMode.SNAPSHOT)
                .table("public", "moment", ReplacingMergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `moment`", new Fault.Disconnect());
            assertThatThrownBy(pipe::load).isInstanceOf(PipeException.class);
            POSTGRES.client().execute("DELETE FROM moment WHERE id % 2 = 0");
            pipe.load();
            pipe.compare("public", "moment").assertEqual();
        }
    }

    @Test
    void a_table_rewritten_between_sessions_starts_over() throws InterruptedException {
        create("vacuumed", 10_000);
        create("truncated", 10_000);
        try (var pipe = pipe().table("public", "vacuumed", ReplacingMergeTree)
                .table("public", "truncated", ReplacingMergeTree)) {
            CLICKHOUSE.failNext("INSERT INTO `vacuumed`", new Fault.Disconnect());
            CLICKHOUSE.failNext("INSERT INTO `truncated`", new Fault.Disconnect());
            assertThatThrownBy(pipe::load).isInstanceOf(PipeException.class);
            var boundary = pipe.definition("truncated").boundary();
            POSTGRES.client()
                    .execute(
                            "DELETE FROM vacuumed WHERE id < 5000",
                            "VACUUM FULL vacuumed",
                            "TRUNCATE truncated",
                            "INSERT INTO truncated VALUES (1, 1, 'new')");
            pipe.load();
            pipe.compare("public", "vacuumed").assertEqual();
            pipe.compare("public", "truncated").assertEqual();
            assertThat(pipe.ledger("truncated", "DISTINCT generation")).isEqualTo(List.of(List.of("2")));
            assertThat(pipe.definition("truncated").boundary()).isNotEqualTo(boundary);
        }
    }

    @Test
    void a_table_that_is_gone_or_closed_fails_alone() throws InterruptedException {
        create("dropped", 10);
        create("replaced_by_another", 10);
        create("closed", 10);
        create("open", 10);
        POSTGRES.client()
                .execute("CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader'", "GRANT SELECT ON open TO reader");
        var reader = new Postgres(
                POSTGRES.client().host(),
                POSTGRES.client().port(),
                "reader",
                "reader",
                POSTGRES.client().database());
        try (var pipe = new LoadedPipe(directory, reader, CLICKHOUSE.client())) {
            for (var table : List.of("dropped", "replaced_by_another", "closed", "open")) {
                pipe.table("public", table, ReplacingMergeTree);
            }
            POSTGRES.client().execute("DROP TABLE dropped", "DROP TABLE replaced_by_another");
            create("replaced_by_another", 20);
            assertThatThrownBy(pipe::load).isInstanceOfSatisfying(PipeException.class, e -> {
                assertThat(e.retryable()).isFalse();
                assertThat(e.problems())
                        .extracting(Problem::object, Problem::reason)
                        .containsExactlyInAnyOrder(
                                tuple("table public.dropped", "SourceTableMissing"),
                                tuple("table public.replaced_by_another", "SourceTableMissing"),
                                tuple("table public.closed", "PermissionDenied"));
            });
            pipe.compare("public", "open").assertEqual();
        } finally {
            POSTGRES.client().execute("DROP OWNED BY reader", "DROP ROLE reader");
        }
    }

    @Test
    void a_second_worker_waits_for_the_first() throws Exception {
        create("contested", 3000);
        try (var pipe = pipe().table("public", "contested", MergeTree)) {
            var first = pipe.session();
            var reader = first.openReader();
            var second = pipe.snapshot();
            var load = CompletableFuture.runAsync(() -> run(second), THREADS);
            await().untilAsserted(() -> assertThat(second.status().problem())
                    .extracting(Problem::reason)
                    .isEqualTo("AnotherLoadRuns"));
            first.close();
            // A reader of the former session may still be inserting.
            await().during(1500, TimeUnit.MILLISECONDS).until(() -> !load.isDone());
            reader.close();
            load.get();
            pipe.compare("public", "contested").assertEqual();
        }
    }

    @Test
    void a_transaction_that_it_waits_for_is_named_with_its_age() throws Exception {
        create("awaited", 1000);
        try (var pipe = pipe().table("public", "awaited", ReplacingMergeTree);
                var application = POSTGRES.client().connect();
                var statement = application.createStatement()) {
            application.setAutoCommit(false);
            statement.execute("SET application_name = 'billing'");
            statement.execute("UPDATE awaited SET n = 1 WHERE id = 1");
            int pid = application.unwrap(org.postgresql.PGConnection.class).getBackendPID();
            var first = pipe.snapshot(2);
            var second = pipe.snapshot(2);
            var load = CompletableFuture.allOf(
                    CompletableFuture.runAsync(() -> run(first), THREADS),
                    CompletableFuture.runAsync(() -> run(second), THREADS));
            // The other one waits for its turn to ask: one slot waits on the source, whatever the number of workers.
            await().atMost(60, TimeUnit.SECONDS).untilAsserted(() -> assertThat(List.of(first, second))
                    .extracting(worker -> worker.status().problem())
                    .extracting(problem -> problem == null ? null : problem.reason())
                    .containsExactlyInAnyOrder("WaitingForTransactions", Problem.ANOTHER_LOAD_RUNS));
            assertThat(List.of(first, second))
                    .extracting(worker -> worker.status().problem().sentence())
                    .anySatisfy(sentence -> assertThat(sentence)
                            .contains("pid " + pid, "\"billing\"", "idle in transaction, open for ")
                            .containsPattern("open for \\d+ s"));
            application.commit();
            load.get();
            pipe.compare("public", "awaited").assertEqual();
        }
    }

    @Test
    void sessions_that_postgres_ends_are_made_up_for() throws Exception {
        create("interrupted", 30_000);
        create("interrupted_log", 30_000);
        try (var pipe = pipe().table("public", "interrupted", ReplacingMergeTree)
                .table("public", "interrupted_log", MergeTree)) {
            for (var victim : List.of("initial load", "snapshot")) {
                var snapshot = pipe.snapshot();
                var load = CompletableFuture.runAsync(() -> run(snapshot), THREADS);
                await().until(() -> rows(snapshot) > 2000);
                // What a former session has loaded counts from the start: the connection may still be to come.
                await().until(() -> !POSTGRES.client()
                        .query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                + " WHERE application_name = 'clickpipe tests/load " + victim + "'")
                        .equals("0"));
                assertThatThrownBy(load::join)
                        .isInstanceOf(CompletionException.class)
                        .hasCauseInstanceOf(PipeException.class)
                        .satisfies(e -> assertThat(((PipeException) e.getCause()).retryable())
                                .isTrue());
            }
            pipe.load();
            pipe.compare("public", "interrupted").assertEqual();
            pipe.compare("public", "interrupted_log").assertEqual();
            assertThat(pipe.ledger("interrupted", "uniq(lsn) > 1")).isEqualTo(List.of(List.of("1")));
            assertThat(pipe.ledger("interrupted_log", "uniq(lsn)")).isEqualTo(List.of(List.of("1")));
        }
    }

    @Test
    void a_stop_ends_it_within_a_chunk_and_loses_nothing() throws Exception {
        create("stopped", 30_000);
        try (var pipe = pipe().table("public", "stopped", ReplacingMergeTree)) {
            var stop = new Stop();
            var snapshot = pipe.snapshot();
            var load = CompletableFuture.runAsync(() -> run(snapshot, stop), THREADS);
            await().until(() -> rows(snapshot) > 2000);
            stop.request();
            load.get(10, TimeUnit.SECONDS);
            assertThat(snapshot.status().load().tablesDone()).isZero();
            pipe.load();
            pipe.compare("public", "stopped").assertEqual();
            assertThat(pipe.ledger("stopped", "uniq(lsn)")).isEqualTo(List.of(List.of("2")));
        }
    }

    @Test
    void a_worker_that_is_killed_leaves_no_trace_in_the_result() throws Exception {
        create("killed", 60_000);
        create("killed_log", 20_000);
        try (var pipe = pipe().table("public", "killed", ReplacingMergeTree).table("public", "killed_log", MergeTree)) {
            var worker = pipe.worker(1);
            try {
                await().atMost(60, TimeUnit.SECONDS).until(() -> pipe.ledger("killed", "countIf(loaded) > 3")
                        .equals(List.of(List.of("1"))));
            } finally {
                worker.destroyForcibly().waitFor();
            }
            var loaded = pipe.ledger("killed", "chunk, lsn, written_at, loaded").stream()
                    .filter(row -> row.get(3).equals("true"))
                    .toList();
            assertThat(pipe.ledger("killed", "countIf(NOT loaded) > 0")).isEqualTo(List.of(List.of("1")));
            pipe.load();
            pipe.compare("public", "killed").assertEqual();
            pipe.compare("public", "killed_log").assertEqual();
            assertThat(pipe.ledger("killed", "chunk, lsn, written_at, loaded")).containsAll(loaded);
            assertThat(pipe.ledger("killed", "uniq(lsn)")).isEqualTo(List.of(List.of("2")));
        }
    }

    @Test
    void a_click_house_that_dies_is_waited_for() throws Exception {
        create("outlived", 30_000);
        create("outlived_log", 5000);
        try (var server = ClickHouseProcess.create()) {
            server.client("system").query("CREATE DATABASE target");
            var clickHouse = server.client("target");
            try (var pipe = new LoadedPipe(directory, POSTGRES.client(), clickHouse)
                    .table("public", "outlived", ReplacingMergeTree)
                    .table("public", "outlived_log", MergeTree)) {
                var snapshot = pipe.snapshot();
                var load = CompletableFuture.runAsync(() -> run(snapshot), THREADS);
                await().until(() -> rows(snapshot) > 3000);
                server.kill();
                server.start();
                try {
                    load.join();
                } catch (CompletionException e) {
                    assertThat(e).hasCauseInstanceOf(PipeException.class);
                    assertThat(((PipeException) e.getCause()).retryable()).isTrue();
                }
                pipe.load();
                pipe.compare("public", "outlived").assertEqual();
                pipe.compare("public", "outlived_log").assertEqual();
            }
        }
    }

    private static void run(Snapshot snapshot) {
        run(snapshot, new Stop());
    }

    private static void run(Snapshot snapshot, Stop stop) {
        try {
            snapshot.run(stop);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Read so far; 0 before it is planned. */
    private static long rows(Snapshot snapshot) {
        var load = snapshot.status().load();
        return load == null ? 0 : load.rows();
    }
}
