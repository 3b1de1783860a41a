package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The source's schema changes while the pipe runs. */
class SchemaChangesIT {
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

    private static Problem awaitParked(TestPipe pipe, String name) {
        return await().atMost(Duration.ofMinutes(2))
                .until(() -> pipe.definition(name).failure(), failure -> failure != null);
    }

    /** A column of the target, by name and type, in their order; without the pipe's own. */
    private List<List<String>> columns(String table) {
        return clickHouse.rows("SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '"
                + table + "' AND NOT startsWith(name, '_clickpipe') ORDER BY position");
    }

    /** The steps of a scenario: each a transaction, its statements apart by semicolons. */
    record Scenario(String name, List<String> steps) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Scenario scenario(String name, String... steps) {
        return new Scenario(name, List.of(steps));
    }

    static Stream<Scenario> followed() {
        return Stream.of(
                scenario(
                        "added",
                        "ALTER TABLE T ADD c int",
                        "INSERT INTO T (id, v, c) VALUES (11, 'after', 7)",
                        "UPDATE T SET v = 'again' WHERE id = 2"),
                scenario(
                        "defaults",
                        "ALTER TABLE T ADD c int DEFAULT 5, ADD d text NOT NULL DEFAULT 'it''s \\ a	tab',"
                                + " ADD e timestamptz DEFAULT now(), ADD f numeric(10,2) DEFAULT 1.5,"
                                + " ADD g text[] DEFAULT '{a,NULL,\"b c\"}', ADD h bool DEFAULT true, ADD i bytea DEFAULT '\\x00ff',"
                                + " ADD j date DEFAULT '1950-01-01', ADD k jsonb DEFAULT '{\"a\": [1, \"x\"]}', ADD l float8 DEFAULT 'NaN'",
                        "ALTER TABLE T ALTER c SET DEFAULT 6, ALTER d DROP DEFAULT",
                        "INSERT INTO T (id, v, d) VALUES (11, 'after', 'd')",
                        "UPDATE T SET c = NULL, g = '{}' WHERE id = 3; UPDATE T SET v = 'x' WHERE id = 4"),
                scenario(
                        "between_rows",
                        "INSERT INTO T VALUES (11, 'before', 1); ALTER TABLE T ADD c int DEFAULT 5;"
                                + " INSERT INTO T VALUES (12, 'between', 2, 3); ALTER TABLE T DROP n;"
                                + " INSERT INTO T VALUES (13, 'between', 4); ALTER TABLE T RENAME v TO w;"
                                + " INSERT INTO T (id, w, c) VALUES (14, 'after', 5)",
                        "UPDATE T SET c = c + 1"),
                scenario(
                        "at_once",
                        "ALTER TABLE T ADD c int DEFAULT 5; ALTER TABLE T ADD d text; ALTER TABLE T DROP n;"
                                + " ALTER TABLE T RENAME v TO w; ALTER TABLE T RENAME w TO x; ALTER TABLE T ALTER c TYPE bigint",
                        "INSERT INTO T (id, x, c, d) VALUES (11, 'after', 5000000000, 'd')",
                        "DELETE FROM T WHERE id = 1"),
                scenario("dropped", "ALTER TABLE T DROP n", "UPDATE T SET v = 'x' WHERE id < 4"),
                scenario(
                        "renamed",
                        "ALTER TABLE T RENAME v TO w",
                        "INSERT INTO T VALUES (11, 'after', 1)",
                        "ALTER TABLE T RENAME w TO \"odd `name' \\ of.it\"",
                        "UPDATE T SET n = 8 WHERE id = 2"),
                scenario(
                        "widened",
                        "ALTER TABLE T ADD s smallint DEFAULT 3, ADD r real DEFAULT 0.1, ADD p varchar(5) DEFAULT 'abc',"
                                + " ADD q numeric(6,2) DEFAULT 1.25, ADD a int[] DEFAULT '{1,2}'",
                        "INSERT INTO T (id, r) VALUES (11, 0.7)",
                        "INSERT INTO T (id, r) VALUES (12, 0.3); ALTER TABLE T ALTER s TYPE int, ALTER r TYPE float8;"
                                + " INSERT INTO T (id, s, r) VALUES (13, 70000, 0.7)",
                        "ALTER TABLE T ALTER s TYPE bigint, ALTER p TYPE text, ALTER q TYPE numeric(20,4), ALTER a TYPE bigint[]",
                        "INSERT INTO T (id, s, p, q, a) VALUES (14, 7000000000, 'abcdefgh', 1234567.8912, '{7000000000}')"),
                scenario(
                        "nulls",
                        "ALTER TABLE T ALTER n DROP NOT NULL",
                        "INSERT INTO T VALUES (11, 'null', NULL)",
                        "UPDATE T SET n = NULL WHERE id = 3"),
                scenario(
                        "nulls_in_between",
                        "ALTER TABLE T ALTER n DROP NOT NULL; INSERT INTO T VALUES (11, 'null', NULL);"
                                + " UPDATE T SET n = 1 WHERE id = 11; ALTER TABLE T ALTER n SET NOT NULL",
                        "INSERT INTO T VALUES (12, 'x', 1)"),
                scenario(
                        "not_null_added",
                        "UPDATE T SET v = 'x'; ALTER TABLE T ALTER v SET NOT NULL",
                        "INSERT INTO T VALUES (11, 'x', 1)"),
                scenario(
                        "enum",
                        "CREATE TYPE mood_T AS ENUM ('sad', 'ok'); ALTER TABLE T ADD m mood_T DEFAULT 'ok'",
                        "UPDATE T SET m = 'sad' WHERE id = 3",
                        "ALTER TYPE mood_T ADD VALUE 'happy'",
                        "INSERT INTO T (id, m) VALUES (11, 'happy')",
                        "ALTER TABLE T ALTER m DROP DEFAULT; ALTER TABLE T ALTER m TYPE text",
                        "INSERT INTO T (id, m) VALUES (12, 'beyond')"),
                scenario(
                        "elsewhere",
                        "CREATE SCHEMA s_T; ALTER TABLE T SET SCHEMA s_T; ALTER TABLE s_T.T ADD c int DEFAULT 1;"
                                + " INSERT INTO s_T.T VALUES (11, 'moved', 1, 2)",
                        "UPDATE s_T.T SET v = 'x' WHERE id = 5; ALTER TABLE s_T.T SET SCHEMA public"),
                scenario(
                        "identity",
                        "CREATE UNIQUE INDEX u_T ON T (id, n); ALTER TABLE T REPLICA IDENTITY USING INDEX u_T",
                        "UPDATE T SET n = n + 1 WHERE id = 2; DELETE FROM T WHERE id = 3; UPDATE T SET id = 33 WHERE id = 4",
                        "ALTER TABLE T REPLICA IDENTITY FULL",
                        "UPDATE T SET n = n + 1 WHERE id = 5; DELETE FROM T WHERE id = 6; UPDATE T SET id = 77 WHERE id = 7",
                        "ALTER TABLE T REPLICA IDENTITY DEFAULT; UPDATE T SET v = v || 'x' WHERE id < 3",
                        "ALTER TABLE T ADD c int; UPDATE T SET c = 3; UPDATE T SET id = 88 WHERE id = 8"));
    }

