package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;

import java.util.List;

/** Large values that an UPDATE leaves alone: Postgres does not send them. */
final class ToastScenarios {
    private static final String BIG = "repeat(E'x\\ty\\n\\\\z''ü', 400)";
    private static final String TABLE =
            "CREATE TABLE t (id int PRIMARY KEY, v int, big text, list text[] NOT NULL DEFAULT '{}')";
    /** Out of line whatever its length compresses to. */
    private static final String EXTERNAL =
            "ALTER TABLE t ALTER big SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL";

    private static final String FILL =
            "INSERT INTO t SELECT i, 0, " + BIG + " || i, ARRAY[" + BIG + ", NULL] FROM generate_series(1, 6) i";

    private ToastScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("an unchanged large value that came in the same transaction, an earlier one, or by the load")
                        .given(TABLE, EXTERNAL)
                        .map("t")
                        .transaction(FILL, "UPDATE t SET v = 1", "UPDATE t SET v = 2 WHERE id < 5")
                        .step("UPDATE t SET v = 3 WHERE id < 8")
                        .step("UPDATE t SET v = v + 1")
                        .build(),
                scenario("an unchanged large value while the key changes")
                        .given(TABLE, EXTERNAL)
                        .map("t")
                        .step(FILL)
                        .step(
                                "UPDATE t SET id = id + 100 WHERE id < 4",
                                "UPDATE t SET id = id + 100, v = 1 WHERE id > 100")
                        .transaction(
                                "UPDATE t SET id = -1 WHERE id = 5",
                                "UPDATE t SET id = 5 WHERE id = 6",
                                "UPDATE t SET id = 6 WHERE id = -1",
                                "UPDATE t SET v = 9 WHERE id IN (5, 6)")
                        .step("UPDATE t SET id = id - 200 WHERE id > 200", "UPDATE t SET v = 10")
                        .build(),
                scenario("a large value that becomes NULL, small, and large again")
                        .given(TABLE, EXTERNAL)
                        .map("t")
                        .step(FILL)
                        .step("UPDATE t SET big = NULL WHERE id < 4", "UPDATE t SET v = 1")
                        .transaction(
                                "UPDATE t SET big = 'small' WHERE id < 3",
                                "UPDATE t SET v = 2",
                                "UPDATE t SET big = " + BIG + " || 'new' WHERE id = 1",
                                "UPDATE t SET v = 3")
                        .step("UPDATE t SET list = '{}' WHERE id > 5", "UPDATE t SET v = 4")
                        .build(),
                scenario("a row with a large value that is deleted and made again under its key")
                        .given(TABLE, EXTERNAL)
                        .map("t")
                        .step(FILL)
                        .transaction(
                                "DELETE FROM t WHERE id < 4",
                                "INSERT INTO t VALUES (1, 5, " + BIG + " || 'again', '{}'), (2, 5, NULL, '{}')",
                                "UPDATE t SET v = 6 WHERE id < 4")
                        .step(
                                "DELETE FROM t WHERE id = 5",
                                "INSERT INTO t VALUES (5, 0, " + BIG + " || 'second', '{}')",
                                "UPDATE t SET v = 7 WHERE id = 5")
                        .step("UPDATE t SET v = v + 1")
                        .build(),
                scenario("a large value beside a truncation")
                        .given(TABLE, EXTERNAL)
                        .map("t")
                        .step(FILL)
                        .transaction(
                                "UPDATE t SET v = 1",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (1, 2, " + BIG + " || 'after', '{}')",
                                "UPDATE t SET v = 3")
                        .step("UPDATE t SET v = 4")
                        .build(),
                scenario("a large value under REPLICA IDENTITY FULL")
                        .given(TABLE, EXTERNAL, "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map("t")
                        .step(FILL)
                        .step("UPDATE t SET v = 1", "UPDATE t SET id = -id WHERE id < 4")
                        .build(),
                scenario("a large value in a table whose key moves from row to row")
                        .given(TABLE + "", EXTERNAL)
                        .map("t")
                        .step(FILL)
                        .transaction(
                                "DELETE FROM t WHERE id = 1",
                                "UPDATE t SET id = 1 WHERE id = 2",
                                "UPDATE t SET id = 2 WHERE id = 3",
                                "UPDATE t SET v = 1 WHERE id IN (1, 2)")
                        .transaction(
                                "UPDATE t SET id = 3 WHERE id = 1",
                                "UPDATE t SET v = 2 WHERE id = 3",
                                "INSERT INTO t VALUES (1, 0, 'small', '{}')",
                                "UPDATE t SET v = 3 WHERE id = 1")
                        .build(),
                scenario("unchanged large values in a history")
                        .given(TABLE, EXTERNAL)
                        .history("t")
                        .step(FILL)
                        .transaction(
                                "UPDATE t SET v = 1", "UPDATE t SET id = id + 100 WHERE id < 3", "UPDATE t SET v = 2")
                        .step("UPDATE t SET v = 3", "UPDATE t SET big = 'small' WHERE id = 5", "UPDATE t SET v = 4")
                        .build(),
                scenario("a large value as part of the key")
                        .given(
                                "CREATE TABLE t (k text PRIMARY KEY, v int, big text)",
                                "ALTER TABLE t ALTER k SET STORAGE EXTERNAL, ALTER big SET STORAGE EXTERNAL")
                        .map("t")
                        .step("INSERT INTO t SELECT left(repeat('k' || i, 1200), 2500), 0, " + BIG
                                + " FROM generate_series(1, 9) i")
                        .step("UPDATE t SET v = 1", "UPDATE t SET k = 'short' WHERE k LIKE 'k7%'")
                        .step("DELETE FROM t WHERE k LIKE 'k8%'", "UPDATE t SET v = 2")
                        .build());
    }
}
