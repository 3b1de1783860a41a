package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;

import dev.clickpipe.scenario.RunShape.Kind;
import java.util.List;

/** Partitioned and inherited tables. */
final class PartitionScenarios {
    private PartitionScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("leaves with other column orders and column numbers")
                        .given(
                                "CREATE TABLE t (id int, part text, dropped int, v int, w text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
                                "ALTER TABLE t DROP dropped",
                                "CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a')",
                                "CREATE TABLE t_b (w text, gone text, v int, part text NOT NULL, id int NOT NULL, PRIMARY KEY (id, part))",
                                "ALTER TABLE t_b DROP gone",
                                "ALTER TABLE t ATTACH PARTITION t_b FOR VALUES IN ('b')")
                        .map("t")
                        .step(
                                "INSERT INTO t (id, part, v, w) SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, i, 'w' || i FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET v = -v WHERE id < 5",
                                "UPDATE t_b SET w = 'leaf' WHERE id = 7",
                                "DELETE FROM t_b WHERE id = 9")
                        .step(
                                "INSERT INTO t_b (id, part, v, w) VALUES (50, 'b', 1, 'direct')",
                                "DELETE FROM t WHERE id IN (2, 3)")
                        .build(),
                scenario("rows that move between partitions")
                        .given(
                                "CREATE TABLE t (id int, part int, v text, PRIMARY KEY (id, part)) PARTITION BY RANGE (part)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
                                "CREATE TABLE t_default PARTITION OF t DEFAULT")
                        .map("t")
                        .step("INSERT INTO t SELECT i, i, 'v' FROM generate_series(1, 25) i")
                        .step(
                                "UPDATE t SET part = part + 10 WHERE id < 5",
                                "UPDATE t SET part = 3, v = 'back' WHERE id > 22")
                        .transaction(
                                "UPDATE t SET part = 15 WHERE id = 6",
                                "UPDATE t SET part = 6 WHERE id = 6",
                                "DELETE FROM t WHERE id = 7",
                                "INSERT INTO t VALUES (7, 12, 'other partition')")
                        .build(),
                scenario("partitions of partitions")
                        .given(
                                "CREATE TABLE t (id int, a int, b int, v text, PRIMARY KEY (id, a, b)) PARTITION BY LIST (a)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1) PARTITION BY LIST (b)",
                                "CREATE TABLE t_1_1 PARTITION OF t_1 FOR VALUES IN (1)",
                                "CREATE TABLE t_1_2 PARTITION OF t_1 FOR VALUES IN (2)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 1 + i % 2, 1 + i % 4 / 2, 'v' FROM generate_series(1, 20) i")
                        .step(
                                "UPDATE t SET b = 3 - b WHERE id < 6",
                                "UPDATE t SET a = 3 - a, b = 1 WHERE id BETWEEN 6 AND 9")
                        .step("DELETE FROM t_1 WHERE id > 15", "TRUNCATE t", "INSERT INTO t VALUES (1, 1, 2, 'x')")
                        .build(),
                scenario("an empty partition added while the table is replicated")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 9) i")
                        .step(
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
                                "INSERT INTO t SELECT i, 'v' FROM generate_series(10, 19) i")
                        .step(
                                "CREATE TABLE t_3 (v text, id int PRIMARY KEY)",
                                "ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM (20) TO (30)",
                                "INSERT INTO t VALUES (25, 'attached')",
                                "UPDATE t SET id = id + 11 WHERE id IN (9, 18)")
                        .build(),
                scenario("a partitioned table with a large value, and a row that moves with it")
                        .given(
                                "CREATE TABLE t (id int, part int, v int, big text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)",
                                "ALTER TABLE t_1 ALTER big SET STORAGE EXTERNAL",
                                "ALTER TABLE t_2 ALTER big SET STORAGE EXTERNAL")
                        .map("t")
                        .step(
                                "INSERT INTO t SELECT i, 1 + i % 2, 0, repeat('x' || i, 2000) FROM generate_series(1, 6) i")
                        .step("UPDATE t SET v = 1", "UPDATE t SET part = 3 - part WHERE id < 3")
                        .step("UPDATE t SET v = 2")
                        .build(),
                scenario("leaves mapped one by one, truncated one by one")
                        .given(
                                "CREATE TABLE t (id int, part int, v text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)")
                        .map("t_1", "t_2")
                        .step("INSERT INTO t SELECT i, 1 + i % 2, 'v' FROM generate_series(1, 10) i")
                        .step("UPDATE t SET part = 3 - part WHERE id < 4", "TRUNCATE t_1")
                        .step("INSERT INTO t VALUES (1, 1, 'again')")
                        .build(),
                scenario("rows that come and go by DDL on partitions are not told by the log")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
                                "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
                                "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
                                "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM (20) TO (30)",
                                "CREATE TABLE filled (id int PRIMARY KEY, v text)",
                                "INSERT INTO filled VALUES (31, 'before it was a partition')")
                        .map("t")
                        // a load reads the table as it is
                        .without(Kind.SNAPSHOT_ONLY, Kind.SPLIT, Kind.LOAD_BESIDE, Kind.RESYNC)
                        .step(
                                "INSERT INTO t SELECT i, 'v' FROM generate_series(1, 29) i",
                                "CREATE TABLE all_rows AS SELECT * FROM t")
                        .step("TRUNCATE t_1", "ALTER TABLE t DETACH PARTITION t_2", "DROP TABLE t_3")
                        .step(
                                "ALTER TABLE t ATTACH PARTITION filled FOR VALUES FROM (30) TO (40)",
                                "INSERT INTO t VALUES (32, 'since')",
                                "UPDATE t_2 SET v = 'no part of it any more'")
                        .expect("t", "SELECT * FROM all_rows UNION ALL VALUES (32, 'since')")
                        .build(),
                scenario("a parent's mapping means its own rows, a child's the child's")
                        .given(
                                "CREATE TABLE parent (id int PRIMARY KEY, v text)",
                                "CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (parent)")
                        .map("parent", "child")
                        .expect("parent", "SELECT * FROM ONLY parent")
                        .step(
                                "INSERT INTO parent VALUES (1, 'p'), (2, 'p')",
                                "INSERT INTO child VALUES (3, 'c', 7), (4, 'c', 8)")
                        .step("UPDATE parent SET v = v || 'x'", "DELETE FROM parent WHERE id IN (2, 4)")
                        .step("TRUNCATE ONLY parent", "INSERT INTO parent VALUES (5, 'after')")
                        .step("TRUNCATE parent")
                        .build());
    }
}
