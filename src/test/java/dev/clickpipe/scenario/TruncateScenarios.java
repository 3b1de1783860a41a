package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;

import java.util.List;

/** TRUNCATE does in ClickHouse what it did in Postgres, in its place among the rows. */
final class TruncateScenarios {
    private TruncateScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("TRUNCATE alone, and rows after it")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'before' FROM generate_series(1, 20) i")
                        .step("TRUNCATE t")
                        .step(
                                "INSERT INTO t SELECT i, 'after' FROM generate_series(5, 8) i",
                                "UPDATE t SET v = 'changed' WHERE id = 5")
                        .step("TRUNCATE t", "INSERT INTO t VALUES (1, 'last')")
                        .build(),
                scenario("TRUNCATE in a transaction with rows before and after it")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text)",
                                "CREATE TABLE u (id int PRIMARY KEY, v text)")
                        .map("t", "u")
                        .step("INSERT INTO t VALUES (1, 'old'), (2, 'old')", "INSERT INTO u VALUES (1, 'old')")
                        .transaction(
                                "INSERT INTO t VALUES (3, 'gone')",
                                "INSERT INTO u VALUES (3, 'stays')",
                                "UPDATE t SET v = 'gone'",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (1, 'new'), (4, 'new')",
                                "UPDATE u SET v = 'changed'",
                                "UPDATE t SET id = 5 WHERE id = 4")
                        .transaction(
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (9, 'x')",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (9, 'y')")
                        .build(),
                scenario("several tables truncated by one statement")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY)",
                                "CREATE TABLE u (id int PRIMARY KEY)",
                                "CREATE TABLE unmapped (id int PRIMARY KEY)")
                        .map("t", "u")
                        .step(
                                "INSERT INTO t SELECT generate_series(1, 5)",
                                "INSERT INTO u SELECT generate_series(1, 5)")
                        .step("TRUNCATE t, u, unmapped", "INSERT INTO u VALUES (7)")
                        .build(),
                scenario("TRUNCATE CASCADE and RESTART IDENTITY")
                        .given(
                                "CREATE TABLE parent (id serial PRIMARY KEY, v text)",
                                "CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent)")
                        .map("parent", "child")
                        .step(
                                "INSERT INTO parent (v) SELECT 'p' FROM generate_series(1, 5)",
                                "INSERT INTO child (parent) SELECT generate_series(1, 5)")
                        .step("TRUNCATE parent RESTART IDENTITY CASCADE")
                        .step("INSERT INTO parent (v) VALUES ('again')", "INSERT INTO child (parent) VALUES (1)")
                        .build(),
                scenario("TRUNCATE rolled back")
                        .given("CREATE TABLE t (id int PRIMARY KEY)")
                        .map("t")
                        .step("INSERT INTO t SELECT generate_series(1, 5)")
                        .step("BEGIN", "TRUNCATE t", "INSERT INTO t VALUES (9)", "ROLLBACK")
                        .transaction("SAVEPOINT a", "TRUNCATE t", "ROLLBACK TO a", "INSERT INTO t VALUES (6)")
                        .build(),
                scenario("TRUNCATE of a partitioned table")
                        .given(
                                "CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
                                "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (10)",
                                "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (10) TO (MAXVALUE)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'before' FROM generate_series(1, 20) i")
                        .transaction(
                                "INSERT INTO t VALUES (30, 'gone')",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (1, 'after'), (15, 'after')")
                        .build(),
                scenario("TRUNCATE in a history is told in its place")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .history("t")
                        .step("INSERT INTO t SELECT i, 'before' FROM generate_series(1, 5) i")
                        .transaction("UPDATE t SET v = 'changed'", "TRUNCATE t", "INSERT INTO t VALUES (1, 'after')")
                        .step("TRUNCATE t", "INSERT INTO t VALUES (2, 'last')")
                        .build());
    }
}
