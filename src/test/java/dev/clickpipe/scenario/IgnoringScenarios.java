package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;
import static dev.clickpipe.scenario.Scenario.table;

import dev.clickpipe.api.TableEngine;
import java.util.List;

/**
 * Deletes and truncates that are ignored. What is to be in ClickHouse is kept in Postgres by hand, in the table {@code kept}. A load
 * brings what is there, so it comes before anything is taken away: each has two steps.
 */
final class IgnoringScenarios {
    private static final String KEEP =
            "INSERT INTO kept SELECT * FROM t ON CONFLICT (id) DO UPDATE SET v = excluded.v, big = excluded.big";

    private IgnoringScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("deletes that are ignored: the row stays as it was last")
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text, big text)",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL",
                                "CREATE TABLE kept (LIKE t INCLUDING ALL)")
                        .map(table("t").ignoring(true, false))
                        .expect("t", "SELECT * FROM kept")
                        .step("INSERT INTO t SELECT i, 'v', repeat('b' || i, 2000) FROM generate_series(1, 12) i", KEEP)
                        .step(
                                "UPDATE t SET v = 'last' WHERE id < 4",
                                KEEP,
                                "DELETE FROM t WHERE id < 6",
                                // there again, and its large value is the new one
                                "INSERT INTO t VALUES (2, 'again', repeat('c', 3000))",
                                "UPDATE t SET v = 'and again' WHERE id = 2",
                                // an UPDATE of the key leaves nothing behind
                                "UPDATE t SET id = 40, v = 'moved' WHERE id = 8",
                                "DELETE FROM kept WHERE id = 8",
                                KEEP,
                                "BEGIN",
                                "DELETE FROM t WHERE id IN (10, 40)",
                                "INSERT INTO t VALUES (10, 'x', 'small')",
                                "UPDATE t SET id = 5 WHERE id = 12",
                                "DELETE FROM kept WHERE id = 12",
                                KEEP,
                                "DELETE FROM t WHERE id = 5",
                                "COMMIT")
                        .build(),
                scenario("deletes that are ignored are not told in a history, where a key went is")
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map(table("t", TableEngine.MergeTree).ignoring(true, false))
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 12) i")
                        .step(
                                "DELETE FROM t WHERE id < 4",
                                "UPDATE t SET id = id + 100 WHERE id < 6",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (1, 'again')",
                                "DELETE FROM t")
                        .build(),
                scenario("truncates that are ignored: the rows stay, and what comes later counts")
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text, big text)",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL",
                                "CREATE TABLE kept (LIKE t INCLUDING ALL)",
                                "CREATE TABLE u (id int PRIMARY KEY)")
                        .map(table("t").ignoring(false, true))
                        .map("u")
                        .expect("t", "SELECT * FROM kept")
                        .step(
                                "INSERT INTO t SELECT i, 'v', repeat('b', 3000) FROM generate_series(1, 12) i",
                                "INSERT INTO u SELECT generate_series(1, 5)",
                                KEEP)
                        .step(
                                "DELETE FROM t WHERE id = 1",
                                "DELETE FROM kept WHERE id = 1",
                                "TRUNCATE t, u",
                                "BEGIN",
                                "INSERT INTO t VALUES (2, 'new', 'n'), (20, 'new', repeat('c', 3000))",
                                KEEP,
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (20, 'newer', 'small')",
                                KEEP,
                                "COMMIT")
                        .build(),
                scenario("truncates that are ignored are not told in a history")
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map(table("t", TableEngine.MergeTree).ignoring(false, true))
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 12) i")
                        .step("DELETE FROM t WHERE id < 4", "TRUNCATE t", "INSERT INTO t VALUES (1, 'again')")
                        .build(),
                scenario("a row that moves to another partition stays under its old key where deletes are ignored")
                        .without(RunShape.Kind.SNAPSHOT_ONLY)
                        .given(
                                "CREATE TABLE t (id int, part int, v text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)",
                                "CREATE TABLE kept (id int, part int, v text, PRIMARY KEY (id, part))")
                        .map(table("t").ignoring(true, true))
                        .expect("t", "SELECT * FROM kept")
                        .step(
                                "INSERT INTO t SELECT i, 1, 'v' FROM generate_series(1, 6) i",
                                "INSERT INTO kept SELECT * FROM t")
                        .step("UPDATE t SET part = 2 WHERE id < 4", "INSERT INTO kept SELECT * FROM t WHERE part = 2")
                        .build());
    }
}
