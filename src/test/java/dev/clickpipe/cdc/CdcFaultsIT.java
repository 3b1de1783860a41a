package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.PostgresServer.StopMode;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever breaks, no change is lost or doubled, and what can't be made good is said. */
class CdcFaultsIT {
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
        return new TestPipe.Builder(postgres, clickHouse);
    }

    private static List<String> steps(String table, String history, int rows) {
        return Stream.of(
                        "INSERT INTO " + table
                                + " SELECT i, 0, repeat('long', 2000) || i FROM generate_series(1, ROWS) i",
                        "UPDATE " + table + " SET v = v + 1",
                        "INSERT INTO " + history + " SELECT i, 'x' FROM generate_series(1, ROWS) i",
                        "UPDATE " + table + " SET id = id + 1000 WHERE id % 5 = 0",
                        "DELETE FROM " + table + " WHERE id % 7 = 0",
                        "INSERT INTO " + table
                                + " SELECT i, 7, 'short' FROM generate_series(1, 2 * ROWS) i ON CONFLICT DO NOTHING",
                        "INSERT INTO " + history + " SELECT i, 'y' FROM generate_series(1, ROWS) i",
                        "TRUNCATE " + table,
                        "INSERT INTO " + table
                                + " SELECT i, 8, repeat('long', 2000) || i FROM generate_series(1, ROWS) i",
                        "UPDATE " + table + " SET v = 9 WHERE id < 50")
                .map(sql -> sql.replace("ROWS", String.valueOf(rows)))
                .toList();
    }

    private static void create(Postgres postgres, String table, String history) {
        postgres.execute(
                "CREATE TABLE " + table + " (id int PRIMARY KEY, v int, big text)",
                "ALTER TABLE " + table + " ALTER big SET STORAGE EXTERNAL",
                "CREATE TABLE " + history + " (id int, note text)");
    }

    /** The worker dies after every step, wherever it is by then; with batches so small that it is mostly in the middle. */
    @ParameterizedTest
    @ValueSource(ints = {1, 37, 100_000})
    void killedAfterEveryStep(int batchRows) throws InterruptedException {
        var table = "killed_" + batchRows;
        var history = "killed_history_" + batchRows;
        create(postgres, table, history);
        try (var pipe = pipe().table(table)
                .table(history, TableEngine.MergeTree)
                .batchRows(batchRows)
                .start()) {
            int step = 0;
            for (var sql : steps(table, history, batchRows == 1 ? 10 : 200)) {
                postgres.execute(sql);
                // sooner or later, but not by the clock: after so many status questions
                for (int i = 0; i < step * 3; i++) {
                    postgres.query("SELECT count(*) FROM pg_stat_replication");
                }
                pipe.restart();
                step++;
            }
            pipe.awaitEqual(pipe.comparison(table).key("id"));
            pipe.awaitEqual(pipe.comparison(history));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"lost answer", "disconnect", "too many parts"})
    void insertsThatFailAreRepeatedAndNotDoubled(String fault) throws InterruptedException {
        var suffix = fault.replace(' ', '_');
        var table = "t_" + suffix;
        var history = "h_" + suffix;
        create(postgres, table, history);
        try (var pipe = pipe().table(table)
                .table(history, TableEngine.MergeTree)
                .batchRows(50)
                .start()) {
            for (var target : List.of(history, table, history)) {
                CLICKHOUSE.failNext(
                        "INSERT INTO `" + target + "`",
                        switch (fault) {
                            case "lost answer" -> new Fault.LoseAnswer();
                            case "disconnect" -> new Fault.Disconnect();
                            default -> Fault.Refuse.tooManyParts();
                        });
            }
            steps(table, history, 200).forEach(postgres::execute);
            pipe.awaitRetry();
            pipe.awaitEqual(table, history);
        }
    }

    @Test
    void anOffsetThatIsRecordedButNotAcknowledged() throws InterruptedException {
        postgres.execute("CREATE TABLE recorded (id int PRIMARY KEY)", "CREATE TABLE recorded_log (id int)");
        try (var pipe = pipe().table("recorded")
                .table("recorded_log", TableEngine.MergeTree)
                .start()) {
            CLICKHOUSE.failNext("INSERT INTO " + Offsets.TABLE, new Fault.LoseAnswer());
            postgres.transaction("INSERT INTO recorded VALUES (1)", "INSERT INTO recorded_log VALUES (1)");
            pipe.awaitRetry();
            postgres.transaction("INSERT INTO recorded VALUES (2)", "INSERT INTO recorded_log VALUES (2)");
            pipe.awaitEqual("recorded", "recorded_log");
        }
    }

    @Test
    void clickHouseGoesAndComesBack() throws InterruptedException {
        postgres.execute("CREATE TABLE away (id int PRIMARY KEY, v int)", "CREATE TABLE away_log (v int)");
        try (var server = ClickHouseProcess.create()) {
            server.client("default").query("CREATE DATABASE target");
            var target = server.client("target");
            try (var pipe = new TestPipe.Builder(postgres, target)
                    .table("away")
                    .table("away_log", TableEngine.MergeTree)
                    .start()) {
                postgres.execute("INSERT INTO away SELECT i, 0 FROM generate_series(1, 100) i");
                pipe.awaitEqual("away");
                server.kill();
                postgres.execute(
                        "UPDATE away SET v = 1", "INSERT INTO away_log SELECT i FROM generate_series(1, 1000) i");
                pipe.awaitRetry();
                server.start();
                pipe.awaitEqual("away", "away_log");
                postgres.execute("DELETE FROM away WHERE id > 50");
                server.kill();
                server.start();
                pipe.awaitEqual("away", "away_log");
            }
        }
    }

    @ParameterizedTest
    @EnumSource(StopMode.class)
    void postgresGoesAndComesBack(StopMode mode) throws InterruptedException {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var source = server.createDatabase("source");
            var table = "restarted_" + mode.name().toLowerCase();
            create(source, table, table + "_log");
            try (var pipe = new TestPipe.Builder(source, clickHouse)
                    .table(table)
                    .table(table + "_log", TableEngine.MergeTree)
                    .start()) {
                var steps = steps(table, table + "_log", 200);
                steps.subList(0, 5).forEach(source::execute);
                server.stop(mode);
                pipe.awaitRetry();
                server.start();
                steps.subList(5, steps.size()).forEach(source::execute);
                pipe.awaitEqual(table, table + "_log");
            }
        }
    }

    /** A server that shuts down in good order waits for its replication clients; ClickHouse' troubles must not hold it. */
    @Test
    void postgresShutsDownWhileClickHouseIsAway() throws InterruptedException {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
                var destination = ClickHouseProcess.create()) {
            var source = server.createDatabase("source");
            destination.client("default").query("CREATE DATABASE target");
            source.execute("CREATE TABLE held (id int PRIMARY KEY)");
            try (var pipe = new TestPipe.Builder(source, destination.client("target"))
                    .table("held")
                    .start()) {
                source.execute("INSERT INTO held VALUES (1)");
                pipe.awaitEqual("held");
                destination.stop();
                source.execute("INSERT INTO held VALUES (2)");
                server.restart();
                destination.start();
                pipe.awaitEqual("held");
            }
        }
    }

    @Test
    void postgresShutsDownWhileClickHouseTakesItsTime() throws InterruptedException {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var source = server.createDatabase("source");
            source.execute("CREATE TABLE slow (id int PRIMARY KEY)", "CREATE TABLE slow_log (id int)");
            try (var pipe = new TestPipe.Builder(source, clickHouse)
                    .table("slow")
                    .table("slow_log", TableEngine.MergeTree)
                    .start()) {
                clickHouse.query("CREATE TABLE seen (id Int32, n UInt8) ENGINE = MergeTree ORDER BY id");
                clickHouse.query("CREATE MATERIALIZED VIEW slowly TO seen AS"
                        + " SELECT id, sleep(3) + sleep(2.9) + sleep(2.8) + sleep(2.7) AS n FROM slow_log");
                source.transaction("INSERT INTO slow VALUES (1)", "INSERT INTO slow_log VALUES (1)");
                await().until(() -> insertRuns("slow_log"));
                server.stop(StopMode.FAST);
                assertThat(insertRuns("slow_log")).isTrue();
                server.start();
                pipe.awaitEqual("slow", "slow_log");
                pipe.awaitConfirmed();
                assertThat(clickHouse.count("slow_log")).isEqualTo(1);
                clickHouse.query("DROP TABLE slowly SYNC");
            }
        }
    }

    private boolean insertRuns(String table) {
        return !clickHouse
                .query("SELECT query FROM system.processes WHERE query_kind = 'Insert' AND query LIKE '%`" + table
                        + "`%'")
                .isEmpty();
    }

    @Test
    void aDroppedSlotIsFatal() throws InterruptedException {
        postgres.execute("CREATE TABLE dropped (id int PRIMARY KEY)");
        try (var pipe = pipe().table("dropped").start()) {
            postgres.execute("INSERT INTO dropped VALUES (1)");
            pipe.awaitEqual("dropped");
            var slot = pipe.pipe().slot();
            await().ignoreExceptions().until(() -> {
                postgres.rows("SELECT pg_terminate_backend(active_pid), pg_drop_replication_slot(slot_name)"
                        + " FROM pg_replication_slots WHERE slot_name = '" + slot + "'");
                return postgres.rows("SELECT 1 FROM pg_replication_slots WHERE slot_name = '" + slot + "'")
                        .isEmpty();
            });
            var problem = pipe.awaitFatal().problems().getFirst();
            assertThat(problem.reason()).isEqualTo("SlotMissing");
            assertThat(problem.object()).contains(slot);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aSlotThatWasMovedOnOrMadeAgainIsFatal(boolean again) throws InterruptedException {
        var table = "moved_on_" + again;
        postgres.execute("CREATE TABLE " + table + " (id int PRIMARY KEY)");
        try (var pipe = pipe().table(table).start()) {
            postgres.execute("INSERT INTO " + table + " VALUES (1)");
            pipe.awaitEqual(table);
            pipe.stop();
            pipe.awaitSlotFree();
            postgres.execute("INSERT INTO " + table + " VALUES (2)");
            var slot = pipe.pipe().slot();
            if (again) {
                postgres.rows("SELECT pg_drop_replication_slot('" + slot + "')");
                postgres.rows("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')");
            } else {
                postgres.rows("SELECT pg_replication_slot_advance('" + slot + "', pg_current_wal_lsn())");
            }
            pipe.start();
            var problem = pipe.awaitFatal().problems().getFirst();
            assertThat(problem.reason()).isEqualTo("SlotAdvanced");
            assertThat(clickHouse.count('`' + table + '`')).isEqualTo(1);
        }
    }

    /** What max_slot_wal_keep_size takes away from a worker that was gone for too long. */
    @Test
    void anInvalidatedSlotIsFatal() throws InterruptedException {
        try (var server = PostgresServer.create(
                PostgresServer.DEFAULT_VERSION, Map.of("max_slot_wal_keep_size", "1MB", "max_wal_size", "32MB"))) {
            var source = server.createDatabase("source");
            source.execute("CREATE TABLE invalidated (id int PRIMARY KEY, t text)");
            try (var pipe = new TestPipe.Builder(source, clickHouse)
                    .table("invalidated")
                    .start()) {
                source.execute("INSERT INTO invalidated VALUES (1, '')");
                pipe.awaitEqual("invalidated");
                pipe.stop();
                await().atMost(Duration.ofMinutes(2)).until(() -> {
                    source.execute(
                            "INSERT INTO invalidated SELECT coalesce(max(id), 0) + 1 FROM invalidated",
                            "SELECT pg_switch_wal()",
                            "CHECKPOINT");
                    return source.query("SELECT wal_status FROM pg_replication_slots")
                            .equals("lost");
                });
                pipe.start();
                assertThat(pipe.awaitFatal().problems().getFirst().reason()).isEqualTo("SlotInvalidated");
                assertThat(clickHouse.count("invalidated")).isEqualTo(1);
            }
        }
    }

    @Test
    void anotherClusterUnderTheSameAddressIsFatal() throws InterruptedException {
        postgres.execute("CREATE TABLE replaced (id int PRIMARY KEY)");
        try (var pipe = pipe().table("replaced").start()) {
            pipe.stop();
            clickHouse.query("INSERT INTO " + Offsets.TABLE
                    + " SELECT * REPLACE ('7000000000000000001' AS system_identifier, position + 1 AS position) FROM "
                    + Offsets.TABLE + " FINAL WHERE pipe = '" + pipe.pipe().uid() + "'");
            pipe.start();
            assertThat(pipe.awaitFatal().problems().getFirst().reason()).isEqualTo("SourceReplaced");
        }
    }

    @Test
    void aSourceThatWentBackIsFatal() throws InterruptedException {
        postgres.execute("CREATE TABLE restored (id int PRIMARY KEY)");
        try (var pipe = pipe().table("restored").start()) {
            pipe.stop();
            clickHouse.query("INSERT INTO " + Offsets.TABLE
                    + " SELECT * REPLACE ('FFFF/0' AS lsn, position + 1 AS position) FROM " + Offsets.TABLE
                    + " FINAL WHERE pipe = '" + pipe.pipe().uid() + "'");
            pipe.start();
            assertThat(pipe.awaitFatal().problems().getFirst().reason()).isEqualTo("SourceWentBack");
        }
    }

    @Test
    void aStopFinishesTheBatchUnderWay() throws InterruptedException {
        postgres.execute("CREATE TABLE drained (id int PRIMARY KEY)");
        try (var pipe = pipe().table("drained").batchRows(500).start()) {
            postgres.execute("INSERT INTO drained SELECT generate_series(1, 20000)");
            await().until(() -> clickHouse.count("drained") > 0);
            pipe.stop();
            pipe.start();
            pipe.awaitEqual("drained");
            pipe.awaitConfirmed();
            pipe.stop();
            // the stop acknowledged, or there was nothing left: the next worker is not sent anything again
            long rows = clickHouse.count("drained");
            pipe.start();
            postgres.execute("INSERT INTO drained VALUES (100000)");
            pipe.awaitEqual("drained");
            assertThat(clickHouse.count("drained")).isLessThanOrEqualTo(rows + 1);
        }
    }

    @Test
    void idleMeansNoLagAndNoWrites() throws InterruptedException {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var source = server.createDatabase("source");
            source.execute("CREATE TABLE quiet (id int PRIMARY KEY)", "CREATE TABLE elsewhere (id int)");
            try (var pipe =
                    new TestPipe.Builder(source, clickHouse).table("quiet").start()) {
                source.execute("INSERT INTO quiet VALUES (1)");
                pipe.awaitEqual("quiet");
                // WAL of no interest to the pipe does not stay behind the slot
                source.execute("INSERT INTO elsewhere SELECT generate_series(1, 200000)");
                pipe.awaitConfirmed();
                await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> {
                    var replication = pipe.status().replication();
                    assertThat(replication.lagBytes()).isZero();
                    assertThat(replication.confirmedLsn()).isEqualTo(source.query("SELECT pg_current_wal_lsn()"));
                });
                var before = pipe.status().replication();
                assertThat(before.lagSeconds()).isZero();
                assertThat(before.changes()).isEqualTo(1);
                assertThat(before.lastCommitAt()).isNotNull();
                assertThat(before.retainedWalBytes()).isNotNull();
            }
        }
    }
}
