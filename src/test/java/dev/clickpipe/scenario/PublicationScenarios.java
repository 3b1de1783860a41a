package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;
import static dev.clickpipe.scenario.Scenario.table;

import java.util.List;

/** Publications of the user's, with row filters and column lists, and generated columns. */
final class PublicationScenarios {
    private PublicationScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("rows that enter a row filter appear, rows that leave it disappear")
                        .since(15)
                        // a load that no stream follows asks no publication
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, big text)",
                                "ALTER TABLE t REPLICA IDENTITY FULL",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
                        .map("t")
                        .published("\"{schema}\".t WHERE (v > 10 AND id <> 7)")
                        .expect("t", "SELECT * FROM t WHERE v > 10 AND id <> 7")
                        .step("INSERT INTO t SELECT i, i, repeat('b', 3000) FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET v = 11 WHERE id < 5",
                                "UPDATE t SET v = 1 WHERE id > 15",
                                "UPDATE t SET v = v + 1")
                        .transaction(
                                "UPDATE t SET v = 0 WHERE id = 12",
                                "UPDATE t SET v = 50 WHERE id = 12",
                                "DELETE FROM t WHERE id = 13",
                                "UPDATE t SET v = 99, id = 7 WHERE id = 14 AND NOT EXISTS (SELECT FROM t WHERE id = 7)")
                        .build(),
                scenario("a row that enters a row filter by its key brings its large value")
                        .since(15)
                        // a load that no stream follows asks no publication
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, big text)",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
                        .map("t")
                        .published("\"{schema}\".t WHERE (id > 10)")
                        .expect("t", "SELECT * FROM t WHERE id > 10")
                        .step("INSERT INTO t SELECT i, i, repeat('b' || i, 2000) FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET id = id + 100 WHERE id < 4",
                                "UPDATE t SET v = 0 WHERE id > 100",
                                "UPDATE t SET id = id - 200 WHERE id IN (101, 15)")
                        .transaction(
                                "UPDATE t SET id = 50 WHERE id = 5",
                                "UPDATE t SET id = 5 WHERE id = 50",
                                "UPDATE t SET id = 60, v = 1 WHERE id = 6",
                                "UPDATE t SET v = 2 WHERE id = 60")
                        .build(),
                scenario("a column list")
                        .since(15)
                        .given("CREATE TABLE t (id int PRIMARY KEY, secret text, v text, w text)")
                        .map(table("t").without("secret"))
                        .published("\"{schema}\".t (id, v, w)")
                        .expect("t", "SELECT id, v, w FROM t")
                        .step("INSERT INTO t SELECT i, 's', 'v', 'w' FROM generate_series(1, 10) i")
                        .step(
                                "UPDATE t SET secret = 'x', v = 'y' WHERE id < 4",
                                "UPDATE t SET secret = 'z'",
                                "DELETE FROM t WHERE id = 5")
                        .build(),
                scenario("a row filter on a partitioned table")
                        .since(15)
                        // a load that no stream follows asks no publication
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int, part int, v int, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)",
                                "CREATE TABLE t_2 (v int, part int NOT NULL, id int NOT NULL, PRIMARY KEY (id, part))",
                                "ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES IN (2)")
                        .map("t")
                        .published("\"{schema}\".t WHERE (id % 2 = 0)")
                        .expect("t", "SELECT * FROM t WHERE id % 2 = 0")
                        .step("INSERT INTO t SELECT i, 1 + i / 2 % 2, i FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET id = id + 101 WHERE id IN (3, 4)",
                                "UPDATE t SET part = 3 - part WHERE id IN (5, 6)")
                        .build(),
                scenario("rows that leave a row filter stay where deletes are ignored")
                        .since(15)
                        // a load brings what passes the filter when it comes
                        .without(
                                RunShape.Kind.SNAPSHOT_ONLY,
                                RunShape.Kind.SPLIT,
                                RunShape.Kind.LOAD_BESIDE,
                                RunShape.Kind.RESYNC)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int)",
                                "ALTER TABLE t REPLICA IDENTITY FULL",
                                "CREATE TABLE kept (LIKE t INCLUDING ALL)")
                        .map(table("t").ignoring(true, false))
                        .published("\"{schema}\".t WHERE (v > 10)")
                        .expect("t", "SELECT * FROM kept")
                        .step(
                                "INSERT INTO t SELECT i, i FROM generate_series(1, 20) i",
                                "INSERT INTO kept SELECT * FROM t WHERE v > 10")
                        .step(
                                "UPDATE t SET v = 1 WHERE id > 15",
                                "UPDATE t SET v = 99 WHERE id = 20",
                                "UPDATE kept SET v = 99 WHERE id = 20")
                        .build(),
                scenario("a history of a user's publication")
                        .since(15)
                        .given("CREATE TABLE t (id int PRIMARY KEY, v int)")
                        .history("t")
                        .published("\"{schema}\".t")
                        .step("INSERT INTO t SELECT i, i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v", "UPDATE t SET id = 50 WHERE id = 3", "DELETE FROM t WHERE id = 9")
                        .build(),
                scenario("stored generated columns that a column list publishes are not replicated either")
                        .since(18)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED, w text)",
                                "ALTER TABLE t ALTER w SET STORAGE EXTERNAL")
                        .map("t")
                        .published("\"{schema}\".t (id, v, twice, w)")
                        .expect("t", "SELECT id, v, w FROM t")
                        .step("INSERT INTO t (id, v, w) SELECT i, i, repeat('w', 3000) FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v WHERE id < 4", "DELETE FROM t WHERE id = 9")
                        .build());
    }

    static List<Scenario> generated() {
        return List.of(
                scenario("stored generated columns are not published, and not replicated")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED, w text)")
                        .map("t")
                        .expect("t", "SELECT id, v, w FROM t")
                        .step("INSERT INTO t (id, v) SELECT i, i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v, w = 'x' WHERE id < 4", "DELETE FROM t WHERE id = 9")
                        .build(),
                scenario("generated columns, under REPLICA IDENTITY FULL")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED, w text)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map("t")
                        .expect("t", "SELECT id, v, w FROM t")
                        .step("INSERT INTO t (id, v) SELECT i, i FROM generate_series(1, 10) i")
                        .step(
                                "UPDATE t SET v = -v, w = 'x' WHERE id < 4",
                                "UPDATE t SET id = id + 100 WHERE id < 3",
                                "DELETE FROM t WHERE id = 9")
                        .build(),
                scenario("virtual generated columns")
                        .since(18)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) VIRTUAL, w text)")
                        .map("t")
                        .expect("t", "SELECT id, v, w FROM t")
                        .step("INSERT INTO t (id, v) SELECT i, i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v, w = 'x' WHERE id < 4", "DELETE FROM t WHERE id = 9")
                        .build());
    }
}
