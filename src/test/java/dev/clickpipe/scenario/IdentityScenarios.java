package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;

import java.util.List;

/** Replica identities: what UPDATE and DELETE say of the row they meet. */
final class IdentityScenarios {
    private IdentityScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("REPLICA IDENTITY FULL with a key")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map("t")
                        .step("INSERT INTO t SELECT i, NULLIF(i % 3, 0)::text, i / 3.0 FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET v = NULL WHERE id < 5",
                                "UPDATE t SET id = id + 100, v = 'm' WHERE id BETWEEN 5 AND 8")
                        .step("DELETE FROM t WHERE id % 2 = 0", "INSERT INTO t VALUES (2, 'again', 1)")
                        .build(),
                scenario("REPLICA IDENTITY USING INDEX beside another primary key")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, part int NOT NULL, v text)",
                                "CREATE UNIQUE INDEX t_code ON t (part, code)",
                                "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'c' || i, i % 3, 'v' FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET v = 'w' WHERE id < 5",
                                "UPDATE t SET id = -id WHERE id < 3",
                                "UPDATE t SET code = 'moved' WHERE id = 10")
                        .step("DELETE FROM t WHERE id IN (10, 11)", "INSERT INTO t VALUES (99, 'c11', 2, 'again')")
                        // In a load without a stream the primary key is the key: the same rows.
                        .build(),
                scenario("REPLICA IDENTITY USING INDEX without a primary key")
                        .given(
                                "CREATE TABLE t (code text NOT NULL, v text)",
                                "CREATE UNIQUE INDEX t_code ON t (code)",
                                "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code")
                        .map("t")
                        .step("INSERT INTO t SELECT 'c' || i, 'v' FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET code = code || 'x' WHERE code LIKE 'c1%'",
                                "DELETE FROM t WHERE code = 'c2'")
                        .build(),
                scenario("a replica identity that is changed while it is replicated")
                        .given("CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v text)")
                        .map("t")
                        .step(
                                "INSERT INTO t SELECT i, i, 'v' FROM generate_series(1, 20) i",
                                "UPDATE t SET v = 'a' WHERE id < 3")
                        .step(
                                "ALTER TABLE t REPLICA IDENTITY FULL",
                                "UPDATE t SET v = 'b' WHERE id < 5",
                                "UPDATE t SET id = id + 100 WHERE id < 3",
                                "DELETE FROM t WHERE id = 5")
                        .step(
                                "ALTER TABLE t REPLICA IDENTITY DEFAULT",
                                "UPDATE t SET id = id - 50 WHERE id > 100",
                                "DELETE FROM t WHERE id = 6")
                        .transaction(
                                "UPDATE t SET v = 'c' WHERE id = 7",
                                "ALTER TABLE t REPLICA IDENTITY FULL",
                                "UPDATE t SET v = 'd', id = 70 WHERE id = 7",
                                "DELETE FROM t WHERE id = 8")
                        .build(),
                scenario("REPLICA IDENTITY FULL without a key: every change is told, equal rows as often as they are")
                        .given("CREATE TABLE t (a int, b text)", "ALTER TABLE t REPLICA IDENTITY FULL")
                        .history("t")
                        .step("INSERT INTO t SELECT i % 2, 'same' FROM generate_series(1, 10) i")
                        .step(
                                "UPDATE t SET b = 'other' WHERE a = 0",
                                "DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1)")
                        .build(),
                scenario("a table without a key goes on taking updates and deletes; its inserts are told")
                        .given("CREATE TABLE t (a int, b text)")
                        .history("t")
                        .step(
                                "INSERT INTO t SELECT i % 2, 'same' FROM generate_series(1, 10) i",
                                "INSERT INTO t VALUES (NULL, NULL)")
                        .step("UPDATE t SET b = 'other' WHERE a = 0", "DELETE FROM t WHERE a = 1")
                        .step(
                                "INSERT INTO t VALUES (1, 'same'), (1, 'same')",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (7, 'last')")
                        .build(),
                scenario("REPLICA IDENTITY NOTHING with a key: as without one")
                        .given("CREATE TABLE t (id int PRIMARY KEY, b text)", "ALTER TABLE t REPLICA IDENTITY NOTHING")
                        .history("t")
                        .step("INSERT INTO t SELECT i, 'first' FROM generate_series(1, 10) i")
                        .step("INSERT INTO t SELECT i, 'second' FROM generate_series(11, 20) i")
                        .build(),
                scenario("two keyless tables and one with a key in one transaction")
                        .given(
                                "CREATE TABLE k (id int PRIMARY KEY, v int)",
                                "CREATE TABLE a (v int)",
                                "CREATE TABLE b (v int)")
                        .map("k")
                        .history("a", "b")
                        .transaction(
                                "INSERT INTO k VALUES (1, 1)",
                                "INSERT INTO a VALUES (1)",
                                "INSERT INTO b VALUES (1)",
                                "UPDATE k SET v = 2")
                        .transaction(
                                "INSERT INTO a VALUES (2)",
                                "UPDATE k SET v = 3",
                                "UPDATE a SET v = 9",
                                "INSERT INTO b VALUES (2)")
                        .build());
    }
}
