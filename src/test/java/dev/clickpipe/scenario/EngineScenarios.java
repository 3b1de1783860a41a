package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;
import static dev.clickpipe.scenario.Scenario.table;

import dev.clickpipe.api.TableEngine;
import java.util.List;

/** Targets: histories, those that the user made, partitions. */
final class EngineScenarios {
    private static final String SYSTEM =
            "_clickpipe_version UInt128, _clickpipe_is_deleted UInt8, _clickpipe_synced_at DateTime64(9) DEFAULT now64(9)";

    private static final String HISTORY =
            SYSTEM + ", _clickpipe_operation LowCardinality(String), _clickpipe_committed_at DateTime64(6, 'UTC')";

    /** A Null table, and a view that keeps what goes through it. */
    private static String[] seen(String columns) {
        return new String[] {
            "CREATE TABLE t_{n} (" + columns + ", mine DateTime DEFAULT now(), " + HISTORY + ") ENGINE = Null",
            "CREATE TABLE seen_{n} (" + columns + ", " + HISTORY
                    + ") ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000",
            "CREATE MATERIALIZED VIEW view_{n} TO seen_{n} AS SELECT * EXCEPT mine FROM t_{n}"
        };
    }

    private EngineScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("a history tells every change once, in its order")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .history("t")
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 10) i")
                        .transaction(
                                "UPDATE t SET v = 'a'",
                                "UPDATE t SET v = 'b' WHERE id < 4",
                                "DELETE FROM t WHERE id = 1",
                                "INSERT INTO t VALUES (1, 'again')")
                        .step("DELETE FROM t WHERE id > 8", "UPDATE t SET v = 'c' WHERE id = 2")
                        .build(),
                scenario("a history tells where a key went")
                        .given("CREATE TABLE t (a int, b int, v text, PRIMARY KEY (a, b))")
                        .history("t")
                        .step("INSERT INTO t SELECT i, i, 'v' FROM generate_series(1, 6) i")
                        .step("UPDATE t SET b = b + 100 WHERE a < 3", "UPDATE t SET a = -a, v = 'w' WHERE a = 4")
                        .transaction("UPDATE t SET b = 0 WHERE a = 1", "UPDATE t SET a = 9 WHERE a = 1")
                        .build(),
                scenario("a history under REPLICA IDENTITY FULL")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)", "ALTER TABLE t REPLICA IDENTITY FULL")
                        .history("t")
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 6) i")
                        .step(
                                "UPDATE t SET v = 'w' WHERE id < 3",
                                "UPDATE t SET id = -id WHERE id = 4",
                                "DELETE FROM t WHERE id = 5")
                        .build(),
                scenario("a target of the user's with more columns, codecs, TTL and other types that hold the values")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, kind text NOT NULL, v text, n int, at timestamptz NOT NULL DEFAULT now())")
                        .destination(
                                "CREATE TABLE t_{n} (loaded DateTime DEFAULT now(), id Int64 CODEC(Delta, ZSTD), kind LowCardinality(String), v Nullable(String) CODEC(ZSTD(3)),"
                                        + " n Nullable(Int64), at DateTime64(6, 'UTC'), twice Nullable(Int64) MATERIALIZED n * 2, INDEX v_index v TYPE bloom_filter GRANULARITY 1, "
                                        + SYSTEM
                                        + ") ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id TTL loaded + INTERVAL 10 YEAR")
                        .map("t")
                        .step("INSERT INTO t SELECT i, 'k' || i % 2, NULLIF('v', 'v'), i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = 'x', n = NULL WHERE id < 4", "DELETE FROM t WHERE id = 9")
                        .build(),
                scenario("a materialized view behind a target sees what is inserted")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v int)")
                        .destination(
                                "CREATE TABLE t_{n} (id Int32, v Nullable(Int32), " + SYSTEM
                                        + ", _clickpipe_operation LowCardinality(String), _clickpipe_committed_at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY id",
                                "CREATE TABLE seen_{n} (id Int32, v Nullable(Int32), _clickpipe_version UInt128, _clickpipe_is_deleted UInt8) ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id",
                                "CREATE MATERIALIZED VIEW view_{n} TO seen_{n} AS SELECT id, v, _clickpipe_version, _clickpipe_is_deleted FROM t_{n}")
                        .history("t")
                        .step("INSERT INTO t SELECT i, i FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v", "DELETE FROM t WHERE id = 9")
                        .build(),
                scenario("a view behind a Null target sees every change once, in its order")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .destination(seen("id Int32, v Nullable(String)"))
                        .map(table("t", TableEngine.Null).seenIn("seen_{n}"))
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 10) i")
                        .transaction(
                                "UPDATE t SET v = 'a'",
                                "DELETE FROM t WHERE id = 1",
                                "INSERT INTO t VALUES (1, 'again')",
                                "UPDATE t SET id = id + 100 WHERE id > 7")
                        .step(
                                "DELETE FROM t WHERE id > 105",
                                "TRUNCATE t",
                                "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
                                "UPDATE t SET v = NULL WHERE id = 2")
                        .build(),
                scenario("unchanged large values through a Null target")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v int, big text)",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
                        .destination(seen("id Int32, v Nullable(Int32), big Nullable(String)"))
                        .map(table("t", TableEngine.Null).seenIn("seen_{n}"))
                        .step("INSERT INTO t SELECT i, i, repeat('b' || i, 2000) FROM generate_series(1, 10) i")
                        .step("UPDATE t SET v = -v WHERE id < 6", "UPDATE t SET id = id + 100 WHERE id < 3")
                        .step("UPDATE t SET v = 0", "UPDATE t SET big = 'small' WHERE id > 8", "UPDATE t SET v = 1")
                        .build(),
                scenario("PARTITION BY a column of the sorting key that changes leaves one live row")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, day date NOT NULL, v text)",
                                "ALTER TABLE t REPLICA IDENTITY FULL")
                        .map(table("t").sortedBy("id", "day").partitionedBy("toYYYYMM(day)"))
                        .step("INSERT INTO t SELECT i, date '2024-01-15' + i * 10, 'v' FROM generate_series(1, 10) i")
                        .step("UPDATE t SET day = day + 40 WHERE id < 6", "UPDATE t SET v = 'w' WHERE id = 1")
                        .step("UPDATE t SET day = day - 100", "DELETE FROM t WHERE id = 2")
                        .build(),
                scenario("PARTITION BY the key")
                        .given("CREATE TABLE t (id int PRIMARY KEY, v text)")
                        .map(table("t").partitionedBy("intDiv(id, 10)"))
                        .step("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 40) i")
                        .step(
                                "UPDATE t SET id = id + 5 WHERE id > 36",
                                "UPDATE t SET v = 'w' WHERE id < 12",
                                "DELETE FROM t WHERE id = 20")
                        .step("TRUNCATE t", "INSERT INTO t VALUES (1, 'x'), (11, 'y')")
                        .build(),
                scenario("columns left out, one of them large")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, secret text, big text, v text)",
                                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
                        .map(table("t").without("secret", "big"))
                        .expect("t", "SELECT id, v FROM t")
                        .step("INSERT INTO t SELECT i, 's', repeat('b', 3000), 'v' FROM generate_series(1, 5) i")
                        .step("UPDATE t SET v = 'w', secret = 'x'", "UPDATE t SET id = -id WHERE id < 3")
                        .build());
    }
}
