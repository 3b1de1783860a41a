package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Changes made in Postgres arrive in ClickHouse, on the real engines. */
class CdcIT {
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

    @Test
    void commonTypesThroughInsertUpdateDelete() throws InterruptedException {
        postgres.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s \\ ok', 'happy')", """
                CREATE TABLE types (id bigint PRIMARY KEY, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
                    n numeric(20,5), nn numeric, t text, v varchar(20), c char(5), b bool, d date, ts timestamp,
                    tz timestamptz, u uuid, j json, jb jsonb, by bytea, m mood, ai int[] NOT NULL DEFAULT '{}',
                    at text[] NOT NULL DEFAULT '{}', ats timestamptz[] NOT NULL DEFAULT '{}')""");
        try (var pipe = pipe().table("types").start()) {
            postgres.execute(
                    """
                    INSERT INTO types VALUES (1, 32767, 2147483647, 9223372036854775807, 1.5, 2.25,
                    123456789012345.12345, 1e40, E'tab\\t nl\\n bs\\\\ quote'' nul', 'ümläut', 'ab', true, '2024-02-29',
                    '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+02',
                    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" :  1}', '{"b": [1, 2.50]}', '\\xdeadbeef00', 'happy',
                    '{1,NULL,3}', '{"a,b","c\\"d",NULL,"''"}', '{2024-01-01 00:00:00+00}')""",
                    "INSERT INTO types (id) VALUES (2)",
                    "INSERT INTO types (id, t, f8, b, m) VALUES (3, '', 'NaN', false, 'it''s \\ ok')",
                    "INSERT INTO types SELECT i, i % 100, i, i, i, i, i, i, i::text FROM generate_series(10, 500) i",
                    "UPDATE types SET t = t || 'x', ts = ts + interval '1 us', i2 = -i2 WHERE id IN (1, 3)",
                    "UPDATE types SET t = NULL, ai = '{}' WHERE id = 1",
                    "DELETE FROM types WHERE id BETWEEN 20 AND 40",
                    "UPDATE types SET n = 0.00001, c = '  x' WHERE id = 2");
            pipe.awaitEqual(pipe.comparison("types").key("id"));
            pipe.awaitConfirmed();
        }
    }

    @Test
    void keyChangesLeaveNothingBehind() throws InterruptedException {
        postgres.execute("CREATE TABLE moved (a int, b text, v text, PRIMARY KEY (a, b))");
        try (var pipe = pipe().table("moved").start()) {
            postgres.execute("INSERT INTO moved SELECT i, 'k' || i, 'v' FROM generate_series(1, 10) i");
            postgres.transaction(
                    "UPDATE moved SET a = 100 WHERE a = 1",
                    "UPDATE moved SET b = 'other', v = 'w' WHERE a = 100",
                    "UPDATE moved SET a = 1 WHERE a = 100");
            // a swap, by way of a third key
            postgres.transaction(
                    "UPDATE moved SET a = -1, b = 'k' WHERE a = 2",
                    "UPDATE moved SET a = 2, b = 'k2' WHERE a = 3",
                    "UPDATE moved SET a = 3, b = 'k3' WHERE a = -1");
            postgres.transaction("DELETE FROM moved WHERE a = 5", "INSERT INTO moved VALUES (5, 'k5', 'again')");
            postgres.transaction("INSERT INTO moved VALUES (50, 'x', 'y')", "DELETE FROM moved WHERE a = 50");
            pipe.awaitEqual("moved");
        }
    }

    @Test
    void keylessTablesKeepEveryRow() throws InterruptedException {
        postgres.execute("CREATE TABLE history (v int, note text)");
        try (var pipe = pipe().table("history", TableEngine.MergeTree).start()) {
            postgres.execute(
                    "INSERT INTO history SELECT i % 3, 'same' FROM generate_series(1, 1000) i",
                    // not published, and so not refused
                    "UPDATE history SET note = 'changed' WHERE v = 0", "INSERT INTO history VALUES (7, 'last')");
            pipe.awaitConfirmed();
            assertThat(
                            clickHouse.rows(
                                    "SELECT v, note, count(), any(_clickpipe_operation) FROM history GROUP BY ALL ORDER BY ALL"))
                    .containsExactly(
                            List.of("0", "same", "333", "insert"),
                            List.of("1", "same", "334", "insert"),
                            List.of("2", "same", "333", "insert"),
                            List.of("7", "last", "1", "insert"));
        }
    }

    @Test
    void aHistoryTellsEveryChange() throws InterruptedException {
        postgres.execute("CREATE TABLE told (id int PRIMARY KEY, v text NOT NULL)");
        try (var pipe = pipe().table("told", TableEngine.MergeTree).start()) {
            postgres.execute("INSERT INTO told VALUES (1, 'a'), (2, 'b')");
            postgres.transaction(
                    "UPDATE told SET v = 'c' WHERE id = 1", "DELETE FROM told WHERE id = 2", "UPDATE told SET id = 3");
            postgres.execute("TRUNCATE told");
            pipe.awaitConfirmed();
            assertThat(
                            clickHouse.rows(
                                    "SELECT _clickpipe_operation, _clickpipe_is_deleted, id, v FROM told ORDER BY _clickpipe_version"))
                    .containsExactly(
                            List.of("insert", "0", "1", "a"),
                            List.of("insert", "0", "2", "b"),
                            List.of("update", "0", "1", "c"),
                            List.of("delete", "1", "2", ""),
                            List.of("delete", "1", "1", ""),
                            List.of("update", "0", "3", "c"),
                            List.of("truncate", "1", "0", ""));
            assertThat(clickHouse.query("SELECT countIf(abs(_clickpipe_committed_at - now64(6)) < 3600) FROM told"))
                    .isEqualTo("7");
        }
    }

    @Test
    void transactionsOverTablesAndRollbacks() throws InterruptedException {
        postgres.execute(
                "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)",
                "CREATE TABLE transfer (id bigserial PRIMARY KEY, amount int)",
                "CREATE TABLE unmapped (id int PRIMARY KEY)",
                "INSERT INTO account SELECT i, 100 FROM generate_series(1, 50) i");
        try (var pipe = pipe().table("account").table("transfer").start()) {
            postgres.execute("UPDATE account SET balance = 100"); // no initial load in this mode
            for (int i = 1; i <= 20; i++) {
                postgres.transaction(
                        "UPDATE account SET balance = balance - 7 WHERE id = " + i,
                        "INSERT INTO transfer (amount) VALUES (7)",
                        "INSERT INTO unmapped VALUES (" + i + ")",
                        "SAVEPOINT s",
                        "UPDATE account SET balance = -1000",
                        "INSERT INTO transfer (amount) VALUES (-1)",
                        "ROLLBACK TO s",
                        "UPDATE account SET balance = balance + 7 WHERE id = " + (i + 20));
                postgres.execute("BEGIN; DELETE FROM account; DELETE FROM transfer; ROLLBACK");
            }
            pipe.awaitEqual("account", "transfer");
            assertThat(clickHouse.query("SELECT sum(balance) FROM account FINAL"))
                    .isEqualTo("5000");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 1000})
    void transactionsLargerThanABatch(int batchRows) throws InterruptedException {
        var table = "large_" + batchRows;
        var log = "large_log_" + batchRows;
        postgres.execute(
                "CREATE TABLE " + table + " (id int PRIMARY KEY, v int)", "CREATE TABLE " + log + " (id int, v int)");
        int rows = batchRows * 25;
        try (var pipe = pipe().table(table)
                .table(log, TableEngine.MergeTree)
                .batchRows(batchRows)
                .start()) {
            postgres.transaction(
                    "INSERT INTO " + table + " SELECT i, i FROM generate_series(1, " + rows + ") i",
                    "INSERT INTO " + log + " SELECT i, i FROM generate_series(1, " + rows + ") i",
                    "UPDATE " + table + " SET v = v + 1 WHERE id % 2 = 0",
                    "DELETE FROM " + table + " WHERE id % 3 = 0");
            pipe.awaitEqual(table, log);
        }
    }

    @Test
    void truncateInTheMiddle() throws InterruptedException {
        postgres.execute(
                "CREATE TABLE parent (id int PRIMARY KEY, v int)",
                "CREATE TABLE child (id int PRIMARY KEY REFERENCES parent, v int)");
        try (var pipe = pipe().table("parent").table("child").start()) {
            postgres.execute("INSERT INTO parent SELECT i, i FROM generate_series(1, 100) i");
            postgres.transaction(
                    "INSERT INTO child SELECT i, i FROM generate_series(1, 50) i",
                    "TRUNCATE parent CASCADE",
                    "INSERT INTO parent VALUES (1, -1), (1000, -1)",
                    "TRUNCATE child",
                    "INSERT INTO child VALUES (1, -2)");
            pipe.awaitEqual("parent", "child");
            pipe.awaitConfirmed();
            pipe.restart();
            postgres.execute("INSERT INTO parent VALUES (2, 2)", "TRUNCATE child");
            pipe.awaitEqual("parent", "child");
        }
    }

    @Test
    void excludedAndLaterColumns() throws InterruptedException {
        postgres.execute("CREATE TABLE shaped (id int PRIMARY KEY, secret text, v text, gone text)");
        try (var pipe =
                pipe().table("shaped", TableEngine.ReplacingMergeTree, "secret").start()) {
            postgres.execute("INSERT INTO shaped VALUES (1, 'hidden', 'a', 'x')");
            pipe.awaitEqual(pipe.comparison("shaped").columns("id", "v", "gone"));
            assertThat(pipe.status().tables().getFirst().problem()).isNull();
            postgres.execute(
                    "ALTER TABLE shaped ADD COLUMN more int DEFAULT 5",
                    "ALTER TABLE shaped DROP COLUMN gone",
                    "INSERT INTO shaped VALUES (2, 'hidden', 'b', 7)");
            await().ignoreExceptions()
                    .untilAsserted(() ->
                            pipe.comparison("shaped").columns("id", "v", "more").assertEqual());
            assertThat(clickHouse.rows("SELECT id, gone FROM shaped FINAL ORDER BY id"))
                    .containsExactly(List.of("1", "x"), List.of("2", "\\N"));
            assertThat(pipe.status().tables().getFirst().problem()).isNull();
            postgres.execute(
                    "ALTER TABLE shaped ALTER id TYPE bigint", "INSERT INTO shaped VALUES (3, 'hidden', 'c', 7)");
            var problem = pipe.awaitFatal().problems().getFirst();
            assertThat(problem.reason()).isEqualTo("KeyColumnChanged");
            assertThat(problem.sentence()).contains("public.shaped, column id").contains("Int64", "Int32");
        }
    }

    @Test
    void replicaIdentityFullWithAKey() throws InterruptedException {
        postgres.execute("CREATE TABLE whole (id int PRIMARY KEY, v text)", "ALTER TABLE whole REPLICA IDENTITY FULL");
        try (var pipe = pipe().table("whole").start()) {
            postgres.execute(
                    "INSERT INTO whole SELECT i, repeat(md5(i::text), 500) FROM generate_series(1, 20) i",
                    "UPDATE whole SET v = 'y' WHERE id < 5",
                    "UPDATE whole SET id = id + 1000 WHERE id > 15",
                    "DELETE FROM whole WHERE id IN (1, 10)");
            pipe.awaitEqual("whole");
        }
    }

    @Test
    void partitionsArriveInTheRootsTarget() throws InterruptedException {
        postgres.execute(
                "CREATE TABLE parted (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
                "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
                "CREATE TABLE parted_2 (v text, at date NOT NULL, id int NOT NULL)",
                "ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')");
        try (var pipe = pipe().table("parted").start()) {
            postgres.execute(
                    "INSERT INTO parted SELECT i, date '2024-06-01' + i, 'v' FROM generate_series(1, 400) i",
                    "UPDATE parted SET at = at + 200 WHERE id < 100",
                    "DELETE FROM parted WHERE id % 7 = 0",
                    "CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
                    "INSERT INTO parted VALUES (9999, '2026-05-05', 'new')");
            pipe.awaitEqual("parted");
        }
    }

    @Test
    void otherTablesInThePublicationArePassedOver() throws InterruptedException {
        postgres.execute(
                "CREATE SCHEMA other",
                "CREATE TABLE shown (id int PRIMARY KEY, v text)",
                "CREATE TABLE other.shown (id int PRIMARY KEY, v int)",
                "CREATE TABLE hidden (id int PRIMARY KEY, v text)",
                "CREATE PUBLICATION \"all of 'it\" FOR TABLE shown, hidden, other.shown");
        try (var pipe = pipe().table("shown").publication("all of 'it").start()) {
            for (int i = 0; i < 10; i++) {
                postgres.transaction(
                        "INSERT INTO hidden VALUES (" + i + ", 'x')",
                        "INSERT INTO shown VALUES (" + i + ", 'y')",
                        "INSERT INTO other.shown VALUES (" + i + ", 1)",
                        "UPDATE hidden SET v = 'z'",
                        "UPDATE shown SET v = 'w' WHERE id = " + i,
                        "SELECT pg_logical_emit_message(false, 'other', 'not in the transaction')");
                postgres.execute("DELETE FROM hidden");
            }
            postgres.execute("TRUNCATE hidden", "TRUNCATE other.shown");
            pipe.awaitEqual("shown");
            pipe.awaitConfirmed();
            assertThat(pipe.status().replication().changes()).isEqualTo(20);
        }
    }
}
