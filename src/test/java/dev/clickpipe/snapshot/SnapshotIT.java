package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.math.BigInteger;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Undisturbed loads of all sorts of tables, while their rows change. What disturbs one is in {@link SnapshotFaultsIT}. */
@Timeout(300)
class SnapshotIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    /** Not the common pool, whose few threads the ClickHouse client needs. */
    private static final Executor THREADS = task -> Thread.ofVirtual().start(task);

    @TempDir
    Path directory;

    private LoadedPipe pipe() {
        return new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    @Test
    void loads_tables_of_any_size_in_chunks() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE large (id int PRIMARY KEY, text text)",
                        "INSERT INTO large SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 20000) i",
                        "ANALYZE large",
                        "CREATE TABLE never_analysed (id int PRIMARY KEY, n int) WITH (autovacuum_enabled = false)",
                        "INSERT INTO never_analysed SELECT i, i FROM generate_series(1, 5000) i",
                        "CREATE TABLE nothing (id int PRIMARY KEY)");
        try (var pipe = pipe().table("public", "large", ReplacingMergeTree)
                .table("public", "never_analysed", ReplacingMergeTree)
                .table("public", "nothing", ReplacingMergeTree)) {
            var status = pipe.load().status();
            for (var table : new String[] {"large", "never_analysed", "nothing"}) {
                pipe.compare("public", table).assertEqual();
            }
            assertThat(pipe.ledger("large", "loaded")).hasSizeBetween(15, 25).containsOnly(List.of("true"));
            assertThat(status.load().percent()).isEqualTo(100);
            assertThat(status.load().rows()).isEqualTo(25000);
            assertThat(status.load().bytes()).isEqualTo(status.load().bytesTotal());
            assertThat(status.load().tablesDone()).isEqualTo(3);
            assertThat(status.problem()).isNull();
            assertThat(status.tables()).allMatch(table -> table.loaded() && table.chunksDone() == table.chunksTotal());

            // A load that is done does nothing more, and takes no snapshot for it.
            var lastWritten = "SELECT max(written_at), count() FROM _clickpipe_chunks FINAL";
            var before = CLICKHOUSE.client().query(lastWritten);
            assertThat(pipe.load().status().load().rows()).isEqualTo(25000);
            assertThat(CLICKHOUSE.client().query(lastWritten)).isEqualTo(before);
        }
    }

    @Test
    void append_only_rows_say_what_they_are_and_equal_ones_all_count() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE history (n int, note text)",
                        "INSERT INTO history SELECT 1, 'same' FROM generate_series(1, 20000) i",
                        "ANALYZE history");
        // Replicated tables always drop blocks that look sent twice; plain ones do with this setting.
        try (var pipe = pipe().table("public", "history", MergeTree, "non_replicated_deduplication_window = 1000")) {
            pipe.load();
            assertThat(pipe.ledger("history", "chunk")).hasSizeGreaterThan(3);
            pipe.compare("public", "history").assertEqual();
            var boundary = Lsn.parse(pipe.definition("history").boundary());
            var version = BigInteger.valueOf(boundary.value()).shiftLeft(64).toString();
            assertThat(
                            CLICKHOUSE
                                    .client()
                                    .rows(
                                            "SELECT DISTINCT _clickpipe_operation, _clickpipe_version, abs(dateDiff('minute', _clickpipe_committed_at, now())) < 5 FROM history"))
                    .containsExactly(List.of("snapshot", version, "1"));
        }
    }

    @Test
    void partitions_are_read_one_by_one_with_columns_by_name() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE measures (id int, day date, note text, dropped int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
                        "CREATE TABLE measures_old PARTITION OF measures FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
                        "CREATE TABLE measures_new (note text, gone int, day date NOT NULL, dropped int, id int NOT NULL, PRIMARY KEY (id, day))",
                        "ALTER TABLE measures_new DROP COLUMN gone",
                        "ALTER TABLE measures ATTACH PARTITION measures_new FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
                        "CREATE TABLE measures_rest PARTITION OF measures DEFAULT PARTITION BY LIST (id)",
                        "CREATE TABLE measures_deep PARTITION OF measures_rest DEFAULT",
                        "ALTER TABLE measures DROP COLUMN dropped",
                        "INSERT INTO measures SELECT i, date '2020-01-01' + i % 1000, 'note ' || i FROM generate_series(1, 9000) i",
                        "CREATE TABLE no_partitions (id int PRIMARY KEY) PARTITION BY RANGE (id)");
        try (var pipe = pipe().table("public", "measures", ReplacingMergeTree)
                .table("public", "no_partitions", ReplacingMergeTree)) {
            pipe.load();
            pipe.compare("public", "measures").assertEqual();
            assertThat(pipe.ledger("measures", "DISTINCT relid")).hasSize(3);
            assertThat(CLICKHOUSE.client().count("no_partitions")).isZero();
        }
    }

    @Test
    void a_role_that_may_read_the_root_only_reads_through_it() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE guarded (id int PRIMARY KEY) PARTITION BY RANGE (id)",
                        "CREATE TABLE guarded_1 PARTITION OF guarded FOR VALUES FROM (0) TO (5000)",
                        "CREATE TABLE guarded_2 PARTITION OF guarded FOR VALUES FROM (5000) TO (10000)",
                        "INSERT INTO guarded SELECT generate_series(0, 9999)",
                        "CREATE ROLE guest LOGIN REPLICATION PASSWORD 'guest'",
                        "GRANT SELECT ON guarded TO guest");
        var guest = new dev.clickpipe.testbed.Postgres(
                POSTGRES.client().host(),
                POSTGRES.client().port(),
                "guest",
                "guest",
                POSTGRES.client().database());
        try (var pipe =
                new LoadedPipe(directory, guest, CLICKHOUSE.client()).table("public", "guarded", ReplacingMergeTree)) {
            pipe.load();
            pipe.compare("public", "guarded").assertEqual();
            assertThat(pipe.ledger("guarded", "chunk")).hasSize(1);
        } finally {
            POSTGRES.client().execute("DROP OWNED BY guest", "DROP ROLE guest");
        }
    }

    @Test
    void names_are_quoted_wherever_they_go() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE SCHEMA \"odd \"\"schema\"",
                        "CREATE TABLE \"odd \"\"schema\".\"таблица `%s` 'x' \\n\" (\"the id\" int PRIMARY KEY, \"a\"\"b\" int, \"c`d\" int, \"e'f\" int, \"g\\h\" int, \"100%%\" int, \"значение\" int, \"select\" int, \"UPPER\" int, \"a.b\" int)",
                        "INSERT INTO \"odd \"\"schema\".\"таблица `%s` 'x' \\n\" SELECT i, 1, 2, 3, 4, 5, 6, 7, 8, 9 FROM generate_series(1, 2000) i");
        try (var pipe = pipe().table("odd \"schema", "таблица `%s` 'x' \\n", ReplacingMergeTree)) {
            pipe.load();
            pipe.compare("odd \"\"schema", "таблица `%s` 'x' \\n").assertEqual();
        }
    }

    @Test
    void only_the_own_rows_of_a_table_with_children() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE parent (id int PRIMARY KEY)",
                        "CREATE TABLE child (extra int) INHERITS (parent)",
                        "INSERT INTO parent VALUES (1)",
                        "INSERT INTO child VALUES (2, 2)");
        try (var pipe = pipe().table("public", "parent", ReplacingMergeTree)) {
            pipe.load();
            assertThat(CLICKHOUSE.client().rows("SELECT id FROM parent")).containsExactly(List.of("1"));
        }
    }

    /**
     * Many readers, many chunks, and writers that never stop: the rows read are those of one moment, and the boundary is that
     * moment's. Transfers keep the sum of the accounts; a log says which transactions were seen, and the WAL where they are.
     */
    @Test
    void the_rows_are_those_before_the_boundary_whatever_is_written_meanwhile() throws Exception {
        var postgres = POSTGRES.client();
        postgres.execute(
                "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, filler text) WITH (fillfactor = 50)",
                "INSERT INTO accounts SELECT i, 100, repeat('x', 100) FROM generate_series(1, 10000) i",
                "CREATE TABLE log (id int PRIMARY KEY)",
                "ANALYZE accounts",
                "CREATE PUBLICATION log FOR TABLE log",
                "SELECT pg_create_logical_replication_slot('watch_log', 'pgoutput')");
        try (var pipe = pipe().table("public", "accounts", ReplacingMergeTree).table("public", "log", MergeTree)) {
            var stop = new AtomicBoolean();
            var writers = IntStream.range(0, 3)
                    .mapToObj(writer -> CompletableFuture.runAsync(() -> transfer(writer, stop), THREADS))
                    .toList();
            Awaitility.await().until(() -> postgres.count("log") > 100);
            pipe.load();
            long logged = postgres.count("log");
            Awaitility.await().until(() -> postgres.count("log") > logged + 100);
            stop.set(true);
            for (var writer : writers) {
                writer.get();
            }

            assertThat(pipe.ledger("accounts", "chunk")).hasSizeGreaterThan(8);
            assertThat(CLICKHOUSE.client().query("SELECT count(), sum(balance) FROM accounts FINAL"))
                    .isEqualTo("10000\t1000000");

            var boundary = Lsn.parse(pipe.definition("log").boundary());
            var before = new ArrayList<String>();
            var after = new ArrayList<String>();
            commits().forEach((id, lsn) -> (lsn.compareTo(boundary) < 0 ? before : after).add(id));
            assertThat(before).hasSizeGreaterThan(100);
            assertThat(after).hasSizeGreaterThan(100);
            assertThat(CLICKHOUSE.client().rows("SELECT id FROM log").stream()
                            .map(List::getFirst)
                            .toList())
                    .containsExactlyInAnyOrderElementsOf(before);
        }
    }

    private static void transfer(int writer, AtomicBoolean stop) {
        try (var connection = POSTGRES.client().connect();
                var statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            for (int i = 0; !stop.get(); i++) {
                // In one order, so that writers never deadlock.
                int from = 1 + (i * 7919 + writer * 31) % 9000;
                statement.execute("UPDATE accounts SET balance = balance - 1 WHERE id = " + from);
                statement.execute("UPDATE accounts SET balance = balance + 1 WHERE id = " + (from + 900 + i % 100));
                statement.execute("INSERT INTO log VALUES (" + (i * 3 + writer) + ")");
                connection.commit();
            }
        } catch (SQLException e) {
            if (!"40P01".equals(e.getSQLState())) {
                throw new IllegalStateException(e);
            }
            transfer(writer + 3 * 1_000_000, stop);
        }
    }

    /** Each logged id with the LSN of its commit, from pgoutput's Begin and Insert messages. */
    private static TreeMap<String, Lsn> commits() {
        var commits = new TreeMap<String, Lsn>();
        Lsn commit = Lsn.ZERO;
        for (var row : POSTGRES.client()
                .rows(
                        "SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('watch_log', NULL, NULL, 'proto_version', '1', 'publication_names', 'log')")) {
            var message = HexFormat.of().parseHex(row.getFirst());
            var fields = java.nio.ByteBuffer.wrap(message);
            if (message[0] == 'B') {
                commit = new Lsn(fields.getLong(1));
            } else if (message[0] == 'I') {
                // 'I', relation, 'N', number of columns, 't', length, text
                int length = fields.getInt(9);
                commits.put(new String(message, 13, length), commit);
            }
        }
        return commits;
    }

    @Test
    void says_whom_the_snapshot_waits_for() throws Exception {
        POSTGRES.client().execute("CREATE TABLE waiting (id int PRIMARY KEY)", "INSERT INTO waiting VALUES (1)");
        try (var pipe = pipe().table("public", "waiting", ReplacingMergeTree);
                var writer = POSTGRES.client().connect();
                var statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("SET application_name = 'a long report'");
            statement.execute("INSERT INTO waiting VALUES (2)");
            var snapshot = pipe.snapshot();
            var load = CompletableFuture.runAsync(() -> run(snapshot, new Stop()), THREADS);
            Awaitility.await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> assertThat(
                            snapshot.status().problem())
                    .isNotNull()
                    .extracting(Problem::sentence)
                    .asString()
                    .contains("a long report", "pg_terminate_backend"));
            assertThat(snapshot.status().state()).isNotEqualTo(WorkerStatus.State.Working);
            writer.commit();
            load.get();
            assertThat(snapshot.status().problem()).isNull();
            pipe.compare("public", "waiting").assertEqual();
        }
    }

    @Test
    void stops_while_it_waits() throws Exception {
        POSTGRES.client().execute("CREATE TABLE stopped (id int PRIMARY KEY)");
        try (var pipe = pipe().table("public", "stopped", ReplacingMergeTree);
                var writer = POSTGRES.client().connect();
                var statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("INSERT INTO stopped VALUES (2)");
            var stop = new Stop();
            var snapshot = pipe.snapshot();
            var load = CompletableFuture.runAsync(() -> run(snapshot, stop), THREADS);
            Awaitility.await()
                    .until(() -> POSTGRES.client().count("pg_replication_slots WHERE slot_name LIKE '%load%'") == 1);
            stop.request();
            load.get();
            Awaitility.await()
                    .until(() -> POSTGRES.client().count("pg_replication_slots WHERE slot_name LIKE '%load%'") == 0);
        }
    }

    /** No slot is left to retain WAL, no table stays locked between chunks. */
    @Test
    void the_source_is_left_as_it_was() throws Exception {
        POSTGRES.client().execute("CREATE TABLE quiet (id int PRIMARY KEY)", "INSERT INTO quiet VALUES (1)");
        try (var pipe = pipe().table("public", "quiet", ReplacingMergeTree)) {
            pipe.load();
            Awaitility.await().untilAsserted(() -> {
                assertThat(POSTGRES.client().rows("SELECT slot_name FROM pg_replication_slots WHERE temporary"))
                        .isEmpty();
                assertThat(
                                POSTGRES.client()
                                        .rows(
                                                "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'clickpipe tests/load%'"))
                        .isEmpty();
            });
        }
    }

    @Test
    void without_changes_to_follow_no_slot_is_needed() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE once (id int PRIMARY KEY, t text)",
                        "INSERT INTO once SELECT i, 'x' FROM generate_series(1, 3000) i",
                        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
                        "GRANT SELECT ON once TO reader");
        var reader = new dev.clickpipe.testbed.Postgres(
                POSTGRES.client().host(),
                POSTGRES.client().port(),
                "reader",
                "reader",
                POSTGRES.client().database());
        try (var pipe = new LoadedPipe(directory, reader, CLICKHOUSE.client(), ReplicationMode.SNAPSHOT)
                .table("public", "once", ReplacingMergeTree)) {
            pipe.load();
            pipe.compare("public", "once").assertEqual();
        } finally {
            POSTGRES.client().execute("DROP OWNED BY reader", "DROP ROLE reader");
        }
    }

    @Test
    void without_definitions_it_says_what_to_run_first() {
        try (var pipe = pipe()) {
            assertThatThrownBy(pipe::load).isInstanceOf(PipeException.class).hasMessageContaining("setup");
        }
    }

    private static void run(Snapshot snapshot, Stop stop) {
        try {
            snapshot.run(stop);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
