package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.Manifests.Manifest;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** An append-only target, and what materialized views make of it, have each change once, wherever something dies. */
class ExactlyOnceIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    /** Of tables; an invocation leaves what it recorded. */
    private static final AtomicInteger NUMBER = new AtomicInteger();

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void clients() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
    }

    /** A view that sums up a history by id. */
    private static void sums(ClickHouse clickHouse, String history, String more) {
        sums(clickHouse, history, history, more);
    }

    private static void sums(ClickHouse clickHouse, String name, String history, String more) {
        clickHouse.query("CREATE TABLE " + name + "_sums (id Int32, n UInt64, v Int64) ENGINE = SummingMergeTree"
                + " ORDER BY id SETTINGS non_replicated_deduplication_window = 10000");
        clickHouse.query("CREATE MATERIALIZED VIEW " + name + "_view TO " + name + "_sums AS"
                + " SELECT id, toUInt64(1) AS n, toInt64(v)" + more + " AS v FROM " + history);
    }

    /** What was inserted is there once, in the table, if it stores, and in the view. */
    private static void awaitExact(TestPipe pipe, Postgres postgres, ClickHouse clickHouse, String... histories) {
        for (var history : histories) {
            var expected = List.of(postgres.query("SELECT count(*) FROM " + history) + " "
                    + postgres.query("SELECT coalesce(sum(v), 0) FROM " + history));
            await().atMost(PATIENCE).pollInterval(Duration.ofMillis(50)).untilAsserted(() -> {
                if (pipe.definition(history).engine().stores()) {
                    assertThat(totals(clickHouse, "count() AS c, sum(v) AS s FROM " + history))
                            .isEqualTo(expected);
                }
                assertThat(totals(clickHouse, "sum(n) AS c, sum(v) AS s FROM " + history + "_sums"))
                        .isEqualTo(expected);
            });
        }
        pipe.awaitConfirmed();
    }

    private static List<String> totals(ClickHouse clickHouse, String select) {
        return List.of(clickHouse.query("SELECT toString(c) || ' ' || toString(s) FROM (SELECT " + select + ")"));
    }

    /** The engine dies when the rows are in the table and not in the view, the point that no look at the table can tell. */
    @ParameterizedTest
    @CsvSource({"MergeTree, false", "MergeTree, true", "Null, true"})
    void theEngineDiesBetweenTableAndView(TableEngine engine, boolean insideATransaction) throws InterruptedException {
        var history = ("between_" + engine + "_" + insideATransaction).toLowerCase(Locale.ROOT);
        postgres.execute("CREATE TABLE " + history + " (id int, v int)");
        try (var server = ClickHouseProcess.create()) {
            server.client("default").query("CREATE DATABASE target");
            var target = server.client("target");
            try (var pipe = new TestPipe.Builder(postgres, target)
                    .table(history, engine)
                    .batchRows(insideATransaction ? 400 : 100_000)
                    .start()) {
                // of a Null table the view that has the rows already is another one
                var first = engine.stores() ? history : "first_sums";
                if (!engine.stores()) {
                    sums(target, "first", history, "");
                }
                sums(target, history, " + 0 * (sleep(3) + sleep(2.9))");
                postgres.execute("INSERT INTO " + history + " SELECT i % 10, i FROM generate_series(1, 1000) i");
                await().atMost(PATIENCE)
                        .pollInterval(Duration.ofMillis(20))
                        .until(() -> target.count(first) > (insideATransaction && engine.stores() ? 400 : 0));
                var stored =
                        target.query(engine.stores() ? "SELECT count() FROM " + first : "SELECT sum(n) FROM " + first);
                assertThat(target.query("SELECT sum(n) FROM " + history + "_sums"))
                        .isNotEqualTo(stored);
                server.kill();
                server.start();
                // later commits are behind what is sent again
                postgres.execute("INSERT INTO " + history + " SELECT i % 10, i FROM generate_series(1, 10) i");
                awaitExact(pipe, postgres, target, history);
                if (!engine.stores()) {
                    assertThat(target.query("SELECT sum(n) FROM " + first)).isEqualTo("1010");
                }
            }
        }
    }

    /** Each statement of the protocol between worker and ClickHouse fails once, before or after it was carried out. */
    @ParameterizedTest
    @CsvSource({
        "INSERT INTO `TARGET`, lost, MergeTree",
        "INSERT INTO `TARGET`, lost, Null",
        "INSERT INTO `TARGET`, broken, MergeTree",
        "INSERT INTO `TARGET`, refused, MergeTree",
        "INSERT INTO `" + Manifests.TABLE + "`, lost, MergeTree",
        "INSERT INTO `" + Manifests.TABLE + "`, broken, Null",
        "SELECT worker FROM " + Manifests.TABLE + ", lost, MergeTree",
        "INSERT INTO " + Offsets.TABLE + ", lost, MergeTree",
        "INSERT INTO " + Offsets.TABLE + ", broken, Null",
    })
    void eachStatementFailsOnce(String statement, String how, TableEngine engine) throws InterruptedException {
        var a = "once_" + NUMBER.incrementAndGet() + "_a";
        var b = "once_" + NUMBER.get() + "_b";
        postgres.execute(
                "CREATE TABLE " + a + " (id int PRIMARY KEY, v int)",
                "CREATE TABLE " + b + " (id int PRIMARY KEY, v int)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table(a, engine)
                .table(b, engine)
                .batchRows(70)
                .start()) {
            sums(clickHouse, a, "");
            sums(clickHouse, b, "");
            postgres.execute("INSERT INTO " + a + " VALUES (-1, 5)", "INSERT INTO " + b + " VALUES (-100, 5)");
            awaitExact(pipe, postgres, clickHouse, a, b);
            for (int i = 0; i < 3; i++) {
                CLICKHOUSE.failNext(
                        statement.replace("TARGET", a),
                        switch (how) {
                            case "lost" -> new Fault.LoseAnswer();
                            case "broken" -> new Fault.Disconnect();
                            default -> Fault.Refuse.memoryLimit();
                        });
                // one transaction of several batches, and one that shares the last of them
                postgres.transaction(
                        "INSERT INTO " + a + " SELECT " + i + " * 1000 + i, i FROM generate_series(1, 200) i",
                        "INSERT INTO " + b + " SELECT " + i + " * 1000 + i, 2 * i FROM generate_series(1, 200) i");
                postgres.execute("INSERT INTO " + b + " VALUES (-1 - " + i + ", 7)");
                awaitExact(pipe, postgres, clickHouse, a, b);
            }
            pipe.awaitRetry();
        }
    }

    /** The worker dies again and again, wherever it is; values that were left out are looked up again. */
    @ParameterizedTest
    @CsvSource({"23, MergeTree", "100000, MergeTree", "23, Null"})
    void theWorkerDiesAnywhere(int batchRows, TableEngine engine) throws InterruptedException {
        var history = ("anywhere_" + batchRows + "_" + engine).toLowerCase(Locale.ROOT);
        postgres.execute(
                "CREATE TABLE " + history + " (id int PRIMARY KEY, v int, big text)",
                "ALTER TABLE " + history + " ALTER big SET STORAGE EXTERNAL",
                "CREATE TABLE " + history + "_log (op bigint, v bigint)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table(history, engine)
                .batchRows(batchRows)
                .start()) {
            sums(clickHouse, history, "");
            clickHouse.query(
                    "CREATE TABLE " + history + "_seen (version UInt128, size UInt64) ENGINE = MergeTree ORDER BY"
                            + " version SETTINGS non_replicated_deduplication_window = 10000");
            clickHouse.query("CREATE MATERIALIZED VIEW " + history + "_seen_view TO " + history + "_seen AS SELECT"
                    + " _clickpipe_version AS version, toUInt64(length(big)) AS size FROM " + history);
            postgres.execute(
                    "INSERT INTO " + history + " SELECT i, i, repeat('long', 2000) FROM generate_series(1, 100) i");
            for (int i = 0; i < 15; i++) {
                postgres.execute("UPDATE " + history + " SET v = v + 1 WHERE id % 3 = " + i % 3);
                for (int wait = 0; wait < i * 3; wait++) {
                    postgres.query("SELECT count(*) FROM pg_stat_replication");
                }
                pipe.restart();
            }
            pipe.awaitConfirmed();
            assertThat(clickHouse.query(
                            "SELECT count(), uniqExact(version), countIf(size != 8000) FROM " + history + "_seen"))
                    .isEqualTo("600\t600\t0");
            // 100 rows, of which each third's five updates add 1 to 5
            assertThat(totals(clickHouse, "sum(n) AS c, sum(v) AS s FROM " + history + "_sums"))
                    .containsExactly("600 31800");
            if (engine.stores()) {
                assertThat(totals(clickHouse, "count() AS c, sum(v) AS s FROM " + history))
                        .containsExactly("600 31800");
            }
        }
    }

    /** Rows that are sent again in a load's session are known as well, also behind a view. */
    @ParameterizedTest
    @EnumSource(names = {"MergeTree", "Null"})
    void theLoad(TableEngine engine) throws InterruptedException {
        postgres.execute("DROP TABLE IF EXISTS loaded");
        postgres.execute(
                "CREATE TABLE loaded (id int, v int)",
                "INSERT INTO loaded SELECT i % 100, i FROM generate_series(1, 30000) i");
        try (var server = ClickHouseProcess.create()) {
            server.client("default").query("CREATE DATABASE target");
            var target = server.client("target");
            try (var pipe = new TestPipe.Builder(postgres, target)
                    .table("loaded", engine)
                    .chunkRows(2000)
                    .loaded()
                    .setUp()) {
                sums(target, "loaded", "");
                sums(target, "slowly", "loaded", " + 0 * sleep(0.2)");
                postgres.execute("INSERT INTO loaded SELECT i % 100, i FROM generate_series(1, 100) i");
                pipe.start();
                postgres.execute("INSERT INTO loaded SELECT i % 100, i FROM generate_series(1, 100) i");
                var load = pipe.startLoad();
                await().atMost(PATIENCE)
                        .pollInterval(Duration.ofMillis(10))
                        .until(() -> target.count("loaded_sums") > 0);
                server.kill();
                server.start();
                postgres.execute("INSERT INTO loaded SELECT i % 100, i FROM generate_series(1, 100) i");
                load.awaitDone();
                awaitExact(pipe, postgres, target, "loaded");
                assertThat(target.query("SELECT sum(n) FROM slowly_sums")).isEqualTo("30300");
                if (engine.stores()) {
                    assertThat(target.query("SELECT uniq(_clickpipe_version) FROM loaded WHERE _clickpipe_operation"
                                    + " = 'snapshot'"))
                            .as("one session")
                            .isEqualTo("1");
                }
            }
        }
    }

    /** A table that the user made without a deduplication window: the table itself is exact, by what it holds. */
    @Test
    void withoutDeduplicationTheTableIsExact() throws InterruptedException {
        postgres.execute("CREATE TABLE plain (id int, v int)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("plain", TableEngine.MergeTree)
                .batchRows(50)
                .setUp()) {
            clickHouse.query("ALTER TABLE plain RESET SETTING non_replicated_deduplication_window");
            pipe.start();
            CLICKHOUSE.failNext("INSERT INTO `plain`", new Fault.LoseAnswer());
            postgres.execute("INSERT INTO plain SELECT i, i FROM generate_series(1, 500) i");
            pipe.awaitRetry();
            pipe.awaitEqual("plain");
            pipe.awaitConfirmed();
            assertThat(clickHouse.count("plain")).isEqualTo(500);
        }
    }

    /** A former worker that wakes up: it learns that it was replaced before it sends anything. */
    @Test
    void aFormerWorkerSendsNothing() throws InterruptedException {
        postgres.execute("CREATE TABLE former (id int, v int)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("former", TableEngine.MergeTree)
                .setUp()) {
            var former = pipe.manifests().begin();
            former.record(List.of(new Manifest("b", "0", "5")));
            var present = pipe.manifests().begin();
            assertThat(present.last("b").token()).isEqualTo("b:0:5");
            assertThatThrownBy(() -> former.record(List.of(new Manifest("b", "5", "9"))))
                    .isInstanceOfSatisfying(
                            PipeException.class,
                            e -> assertThat(e.problems().getFirst().reason()).isEqualTo("AnotherWorkerRuns"));
            present.record(List.of(new Manifest("b", "5", "7")));
            // what the former one wrote in vain does not count
            assertThat(pipe.manifests().begin().last("b").token()).isEqualTo("b:5:7");
        }
    }

    /** Workers that begin at the same moment don't see each other; one of them is the greater nevertheless, in all that it records. */
    @Test
    void workersThatBeginAtOnce() throws InterruptedException {
        postgres.execute("CREATE TABLE at_once (id int, v int)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("at_once", TableEngine.MergeTree)
                .setUp()) {
            var positions = new HashSet<String>();
            for (int worker = 0; worker < 2; worker++) {
                pipe.manifests().begin().record(List.of(new Manifest("b", "0", "5")));
                var ofPipe = " WHERE pipe = '" + pipe.pipe().uid() + "'";
                positions.add(
                        clickHouse.query("SELECT position FROM " + Manifests.TABLE + ofPipe + " AND build = 'b'"));
                clickHouse.query(
                        "ALTER TABLE " + Manifests.TABLE + " DELETE" + ofPipe + " SETTINGS mutations_sync = 2");
            }
            assertThat(positions).hasSize(2);
        }
    }
}
