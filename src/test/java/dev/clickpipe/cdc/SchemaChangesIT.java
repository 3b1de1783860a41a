package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition;
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
                        "ALTER TABLE T ADD c int; INSERT INTO T (id, v, c) VALUES (11, 'after', 7)",
                        "UPDATE T SET v = 'again' WHERE id = 2"),
                scenario(
                        "defaults",
                        "ALTER TABLE T ADD c int DEFAULT 5, ADD d text NOT NULL DEFAULT 'it''s \\ a	tab',"
                                + " ADD e timestamptz DEFAULT now(), ADD f numeric(10,2) DEFAULT 1.5,"
                                + " ADD g text[] DEFAULT '{a,NULL,\"b c\"}', ADD h bool DEFAULT true, ADD i bytea DEFAULT '\\x00ff',"
                                + " ADD j date DEFAULT '1950-01-01', ADD k jsonb DEFAULT '{\"a\": [1, \"x\"]}', ADD l float8 DEFAULT 'NaN'; UPDATE T SET v = 'y' WHERE id = 5",
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
                        "ALTER TABLE T ADD c int; ALTER TABLE T ADD d text; ALTER TABLE T DROP n;"
                                + " ALTER TABLE T RENAME v TO w; ALTER TABLE T RENAME w TO x; ALTER TABLE T ALTER s TYPE bigint;"
                                + " INSERT INTO T (id, x, s, d) VALUES (11, 'after', 5000000000, 'd')",
                        "DELETE FROM T WHERE id = 1"),
                scenario("dropped", "ALTER TABLE T DROP n; UPDATE T SET v = 'x' WHERE id < 4"),
                scenario(
                        "renamed",
                        "ALTER TABLE T RENAME v TO w; INSERT INTO T VALUES (11, 'after', 1)",
                        "ALTER TABLE T RENAME w TO \"odd `name' \\ of it\"; UPDATE T SET n = 8 WHERE id = 2"),
                scenario(
                        "widened",
                        "INSERT INTO T (id, r) VALUES (11, 0.7)",
                        "INSERT INTO T (id, r) VALUES (12, 0.3); ALTER TABLE T ALTER s TYPE int, ALTER r TYPE float8;"
                                + " INSERT INTO T (id, s, r) VALUES (13, 70000, 0.7)",
                        "ALTER TABLE T ALTER s TYPE bigint, ALTER p TYPE text, ALTER q TYPE numeric(20,4), ALTER a TYPE bigint[];"
                                + " INSERT INTO T (id, s, p, q, a) VALUES (14, 7000000000, 'abcdefgh', 1234567.8912, '{7000000000}')"),
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
                "CREATE TYPE mood_" + table + " AS ENUM ('sad', 'ok')",
                "CREATE TABLE " + table + " (id int CONSTRAINT key_" + table
                        + " PRIMARY KEY, v text DEFAULT 'v', n int NOT NULL DEFAULT 0,"
                        + " s smallint DEFAULT 3, r real DEFAULT 0.1, p varchar(5) DEFAULT 'abc',"
                        + " q numeric(6,2) DEFAULT 1.25, a int[] DEFAULT '{1,2}', m mood_" + table + " DEFAULT 'ok')",
                "ALTER TABLE " + table + " ALTER v SET STORAGE EXTERNAL");
    }

    /** Existing rows of which half have a value that is not sent when it does not change. */
    private void fill(String table) {
        postgres.execute(
                "INSERT INTO " + table
                        + " SELECT i, CASE WHEN i % 2 = 0 THEN repeat('x', 4000) || i ELSE 'v' END, i FROM generate_series(1, 10) i");
    }

    /** Also while the target lacks columns, or the source is called otherwise. */
    private void awaitEqual(TestPipe pipe, String table, String... without) {
        pipe.awaitConfirmed(); // cheaper to ask for again and again than whether all rows are the same
        await().atMost(Duration.ofMinutes(1))
                .pollInterval(Duration.ofMillis(50))
                .ignoreExceptionsInstanceOf(ClickHouse.QueryFailed.class)
                .untilAsserted(() -> {
                    assertThat(pipe.definition(table).failure()).isNull();
                    var source =
                            postgres.query("SELECT " + pipe.definition(table).relid() + "::regclass");
                    var names = pipe.definition(table).columns().stream()
                            .map(TableDefinition.Column::name)
                            .filter(name -> !List.of(without).contains(name))
                            .toArray(String[]::new);
                    var comparison = pipe.comparison(source, table);
                    (without.length == 0 ? comparison : comparison.columns(names)).assertEqual();
                });
    }

    private void execute(String step, String table) {
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
                execute(step, table);
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
            scenario.steps().forEach(step -> execute(step, table));
            pipe.start();
            awaitEqual(pipe, table);
            pipe.awaitConfirmed();
            pipe.restart();
            postgres.execute("UPDATE " + table + " SET id = 100 WHERE id = 9");
            awaitEqual(pipe, table);
        }
    }

    static Stream<Scenario> most() {
        var names = List.of("defaults", "between_rows", "widened", "nulls_in_between", "identity");
        return followed().filter(scenario -> names.contains(scenario.name()));
    }

    /** The worker dies after every step, wherever it is by then, with batches of a row. */
    @ParameterizedTest
    @MethodSource("most")
    void killed(Scenario scenario) throws Exception {
        var table = "killed_" + scenario.name();
        create(table);
        try (var pipe = pipe().table(table).batchRows(1).start()) {
            fill(table);
            for (var step : scenario.steps()) {
                execute(step, table);
                pipe.restart();
            }
            awaitEqual(pipe, table);
        }
    }

    /** The target is altered, or what it is now is recorded, and nobody hears of it. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "ADD COLUMN IF",
                "RENAME COLUMN `n`",
                "MODIFY COLUMN `o`",
                "MATERIALIZE COLUMN `d`",
                "REMOVE DEFAULT"
            })
    void cutOff(String statement) throws Exception {
        var table = "cut_" + statement.toLowerCase().replaceAll("[ `]+", "_");
        create(table);
        try (var pipe = pipe().table(table).start()) {
            fill(table);
            awaitEqual(pipe, table);
            CLICKHOUSE.failNext(statement, new Fault.LoseAnswer());
            CLICKHOUSE.failNext(statement, new Fault.Disconnect());
            CLICKHOUSE.failNext("\"followed\":", new Fault.LoseAnswer());
            postgres.transaction(
                    "INSERT INTO " + table + " (id, v) VALUES (11, 'before')",
                    "ALTER TABLE " + table + " ADD c int DEFAULT 5, ADD d text[] DEFAULT '{a}', ALTER n DROP NOT NULL",
                    "ALTER TABLE " + table + " RENAME n TO o",
                    "INSERT INTO " + table + " (id, v, c, d) VALUES (12, 'after', NULL, NULL)");
            pipe.awaitRetry();
            awaitEqual(pipe, table, "d");
            assertThat(clickHouse.rows("SELECT d FROM " + table + " FINAL WHERE id IN (10, 11, 12) ORDER BY id"))
                    .as("NULL is the empty array")
                    .containsExactly(List.of("['a']"), List.of("['a']"), List.of("[]"));
        }
    }

    /** Each change a row, none twice. */
    @Test
    void aHistory() throws Exception {
        postgres.execute("CREATE TABLE history (id int PRIMARY KEY, v text)");
        try (var pipe = pipe().table("history", TableEngine.MergeTree).start()) {
            postgres.transaction(
                    "INSERT INTO history SELECT i, 'x' FROM generate_series(1, 1000) i",
                    "ALTER TABLE history ADD c int DEFAULT 5",
                    "INSERT INTO history SELECT i, 'x', 6 FROM generate_series(1001, 2000) i",
                    "ALTER TABLE history RENAME v TO w",
                    "UPDATE history SET w = 'y' WHERE id <= 500");
            pipe.restart();
            postgres.execute("ALTER TABLE history DROP w", "INSERT INTO history VALUES (2001, 7)");
            pipe.restart();
            pipe.awaitConfirmed();
            // Renamed and dropped at once it may still have its former name.
            var dropped = columns("history").stream()
                    .map(List::getFirst)
                    .filter(name -> name.equals("v") || name.equals("w"))
                    .findFirst()
                    .orElseThrow();
            assertThat(clickHouse.rows("SELECT _clickpipe_operation, " + dropped
                            + ", c, count(), uniqExact(id), uniqExact(_clickpipe_version)"
                            + " FROM history GROUP BY ALL ORDER BY ALL"))
                    .containsExactly(
                            List.of("insert", "x", "5", "1000", "1000", "1000"),
                            List.of("insert", "x", "6", "1000", "1000", "1000"),
                            List.of("insert", "\\N", "7", "1", "1", "1"),
                            List.of("update", "y", "5", "500", "500", "500"));
        }
    }

    /** Its columns are no more than names for what views read. */
    @Test
    void aNullTable() throws Exception {
        postgres.execute("CREATE TABLE nothing (id int PRIMARY KEY, v text, n int)");
        try (var pipe = pipe().table("nothing", TableEngine.Null).start()) {
            clickHouse.query("CREATE TABLE nothing_seen (id Int32, w String) ENGINE = MergeTree ORDER BY id"
                    + " SETTINGS non_replicated_deduplication_window = 100");
            clickHouse.query("CREATE MATERIALIZED VIEW nothing_id TO nothing_seen AS SELECT id FROM nothing");
            postgres.transaction(
                    "INSERT INTO nothing VALUES (1, 'x', 1)",
                    "ALTER TABLE nothing ADD c int NOT NULL DEFAULT 5",
                    "ALTER TABLE nothing RENAME v TO w",
                    "INSERT INTO nothing VALUES (2, 'y', 2, 6)");
            pipe.awaitConfirmed();
            postgres.execute(
                    "ALTER TABLE nothing ALTER n TYPE bigint", "UPDATE nothing SET n = 5000000000 WHERE id = 2");
            pipe.awaitConfirmed();
            assertThat(columns("nothing"))
                    .containsExactly(
                            List.of("id", "Int32"),
                            List.of("w", "Nullable(String)"),
                            List.of("n", "Nullable(Int64)"),
                            List.of("c", "Int32"));
            assertThat(clickHouse.rows("SELECT id FROM nothing_seen ORDER BY id"))
                    .containsExactly(List.of("1"), List.of("2"), List.of("2"));

            clickHouse.query("CREATE MATERIALIZED VIEW nothing_w TO nothing_seen AS SELECT id, w FROM nothing");
            postgres.execute("ALTER TABLE nothing RENAME w TO z", "INSERT INTO nothing VALUES (3, 'z', 3)");
            assertThat(awaitParked(pipe, "nothing").reason()).isEqualTo("TargetNotAltered");
        }
    }

    /** No row comes that would tell. */
    @Test
    void nobodyWrites() throws Exception {
        create("idle");
        try (var pipe = pipe().table("idle").start()) {
            fill("idle");
            awaitEqual(pipe, "idle");
            postgres.execute("ALTER TABLE idle ADD c int DEFAULT 5", "ALTER TABLE idle RENAME v TO w");
            awaitEqual(pipe, "idle");
            assertThat(columns("idle").subList(0, 3))
                    .containsExactly(List.of("id", "Int32"), List.of("w", "Nullable(String)"), List.of("n", "Int32"));
        }
    }

    static Stream<Arguments> refused() {
        return Stream.of(
                Arguments.of("ColumnDefaultUnknown", "ALTER TABLE T ADD c uuid DEFAULT gen_random_uuid()", ""),
                Arguments.of("ColumnDefaultUnknown", "ALTER TABLE T ADD c int GENERATED ALWAYS AS IDENTITY", ""),
                Arguments.of("ColumnTypeChanged", "ALTER TABLE T ALTER q TYPE numeric(20,1)", ""),
                Arguments.of("ColumnNameUsedAgain", "ALTER TABLE T DROP v, ADD v text", ""),
                Arguments.of("ColumnNameUsedAgain", "ALTER TABLE T RENAME v TO w; ALTER TABLE T ADD v text", ""),
                Arguments.of("KeyColumnRenamed", "ALTER TABLE T RENAME id TO key", ""),
                Arguments.of("KeyChanged", "ALTER TABLE T DROP CONSTRAINT key_T, ADD PRIMARY KEY (id, n)", ""),
                Arguments.of("ColumnNameReserved", "ALTER TABLE T ADD _clickpipe_version int", ""),
                Arguments.of("TargetColumnTaken", "ALTER TABLE T ADD c int", "ADD COLUMN c String"),
                Arguments.of("TargetColumnTaken", "ALTER TABLE T ADD c int", "ADD COLUMN c Nullable(Int32) DEFAULT 7"),
                Arguments.of("TargetColumnTaken", "ALTER TABLE T RENAME v TO c", "ADD COLUMN c String"),
                // In ClickHouse a name with a dot is a part of another one.
                Arguments.of("TargetNotAltered", "ALTER TABLE T RENAME v TO \"v.w\"", ""));
    }

    /** It stops that table alone, before a row is lost. */
    @ParameterizedTest
    @MethodSource("refused")
    void refused(String reason, String inPostgres, String inClickHouse) throws Exception {
        var table = "refused_" + Integer.toHexString((inPostgres + inClickHouse).hashCode());
        var other = table + "_beside";
        create(table);
        postgres.execute("CREATE TABLE " + other + " (id int PRIMARY KEY)");
        try (var pipe = pipe().table(table).table(other).start()) {
            fill(table);
            awaitEqual(pipe, table);
            if (!inClickHouse.isEmpty()) {
                clickHouse.query("ALTER TABLE " + table + " " + inClickHouse);
            }
            execute(inPostgres + "; UPDATE T SET s = 4", table);
            postgres.execute("INSERT INTO " + other + " VALUES (1)");
            var problem = awaitParked(pipe, table);
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.remedy()).contains("resync");
            pipe.awaitEqual(other);
            pipe.awaitConfirmed();
            assertThat(pipe.definition(other).failure()).isNull();
        }
    }

    @Test
    void aColumnThatTheUserMadeBefore() throws Exception {
        create("prepared");
        try (var pipe = pipe().table("prepared").start()) {
            fill("prepared");
            awaitEqual(pipe, "prepared");
            clickHouse.query("ALTER TABLE prepared ADD COLUMN c Nullable(Int64) CODEC(ZSTD) FIRST");
            postgres.execute("ALTER TABLE prepared ADD c int", "UPDATE prepared SET c = 7 WHERE id < 5");
            awaitEqual(pipe, "prepared");
            assertThat(columns("prepared").getFirst()).containsExactly("c", "Nullable(Int64)");
        }
    }

    /** Without NULLs a default of the source is one for rows from before, and none for NULLs that come later. */
    @Test
    void withoutNullables() throws Exception {
        postgres.execute("CREATE TABLE never_null (id int PRIMARY KEY, v int)");
        try (var pipe = pipe().table("never_null").nullable(false).start()) {
            postgres.execute("INSERT INTO never_null VALUES (1, 1)");
            pipe.awaitEqual("never_null");
            postgres.execute(
                    "ALTER TABLE never_null ADD c int DEFAULT 5",
                    "INSERT INTO never_null VALUES (2, NULL, NULL), (3, 3, 3)");
            pipe.awaitConfirmed();
            assertThat(clickHouse.rows(
                            "SELECT * EXCEPT (_clickpipe_version, _clickpipe_is_deleted, _clickpipe_synced_at)"
                                    + " FROM never_null FINAL ORDER BY id"))
                    .containsExactly(List.of("1", "1", "5"), List.of("2", "0", "0"), List.of("3", "3", "3"));
        }
    }

    /** What is excluded is told by its number: it stays so under another name, and others under its name. */
    @Test
    void excluded() throws Exception {
        postgres.execute("CREATE TABLE discreet (id int PRIMARY KEY, v text, secret text)");
        try (var pipe = pipe().table("discreet", TableEngine.ReplacingMergeTree, "secret")
                .start()) {
            postgres.execute("INSERT INTO discreet VALUES (1, 'a', 'hidden')");
            pipe.awaitEqual(pipe.comparison("discreet").columns("id", "v"));
            postgres.execute(
                    "ALTER TABLE discreet RENAME secret TO public_name",
                    "INSERT INTO discreet VALUES (2, 'b', 'hidden')",
                    "ALTER TABLE discreet ADD secret text DEFAULT 'hidden', ADD c int DEFAULT 5",
                    "INSERT INTO discreet VALUES (3, 'c', 'hidden', 'hidden', 7)");
            await().ignoreExceptionsInstanceOf(ClickHouse.QueryFailed.class)
                    .untilAsserted(() ->
                            pipe.comparison("discreet").columns("id", "v", "c").assertEqual());
            assertThat(columns("discreet")).extracting(List::getFirst).containsExactly("id", "v", "c");
        }
    }

    /** The root has no default of before, its partitions have; their columns have other numbers. */
    @Test
    void partitions() throws Exception {
        postgres.execute(
                "CREATE TABLE parted (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
                "CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (100)",
                "CREATE TABLE parted_b (gone int, v text, id int NOT NULL)",
                "ALTER TABLE parted_b DROP gone",
                "ALTER TABLE parted ATTACH PARTITION parted_b FOR VALUES FROM (100) TO (200)");
        try (var pipe = pipe().table("parted").start()) {
            postgres.execute("INSERT INTO parted SELECT i, 'x' FROM generate_series(1, 199, 9) i");
            awaitEqual(pipe, "parted");
            postgres.transaction(
                    "ALTER TABLE parted ADD c int DEFAULT 5",
                    "ALTER TABLE parted RENAME v TO w",
                    "UPDATE parted SET id = id + 100 WHERE id < 50",
                    "UPDATE parted SET c = 6 WHERE id % 2 = 0");
            awaitEqual(pipe, "parted");
            postgres.execute(
                    "CREATE TABLE parted_c PARTITION OF parted FOR VALUES FROM (200) TO (300)",
                    "INSERT INTO parted VALUES (250, 'new', 7)");
            awaitEqual(pipe, "parted");
        }
    }

    /** A role that may read nothing but what is replicated; the load reads by ctid, too. */
    @Test
    void columnGrants() throws Exception {
        postgres.execute(
                "CREATE TABLE granted (id int PRIMARY KEY, v text, secret text)",
                "ALTER TABLE granted ALTER v SET STORAGE EXTERNAL",
                "INSERT INTO granted SELECT i, repeat('x', 4000) || i, 'hidden' FROM generate_series(1, 100) i",
                "CREATE PUBLICATION granted_pub FOR TABLE granted",
                "DROP ROLE IF EXISTS granted_reader",
                "CREATE ROLE granted_reader LOGIN REPLICATION PASSWORD 'x'",
                "GRANT SELECT (ctid, id, v) ON granted TO granted_reader");
        var reader = new Postgres(postgres.host(), postgres.port(), "granted_reader", "x", postgres.database());
        assertThatThrownBy(() -> reader.query("SELECT secret FROM granted")).hasMessageContaining("permission denied");
        try (var pipe = new TestPipe.Builder(reader, clickHouse)
                .table("granted", TableEngine.ReplacingMergeTree, "secret")
                .publication("granted_pub")
                .chunkRows(10)
                .loaded()
                .start()) {
            var load = pipe.startLoad();
            load.awaitDone();
            postgres.execute(
                    "ALTER TABLE granted RENAME secret TO open",
                    "ALTER TABLE granted ADD c int DEFAULT 5",
                    "UPDATE granted SET open = 'changed' WHERE id < 50",
                    "INSERT INTO granted VALUES (101, 'after', 'hidden', 7)");
            pipe.awaitEqual(pipe.comparison("granted").columns("id", "v"));
            assertThat(columns("granted")).extracting(List::getFirst).containsExactly("id", "v", "c");
        }
        postgres.execute("DROP OWNED BY granted_reader", "DROP ROLE granted_reader");
    }

    /** The live table and the one built beside it, which were made for different columns. */
    @Test
    void beside() throws Exception {
        create("anew");
        fill("anew");
        try (var pipe = pipe().table("anew").loaded().start()) {
            pipe.startLoad().awaitDone();
            awaitEqual(pipe, "anew");
            postgres.execute("ALTER TABLE anew ADD b int DEFAULT 1", "UPDATE anew SET b = 2 WHERE id = 1");
            awaitEqual(pipe, "anew");
            pipe.rebuild("anew");
            postgres.execute("ALTER TABLE anew ADD c int DEFAULT 3", "ALTER TABLE anew RENAME b TO d");
            postgres.execute("INSERT INTO anew (id, c, d) VALUES (11, 4, 5)");
            await().untilAsserted(
                            () -> assertThat(pipe.definitions()).hasSize(2).allMatch(build -> build.columns().stream()
                                    .anyMatch(column -> column.name().equals("d"))));
            awaitEqual(pipe, "anew");
            pipe.startLoad().awaitDone();
            postgres.execute("ALTER TABLE anew DROP c", "UPDATE anew SET d = 6 WHERE id = 2");
            pipe.awaitSwapped();
            awaitEqual(pipe, "anew");
        }
    }

    /** The columns change again and again while the table is loaded, under an application that never pauses. */
    @ParameterizedTest
    @ValueSource(strings = {"ReplacingMergeTree", "MergeTree"})
    void whileLoading(TableEngine engine) throws Exception {
        var table = "loading_" + engine.name().toLowerCase();
        postgres.execute(
                "CREATE TABLE " + table + " (id int PRIMARY KEY, v text, s smallint, n int NOT NULL)",
                "INSERT INTO " + table + " SELECT i, md5(i::text), i % 1000, i FROM generate_series(1, 20000) i");
        try (var pipe = pipe().table(table, engine)
                .batchRows(500)
                .chunkRows(500)
                .loaded()
                .start()) {
            var load = pipe.startLoad();
            load.awaitRows(1);
            postgres.execute(
                    "ALTER TABLE " + table + " ADD c int DEFAULT 5",
                    "UPDATE " + table + " SET c = 6 WHERE id % 100 = 0",
                    "INSERT INTO " + table + " SELECT i, 'new', 1, 1, 7 FROM generate_series(20001, 20100) i");
            load.awaitRows(3000);
            postgres.execute(
                    "ALTER TABLE " + table + " RENAME v TO w", "UPDATE " + table + " SET w = 'x' WHERE id % 77 = 0");
            load.awaitRows(6000);
            postgres.execute("ALTER TABLE " + table + " DROP c, ALTER n DROP NOT NULL");
            load.awaitRows(9000);
            postgres.execute(
                    "UPDATE " + table + " SET n = NULL WHERE id % 50 = 0",
                    "DELETE FROM " + table + " WHERE id % 99 = 0");
            load.awaitDone();
            if (engine.appendOnly()) {
                pipe.awaitConfirmed();
                pipe.awaitSettled();
                assertThat(clickHouse.query(
                                "SELECT count() = uniqExact(_clickpipe_operation, id, _clickpipe_version) FROM "
                                        + table))
                        .isEqualTo("1");
            } else {
                awaitEqual(pipe, table);
            }
        }
    }

    /** Before any stream has taken the table up, and to where no stream ever comes. */
    @Test
    void beforeTheLoad() throws Exception {
        create("early");
        fill("early");
        try (var pipe = pipe().table("early").loaded().setUp()) {
            postgres.execute("ALTER TABLE early RENAME v TO w", "ALTER TABLE early ADD c int DEFAULT 5");
            var load = pipe.startLoad();
            await().until(() -> load.status().problem() != null);
            assertThat(load.status().problem().reason()).isEqualTo("WaitingForStream");
            pipe.start();
            load.awaitDone();
            awaitEqual(pipe, "early");
        }
    }
}
