package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.postgres.Chunk;
import dev.clickpipe.postgres.ChunkPlanner;
import dev.clickpipe.postgres.ChunkReader.Outcome;
import dev.clickpipe.postgres.SnapshotSession;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What the load relies on in Postgres, in each version. */
@Timeout(300)
class SnapshotVersionsIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    static final List<Integer> VERSIONS = PostgresServer.VERSIONS;

    @TempDir
    Path directory;

    @ParameterizedTest
    @FieldSource("VERSIONS")
    void loads_and_relies_on_what_is_true(int version) throws Exception {
        try (var server = PostgresServer.create(version)) {
            var postgres = server.createDatabase("source");
            var partitioned = "parts_" + version;
            var plain = "plain_" + version;
            postgres.execute(
                    "CREATE TABLE " + partitioned + " (id int PRIMARY KEY, t text) PARTITION BY RANGE (id)",
                    "CREATE TABLE low PARTITION OF " + partitioned + " FOR VALUES FROM (0) TO (3000)",
                    "CREATE TABLE high PARTITION OF " + partitioned + " DEFAULT",
                    "INSERT INTO " + partitioned + " SELECT i, 'x' FROM generate_series(1, 6000) i",
                    "CREATE TABLE " + plain + " (id int, at timestamptz, n numeric(8,3), a text[])",
                    "INSERT INTO " + plain
                            + " SELECT i, '2024-01-01'::timestamptz + i * interval '1.5 s', i / 7.0, ARRAY['a', NULL] FROM generate_series(1, 5000) i");
            try (var pipe = new LoadedPipe(directory, postgres, CLICKHOUSE.client())
                    .table("public", partitioned, ReplacingMergeTree)
                    .table("public", plain, MergeTree)) {
                pipe.load();
                pipe.compare("public", partitioned).assertEqual();
                pipe.compare("public", plain).assertEqual();
                sessions(pipe, postgres);
                keyRanges(pipe, postgres);
            }
        }
    }

    private static void sessions(LoadedPipe pipe, Postgres postgres) throws Exception {
        postgres.execute(
                "CREATE TABLE t (id int)",
                "INSERT INTO t SELECT generate_series(1, 10)",
                "CREATE TABLE rewritten (id int)",
                "INSERT INTO rewritten VALUES (1)",
                "CREATE TABLE emptied (id int)",
                "INSERT INTO emptied VALUES (1)",
                "CREATE TABLE dropped (id int)");
        SnapshotSession closed;
        try (var session = pipe.session();
                var connection = pipe.source.connect("test")) {
            closed = session;
            var chunks = new ArrayList<Chunk>();
            for (var table : List.of("t", "rewritten", "dropped")) {
                chunks.addAll(ChunkPlanner.plan(connection, relid(postgres, table), 1000));
            }
            assertThat(chunks).hasSize(3);

            // A chunk's condition reads its blocks alone (since Postgres 14).
            assertThat(postgres.query(
                            "EXPLAIN SELECT id FROM ONLY t WHERE ctid >= '(0,0)'::tid AND ctid < '(16,0)'::tid"))
                    .contains("Tid Range Scan");

            // The slot is gone, and with it what it retains; the snapshot stays, also for readers to come.
            assertThat(postgres.rows("SELECT slot_name FROM pg_replication_slots"))
                    .isEmpty();
            postgres.execute("INSERT INTO t VALUES (11)", "DELETE FROM t WHERE id = 1");
            assertThat(read(session, chunks.get(0))).isEqualTo("READ 1 2 3 4 5 6 7 8 9 10");
            assertThat(read(session, chunks.get(0))).isEqualTo("READ 1 2 3 4 5 6 7 8 9 10");

            // DDL waits for one chunk at most, and rows that it moved are not taken for others.
            postgres.execute(
                    "SET lock_timeout = '5s'",
                    "VACUUM FULL rewritten",
                    "ALTER TABLE t ADD COLUMN more int DEFAULT 1",
                    "TRUNCATE emptied",
                    "INSERT INTO emptied VALUES (2)",
                    "DROP TABLE dropped");
            assertThat(read(session, chunks.get(0))).startsWith("READ 1 2");
            assertThat(read(session, chunks.get(1))).isEqualTo("REWRITTEN");
            assertThat(read(session, chunks.get(2))).isEqualTo("DROPPED");
            // Planned after the rewrite, but the snapshot is older: to it the table would look empty.
            var emptied = ChunkPlanner.plan(connection, relid(postgres, "emptied"), 1000);
            assertThat(read(session, emptied.getFirst())).isEqualTo("REWRITTEN");
            assertThat(ChunkPlanner.stillValid(connection, List.of(chunks.get(0), chunks.get(2))))
                    .isTrue();
            assertThat(ChunkPlanner.stillValid(connection, chunks)).isFalse();
            assertThat(session.alive()).isTrue();
        }
        assertThat(closed.alive()).isFalse();
        assertThatThrownBy(() -> read(closed, new Chunk(relid(postgres, "t"), 0, 0, Chunk.END, 0)))
                .isInstanceOfSatisfying(PipeException.class, e -> {
                    assertThat(e.retryable()).isTrue();
                    assertThat(e.problems().getFirst().reason()).isEqualTo("SnapshotGone");
                });
    }

    /** Every row is in one chunk, whatever its key, and whatever is written after the chunks were planned. */
    private static void keyRanges(LoadedPipe pipe, Postgres postgres) throws Exception {
        var keys = Map.of(
                "bigint", List.of("i - 2500", "-9223372036854775808", "9223372036854775807"),
                "uuid",
                        List.of(
                                "md5(i::text)::uuid",
                                "'00000000-0000-0000-0000-000000000000'",
                                "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
                "text", List.of("chr(32 + i % 95) || i || E'\\\\\\''", "''", "E'\\U0010FFFF'"),
                "timestamptz", List.of("'2000-01-01'::timestamptz + i * interval '1 day'", "'-infinity'", "'infinity'"),
                "numeric", List.of("sqrt(i::numeric)", "'-1e100'", "'NaN'"),
                "bool", List.of("i % 2 = 0", "false", "true"));
        postgres.execute("CREATE TABLE keys_of_none (id int, k int)");
        for (var type : keys.entrySet()) {
            var table = "keys_" + type.getKey();
            var values = type.getValue();
            postgres.execute(
                    "CREATE TABLE " + table + " (id int, k " + type.getKey() + ")",
                    "INSERT INTO " + table + " SELECT i, CASE WHEN i % 40 > 0 THEN " + values.getFirst()
                            + " END FROM generate_series(1, 5000) i",
                    "ANALYZE " + table);
            List<Chunk> chunks;
            try (var connection = pipe.source.connect("test")) {
                chunks = ChunkPlanner.plan(connection, relid(postgres, table), 500, "k");
                assertThat(ChunkPlanner.plan(connection, relid(postgres, "keys_of_none"), 500, "k"))
                        .hasSize(1);
            }
            assertThat(chunks).as(table).hasSizeGreaterThan(type.getKey().equals("bool") ? 2 : 8);
            for (var beyond : values.subList(1, 3)) {
                postgres.execute("INSERT INTO " + table + " VALUES (9999, " + beyond + ")");
            }
            var read = new ArrayList<String>();
            try (var session = pipe.session()) {
                for (var chunk : chunks) {
                    var rows = read(session, chunk).split(" ");
                    assertThat(rows[0]).isEqualTo("READ");
                    read.addAll(List.of(rows).subList(1, rows.length));
                }
            }
            assertThat(read)
                    .as(table)
                    .containsExactlyInAnyOrderElementsOf(postgres.rows("SELECT id FROM " + table).stream()
                            .map(List::getFirst)
                            .toList());
        }
    }

    private static long relid(Postgres postgres, String table) {
        return Long.parseLong(postgres.query("SELECT '" + table + "'::regclass::oid"));
    }

    private static String read(SnapshotSession session, Chunk chunk) throws SQLException {
        var ids = new ArrayList<String>();
        try (var reader = session.openReader()) {
            Outcome outcome = reader.read(chunk, "t", List.of("id"), null, connection -> true, rows -> {
                for (byte[] row = rows.next(); row != null; row = rows.next()) {
                    ids.add(new String(row, StandardCharsets.UTF_8).strip());
                }
            });
            return (outcome + " " + String.join(" ", ids)).strip();
        }
    }
}
