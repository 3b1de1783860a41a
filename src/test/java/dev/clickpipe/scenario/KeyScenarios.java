package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;
import static dev.clickpipe.scenario.Scenario.table;

import java.util.List;

/** Keys: what makes two rows the same, and how a row is found again when it is changed or deleted. */
final class KeyScenarios {
    private KeyScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("a composite key in an order of its own")
                        .given("CREATE TABLE t (a int, b text, c int, v text, PRIMARY KEY (c, b))")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'k' || i % 7, i / 7, 'v' FROM generate_series(1, 70) i")
                        .step("UPDATE t SET v = 'w' WHERE c < 3", "UPDATE t SET a = -a WHERE b = 'k1'")
                        .step("DELETE FROM t WHERE (c, b) IN ((1, 'k1'), (2, 'k2'))")
                        .build(),
                scenario("keys that are changed")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i")
                        .step("UPDATE t SET id = id + 100 WHERE id <= 5")
                        .step("UPDATE t SET id = id + 100, v = 'moved' WHERE id > 100")
                        .step("UPDATE t SET id = id - 200 WHERE id > 200")
                        .build(),
                scenario("chains of keys in one transaction")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 5) i")
                        .transaction(
                                "UPDATE t SET id = 6 WHERE id = 5",
                                "UPDATE t SET id = 5 WHERE id = 4",
                                "UPDATE t SET id = 4 WHERE id = 3",
                                "UPDATE t SET id = 7 WHERE id = 6",
                                "UPDATE t SET id = 6 WHERE id = 7")
                        .build(),
                scenario("keys swapped by way of a third")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
                        .transaction(
                                "UPDATE t SET id = -1 WHERE id = 1",
                                "UPDATE t SET id = 1 WHERE id = 2",
                                "UPDATE t SET id = 2 WHERE id = -1")
                        .transaction(
                                "UPDATE t SET id = -1 WHERE id = 1",
                                "UPDATE t SET id = 1 WHERE id = 2",
                                "UPDATE t SET id = 2 WHERE id = -1")
                        .build(),
                scenario("keys swapped by one statement, with a deferrable constraint")
                        .given(
                                "CREATE TABLE t (a int, id int NOT NULL, v text, PRIMARY KEY (a) DEFERRABLE INITIALLY DEFERRED)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map("t")
                        .step("INSERT INTO t SELECT i, i, 'v' || i FROM generate_series(1, 6) i")
                        .step("UPDATE t SET a = 7 - a")
                        .transaction(
                                "UPDATE t SET a = CASE a WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE a END",
                                "DELETE FROM t WHERE a = 2")
                        .step("UPDATE t SET a = -a", "UPDATE t SET a = -a - 1")
                        .build(),
                scenario("keys shifted by one statement, row over row")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET id = id + 1")
                        .step("UPDATE t SET id = id - 1, v = v || 'x'")
                        .build(),
                scenario("a key that is used again after a delete")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'first' FROM generate_series(1, 10) i")
                        .transaction("DELETE FROM t WHERE id < 4", "INSERT INTO t VALUES (1, 'second'), (2, 'second')")
                        .step("DELETE FROM t WHERE id = 2", "DELETE FROM t WHERE id > 7")
                        .step("INSERT INTO t VALUES (2, 'third'), (8, 'second')")
                        .transaction(
                                "INSERT INTO t VALUES (50, 'x')",
                                "DELETE FROM t WHERE id = 50",
                                "INSERT INTO t VALUES (50, 'y')",
                                "DELETE FROM t WHERE id = 50")
                        .build(),
                scenario("a sorting key with more columns than the key, under REPLICA IDENTITY FULL")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, region text, day date, v int)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map(table("t").sortedBy("region", "day", "id"))
                        .step(
                                "INSERT INTO t SELECT i, 'r' || i % 3, date '2024-01-01' + i, 0 FROM generate_series(1, 30) i")
                        .step("UPDATE t SET region = 'r9' WHERE id = 1", "UPDATE t SET v = 1 WHERE id < 5")
                        .transaction(
                                "UPDATE t SET day = day + 1, region = 'r8' WHERE id = 2",
                                "DELETE FROM t WHERE id IN (1, 3)")
                        .step("UPDATE t SET region = NULL WHERE id = 4", "UPDATE t SET region = 'back' WHERE id = 4")
                        .step("DELETE FROM t WHERE id IN (2, 4)")
                        .build());
    }
}
