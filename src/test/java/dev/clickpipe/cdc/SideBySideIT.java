package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Loads beside a stream at work: tables that are added, taken away and built anew, under an application that never pauses. */
class SideBySideIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void clients() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
    }

    private TestPipe.Builder pipe() {
        return new TestPipe.Builder(postgres, clickHouse)
                .batchRows(2000)
                .chunkRows(1000)
                .loaded();
    }

    private TestPipe.Builder everything(String prefix) {
        return pipe().table(prefix + "accounts")
                .table(prefix + "branches")
                .table(prefix + "documents")
                .table(prefix + "history", TableEngine.MergeTree)
                .table(prefix + "audit", TableEngine.MergeTree);
    }

    private void assertEverything(TestPipe pipe, Application application, String prefix) {
        for (var table : List.of("accounts", "branches", "documents", "history")) {
            pipe.awaitEqual(prefix + table);
        }
        pipe.awaitConfirmed();
        pipe.awaitSettled();
        for (var table : List.of("accounts", "branches", "documents", "history")) {
            pipe.awaitEqual(prefix + table);
        }
        application.assertHistory(clickHouse);
    }

    @Test
    void theInitialLoadBesideTheStream() throws Exception {
        try (var application = new Application(postgres, "beside_");
                var pipe = everything("beside_").setUp()) {
            application.start();
            application.awaitMore();
            pipe.start();
            var load = pipe.startLoad();
            application.awaitMore();
            load.awaitDone();
            application.awaitMore();
            application.stop();
            assertEverything(pipe, application, "beside_");
            assertThat(pipe.definitions()).allMatch(definition -> definition.loaded());
        }
    }

    /** Of either, wherever it is: the load while so many rows are read, the stream at any moment. */
    @ParameterizedTest
    @CsvSource({"load, 1", "load, 15000", "stream, 1", "stream, 15000"})
    void killed(String which, int rows) throws Exception {
        var prefix = "killed_" + which + "_" + rows + "_";
        try (var application = new Application(postgres, prefix);
                var pipe = everything(prefix).setUp()) {
            application.start();
            application.awaitMore(50);
            pipe.start();
            var load = pipe.startLoad();
            load.awaitRows(rows);
            if (which.equals("load")) {
                load.kill();
                application.awaitMore(50);
                load = pipe.startLoad();
            } else {
                pipe.restart();
                application.awaitMore(50);
                pipe.restart();
            }
            load.awaitDone();
            application.awaitMore(50);
            application.stop();
            assertEverything(pipe, application, prefix);
        }
    }

    /** The stream comes upon rows of the time before the load's boundary while it does not know that: nobody sees them twice. */
    @Test
    void theLoadBeginsWhileTheStreamIsBehind() throws Exception {
        postgres.execute("CREATE TABLE behind (id int PRIMARY KEY, v text)");
        try (var pipe = pipe().table("behind", TableEngine.MergeTree).setUp()) {
            clickHouse.query("CREATE TABLE behind_seen (id Int32, n UInt64) ENGINE = SummingMergeTree ORDER BY id"
                    + " SETTINGS non_replicated_deduplication_window = 10000");
            clickHouse.query("CREATE MATERIALIZED VIEW behind_view TO behind_seen AS"
                    + " SELECT id, toUInt64(1) AS n FROM behind");
            pipe.start();
            await().until(() -> pipe.definition("behind").streaming() != null);
            // One transaction, in a hundred batches.
            postgres.execute("INSERT INTO behind SELECT i, md5(i::text) FROM generate_series(1, 200000) i");
            pipe.startLoad().awaitDone();
            postgres.execute("INSERT INTO behind VALUES (0, 'later')");
            pipe.awaitConfirmed();
            pipe.awaitSettled();
            assertThat(clickHouse.query(
                            "SELECT count(), uniqExact(id), countIf(_clickpipe_operation = 'snapshot') FROM behind"))
                    .isEqualTo("200001\t200001\t200000");
            assertThat(clickHouse.query("SELECT sum(n), uniqExact(id) FROM behind_seen"))
                    .isEqualTo("200001\t200001");
        }
    }

    /** It must not keep WAL for ever: the table is written then, and cut when the load has come after all. */
    @Test
    void aLoadThatDoesNotBeginHoldsTheSlotOnlySoLong() throws Exception {
        postgres.execute("CREATE TABLE late (id int, v text)", "INSERT INTO late VALUES (1, 'before')");
        try (var pipe = pipe().table("late", TableEngine.MergeTree)
                .longestHold(Duration.ofSeconds(2))
                .setUp()) {
            pipe.start();
            await().until(() -> pipe.definition("late").streaming() != null);
            postgres.execute("INSERT INTO late VALUES (2, 'while nothing loads')");
            pipe.awaitConfirmed();
            assertThat(clickHouse.query("SELECT id, _clickpipe_operation FROM late"))
                    .isEqualTo("2\tinsert");
            pipe.startLoad().awaitDone();
            postgres.execute("INSERT INTO late VALUES (3, 'after')");
            pipe.awaitConfirmed();
            pipe.awaitSettled();
            assertThat(clickHouse.query("SELECT id, _clickpipe_operation FROM late ORDER BY id"))
                    .isEqualTo("1\tsnapshot\n2\tsnapshot\n3\tinsert");
        }
    }

    /** Read again in the same session, and known by the insert's token. */
    @Test
    void anAppendOnlyTableOfWhoseLoadAnswersAreLost() throws Exception {
        try (var application = new Application(postgres, "lost_");
                var pipe = pipe().table("lost_audit", TableEngine.MergeTree).setUp()) {
            application.start();
            application.awaitMore();
            pipe.start();
            application.awaitMore();
            for (int i = 0; i < 2; i++) {
                // Stored, and then neither confirmed nor marked.
                CLICKHOUSE.failNext(
                        "INSERT INTO `lost_audit` (`_clickpipe_version`, `_clickpipe_operation`",
                        new Fault.LoseAnswer());
            }
            var load = pipe.startLoad();
            load.awaitDone();
            application.awaitMore();
            application.stop();
            pipe.awaitConfirmed();
            pipe.awaitSettled();
            assertThat(clickHouse.query(
                            "SELECT uniq(_clickpipe_version) FROM lost_audit WHERE _clickpipe_operation = 'snapshot'"))
                    .isEqualTo("1");
            application.assertHistory(clickHouse);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aTableIsAddedWhileTheOthersGoOn(boolean killed) throws Exception {
        var prefix = "added_" + killed + "_";
        try (var application = new Application(postgres, prefix);
                var pipe = pipe().table(prefix + "accounts").setUp()) {
            pipe.start();
            application.start();
            pipe.startLoad().awaitDone();
            var worker = pipe.worker();
            for (var table : List.of("documents", "branches")) {
                pipe.add(prefix + table, TableEngine.ReplacingMergeTree);
            }
            for (var table : List.of("history", "audit")) {
                pipe.add(prefix + table, TableEngine.MergeTree);
            }
            var load = pipe.startLoad();
            load.awaitRows(21_000);
            if (killed) {
                load.kill();
                pipe.restart();
                application.awaitMore();
                load = pipe.startLoad();
            } else {
                assertThat(pipe.worker()).as("the same").isSameAs(worker);
            }
            load.awaitDone();
            application.awaitMore();
            application.stop();
            assertEverything(pipe, application, prefix);
        }
    }

    @Test
    void theLoadWaitsForTheStream() throws Exception {
        postgres.execute(
                "CREATE TABLE first (id int PRIMARY KEY)",
                "CREATE TABLE second (id int PRIMARY KEY)",
                "INSERT INTO second SELECT generate_series(1, 100)");
        try (var pipe = pipe().table("first").start()) {
            pipe.startLoad().awaitDone();
            pipe.stop();
            pipe.add("second", TableEngine.ReplacingMergeTree);
            var load = pipe.startLoad();
            await().until(() -> load.status().problem() != null);
            assertThat(load.status().problem().reason()).isEqualTo("WaitingForStream");
            assertThat(clickHouse.count("second")).isZero();
            pipe.start();
            load.awaitDone();
            pipe.awaitEqual("first", "second");
        }
    }

    @Test
    void aRemovedTableIsWrittenNoMore() throws Exception {
        postgres.execute("CREATE TABLE stays (id int PRIMARY KEY)", "CREATE TABLE goes (id int PRIMARY KEY)");
        try (var pipe = pipe().table("stays").table("goes").start()) {
            pipe.startLoad().awaitDone();
            postgres.execute("INSERT INTO goes VALUES (1)", "INSERT INTO stays VALUES (1)");
            pipe.awaitEqual("stays", "goes");
            pipe.remove("goes");
            await().until(() -> pipe.status().tables().size() == 1);
            postgres.execute("INSERT INTO goes VALUES (2)", "INSERT INTO stays VALUES (2)");
            pipe.awaitEqual("stays");
            pipe.awaitConfirmed();
            assertThat(clickHouse.count("goes")).isEqualTo(1);
            pipe.add("goes_again", "goes", TableEngine.ReplacingMergeTree);
            pipe.startLoad().awaitDone();
            postgres.execute("INSERT INTO goes VALUES (3)");
            pipe.awaitEqual(pipe.comparison("goes", "goes_again"));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void builtAnewUnderAReaderThatNeverSeesLess(boolean all) throws Exception {
        var prefix = "anew_" + all + "_";
        try (var application = new Application(postgres, prefix);
                var pipe = everything(prefix).setUp()) {
            postgres.execute(
                    "CREATE TABLE " + prefix + "grown (id serial PRIMARY KEY, v text)",
                    "INSERT INTO " + prefix + "grown (v) SELECT 'x' FROM generate_series(1, 3000)");
            pipe.start();
            application.start();
            pipe.add(prefix + "grown", TableEngine.ReplacingMergeTree);
            pipe.startLoad().awaitDone();
            pipe.awaitSettled();
            pipe.awaitEqual(prefix + "grown");
            var before = pipe.definitions();
            var worker = pipe.worker();
            try (var reader = new Reader(clickHouse, prefix + "grown");
                    var writer = new Writer(postgres, prefix + "grown")) {
                for (var table : all
                        ? List.of("accounts", "branches", "documents", "history", "audit", "grown")
                        : List.of("grown", "audit")) {
                    pipe.rebuild(prefix + table);
                }
                var load = pipe.startLoad();
                application.awaitMore();
                load.awaitDone();
                pipe.awaitSwapped();
                application.awaitMore();
                assertThat(reader.polls()).isGreaterThan(10);
                assertThat(writer.rows()).isGreaterThan(10);
            }
            assertThat(pipe.worker()).isSameAs(worker);
            assertThat(pipe.definitions())
                    .extracting(definition -> definition.target())
                    .containsExactlyInAnyOrderElementsOf(before.stream()
                            .map(definition -> definition.target())
                            .toList());
            application.stop();
            assertEverything(pipe, application, prefix);
            pipe.awaitEqual(prefix + "grown");
            assertThat(clickHouse.rows("SHOW TABLES LIKE '" + prefix + "%_resync'"))
                    .isEmpty();
        }
    }

    /** Two rebuilds in a row, the second before the first is done; what is left of the first is of no consequence. */
    @Test
    void aReplacementThatIsGivenUp() throws Exception {
        try (var application = new Application(postgres, "given_up_");
                var pipe = everything("given_up_").start()) {
            application.start();
            pipe.startLoad().awaitDone();
            var first = pipe.rebuild("given_up_accounts");
            var load = pipe.startLoad();
            load.awaitRows("given_up_accounts_resync", 1000);
            load.kill();
            pipe.forget(first);
            clickHouse.query("DROP TABLE given_up_accounts_resync SYNC");
            pipe.rebuild("given_up_accounts");
            pipe.startLoad().awaitDone();
            pipe.awaitSwapped();
            application.awaitMore(50);
            application.stop();
            assertEverything(pipe, application, "given_up_");
        }
    }

    /**
     * A transaction that is older than the publication's change makes the server remember, in the memory of one connection, that
     * the table is not published.
     */
    @ParameterizedTest
    @ValueSource(ints = {14, PostgresServer.DEFAULT_VERSION})
    void anOldTransactionAcrossTheChangeOfThePublication(int version) throws Exception {
        try (var server = PostgresServer.create(version)) {
            var source = server.createDatabase("source");
            source.execute(
                    "CREATE TABLE poisoned_a_" + version + " (id int PRIMARY KEY)",
                    "CREATE TABLE poisoned_b_" + version + " (id int PRIMARY KEY, v int)");
            var a = "poisoned_a_" + version;
            var b = "poisoned_b_" + version;
            try (var pipe = new TestPipe.Builder(source, clickHouse)
                            .table(a)
                            .loaded()
                            .start();
                    var old = source.connect();
                    var statement = old.createStatement()) {
                pipe.startLoad().awaitDone();
                old.setAutoCommit(false);
                statement.execute("INSERT INTO " + a + " VALUES (1)");
                statement.execute("INSERT INTO " + b + " VALUES (1, 0)");
                var added = CompletableFuture.supplyAsync(() -> pipe.add(b, TableEngine.ReplacingMergeTree));
                await().until(() -> source.query(
                                "SELECT count(*) FROM pg_publication_tables WHERE tablename = '" + b + "'")
                        .equals("1"));
                statement.execute("INSERT INTO " + b + " VALUES (2, 0)");
                source.execute("INSERT INTO " + b + " VALUES (3, 0)");
                old.commit();
                pipe.awaitEqual(a);
                added.get();
                var load = pipe.startLoad();
                source.execute("INSERT INTO " + b + " VALUES (4, 0)");
                load.awaitDone();
                source.execute(
                        "UPDATE " + b + " SET v = 1",
                        "INSERT INTO " + b + " VALUES (5, 0)",
                        "INSERT INTO " + a + " VALUES (2)");
                pipe.awaitEqual(a, b);
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
