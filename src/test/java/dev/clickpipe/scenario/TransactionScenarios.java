package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;

import java.util.List;

/** What did not commit leaves no trace; what did, is there once. */
final class TransactionScenarios {
    private TransactionScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("rolled back, and rolled back in part")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step(
                                "INSERT INTO t VALUES (1, 'a')",
                                "BEGIN",
                                "INSERT INTO t VALUES (2, 'never')",
                                "UPDATE t SET v = 'never'",
                                "ROLLBACK")
                        .transaction(
                                "INSERT INTO t VALUES (3, 'c')",
                                "SAVEPOINT one",
                                "UPDATE t SET v = 'never'",
                                "SAVEPOINT two",
                                "DELETE FROM t",
                                "ROLLBACK TO two",
                                "UPDATE t SET id = id + 100",
                                "ROLLBACK TO one",
                                "UPDATE t SET v = v || '!' WHERE id = 3",
                                "SAVEPOINT three",
                                "INSERT INTO t VALUES (4, 'd')",
                                "RELEASE three")
                        .build(),
                scenario("prepared, and then committed or rolled back")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
                        .step(
                                "BEGIN",
                                "UPDATE t SET v = 'prepared' WHERE id = 1",
                                "INSERT INTO t VALUES (3, 'prepared')",
                                "PREPARE TRANSACTION '{schema} one'",
                                "UPDATE t SET v = 'meanwhile' WHERE id = 2",
                                "COMMIT PREPARED '{schema} one'")
                        .step(
                                "BEGIN",
                                "DELETE FROM t",
                                "PREPARE TRANSACTION '{schema} two'",
                                "INSERT INTO t VALUES (4, 'meanwhile')",
                                "ROLLBACK PREPARED '{schema} two'")
                        .build(),
                scenario("one transaction over several tables, larger than a batch, in a history too")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int)",
                                "CREATE TABLE h (id int PRIMARY KEY, v int)")
                        .map("t")
                        .history("h")
                        .transaction(
                                "INSERT INTO t SELECT i, 0 FROM generate_series(1, 40) i",
                                "INSERT INTO h SELECT i, 0 FROM generate_series(1, 40) i",
                                "UPDATE t SET v = 1",
                                "UPDATE h SET v = 1")
                        .transaction(
                                "DELETE FROM t WHERE id > 20",
                                "UPDATE h SET id = id + 100 WHERE id < 5",
                                "DELETE FROM h WHERE id BETWEEN 5 AND 9",
                                "INSERT INTO t VALUES (100, 2)")
                        .build(),
                scenario("many statements of all kinds")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text, n int)")
                        .map("t")
                        .step("COPY t FROM STDIN\n1\tcopied\t1\n2\t\\N\t\\N\n3\ttab\\\\t\t3\n")
                        .step(
                                "INSERT INTO t VALUES (2, 'upserted', 2), (4, 'd', 4) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
                                "INSERT INTO t VALUES (1, 'no', 1) ON CONFLICT DO NOTHING")
                        .step(
                                "WITH gone AS (DELETE FROM t WHERE id = 3 RETURNING *) INSERT INTO t SELECT id + 10, v, n FROM gone",
                                "UPDATE t SET n = s.n + 1 FROM (SELECT id, n FROM t) s WHERE s.id = t.id")
                        .build());
    }
}