    private void create(String table) {
        postgres.execute(
                "CREATE TABLE " + table + " (id int PRIMARY KEY, v text DEFAULT 'v', n int NOT NULL DEFAULT 0)",
                "ALTER TABLE " + table + " ALTER v SET STORAGE EXTERNAL");
    }

    /** Existing rows of which half have a value that is not sent when it does not change. */
    private void fill(String table) {
        postgres.execute("INSERT INTO " + table
                + " SELECT i, CASE WHEN i % 2 = 0 THEN repeat('x', 4000) || i ELSE 'v' END, i FROM generate_series(1, 10) i");
    }

    /** Also while the target lacks columns, or the source is called otherwise. */
    private void awaitEqual(TestPipe pipe, String table) {
        await().atMost(Duration.ofMinutes(1))
                .pollInterval(Duration.ofMillis(50))
                .ignoreExceptionsInstanceOf(ClickHouse.QueryFailed.class)
                .untilAsserted(() -> {
                    assertThat(pipe.definition(table).failure()).isNull();
                    var source = postgres.query(
                            "SELECT " + pipe.definition(table).relid() + "::regclass");
                    pipe.comparison(source, table).assertEqual();
                });
    }

    private void execute(Scenario scenario, String step, String table) {
        postgres.transaction(step.replaceAll("\\bT\\b|(?<=_)T\\b", table).split("; ?"));
    }

    /** Alive, step by step, in a table and a history. */
    @ParameterizedTest
    @MethodSource("followed")
    void alive(Scenario scenario) throws Exception {
        var table = "alive_" + scenario.name();
        create(table);
        try (var pipe = pipe().table(table).start()) {
            fill(table);
            awaitEqual(pipe, table);
            for (var step : scenario.steps()) {
                execute(scenario, step, table);
                awaitEqual(pipe, table);
            }
            pipe.awaitConfirmed();
            assertThat(pipe.definition(table).failure()).isNull();
        }
    }

    /** All of it is in the stream before anybody reads it, and the catalogue is ahead. */
    @ParameterizedTest
    @MethodSource("followed")
    void behind(Scenario scenario) throws Exception {
        var table = "behind_" + scenario.name();
        create(table);
        try (var pipe = pipe().table(table).start()) {
            pipe.awaitConfirmed();
            pipe.kill();
            fill(table);
            scenario.steps().forEach(step -> execute(scenario, step, table));
            pipe.start();
            awaitEqual(pipe, table);
            pipe.awaitConfirmed();
            pipe.restart();
            postgres.execute("INSERT INTO " + table + " (id) VALUES (100)");
            awaitEqual(pipe, table);
            assertThat(pipe.definition(table).failure()).isNull();
        }
    }
}
