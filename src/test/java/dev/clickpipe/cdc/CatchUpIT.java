package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.postgres.ChangeSource;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage.Commit;
import dev.clickpipe.postgres.ReplicationStream;
import dev.clickpipe.postgres.SlotPeeks;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** A backlog is read through SQL, as exactly as by the stream, and handed over to it. */
class CatchUpIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void clients() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
    }

    /** Transactions that overlap, of all kinds of changes, and a worker that dies again and again. */
    @Test
    void aBacklogIsExactWhereverTheWorkerDies() throws Exception {
        postgres.execute(
                "CREATE TABLE behind (id int PRIMARY KEY, v int, big text)",
                "ALTER TABLE behind ALTER big SET STORAGE EXTERNAL",
                "CREATE TABLE behind_log (id int, v int)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("behind")
                .table("behind_log", TableEngine.MergeTree)
                .batchRows(300)
                .catchUp(TestPipe.ALWAYS_CATCHING_UP)
                .setUp()) {
            clickHouse.query("CREATE TABLE behind_sums (id Int32, n UInt64, v Int64) ENGINE = SummingMergeTree"
                    + " ORDER BY id SETTINGS non_replicated_deduplication_window = 10000");
            clickHouse.query("CREATE MATERIALIZED VIEW behind_view TO behind_sums AS"
                    + " SELECT id, toUInt64(1) AS n, toInt64(v) AS v FROM behind_log");
            writeBacklog();
            pipe.start();
            for (int i = 0; i < 5; i++) {
                for (int wait = 0; wait < i * 10; wait++) {
                    postgres.query("SELECT count(*) FROM pg_stat_activity");
                }
                pipe.restart();
            }
            pipe.awaitConfirmed();
            pipe.comparison("behind").assertEqual();
            var expected = postgres.query("SELECT count(*) || ' ' || sum(v) FROM behind_log");
            assertThat(clickHouse.query("SELECT toString(count()) || ' ' || toString(sum(v)) FROM behind_log"))
                    .isEqualTo(expected);
            assertThat(clickHouse.query("SELECT toString(sum(n)) || ' ' || toString(sum(v)) FROM behind_sums"))
                    .isEqualTo(expected);
            assertThat(readers()).as("no stream").isEqualTo("0");
        }
    }

    private void writeBacklog() throws SQLException {
        try (var one = postgres.connect();
                var other = postgres.connect();
                var first = one.createStatement();
                var second = other.createStatement()) {
            one.setAutoCommit(false);
            other.setAutoCommit(false);
            for (int i = 0; i < 20; i++) {
                int base = i * 1000;
                first.execute("INSERT INTO behind SELECT " + base + " + g, g, repeat('long', 800)"
                        + " FROM generate_series(1, 40) g");
                second.execute("INSERT INTO behind_log SELECT g, " + i + " FROM generate_series(1, 200) g");
                first.execute("UPDATE behind SET v = v + 1 WHERE id % 7 = " + i % 7);
                second.execute("INSERT INTO behind VALUES (" + (base + 500) + ", 1, 'other')");
                first.execute("UPDATE behind SET id = id + 100 WHERE id BETWEEN " + base + " AND " + (base + 9));
                if (i % 2 == 0) {
                    one.commit();
                    other.commit();
                } else {
                    other.commit();
                    one.commit();
                }
                if (i % 10 == 5) {
                    first.execute("TRUNCATE behind");
                    first.execute("INSERT INTO behind VALUES (" + (base + 600) + ", 2, 'after')");
                    one.commit();
                }
                first.execute("DELETE FROM behind WHERE id % 11 = " + i % 11);
                one.commit();
            }
        }
    }

    /** Walsenders of this database that stream; others only identify the source. */
    private String readers() {
        return postgres.query("SELECT count(*) FROM pg_stat_activity"
                + " WHERE datname = current_database() AND backend_type = 'walsender'"
                + " AND application_name LIKE '% stream'");
    }

    @Test
    void handsOverToTheStream() throws InterruptedException {
        postgres.execute("CREATE TABLE handed (id int PRIMARY KEY, v text)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("handed")
                .catchUp(new CatchUp.Limits(500_000, 100_000, 50_000))
                .setUp()) {
            for (int i = 0; i < 20; i++) {
                postgres.execute("INSERT INTO handed SELECT " + i + " * 1000 + g, md5(g::text)"
                        + " FROM generate_series(1, 500) g");
            }
            var read = postgres.query("SELECT pg_current_wal_lsn()");
            pipe.start();
            await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> readers()
                    .equals("1"));
            assertThat(Lsn.parse(read).since(confirmed(pipe)))
                    .as("what was left to the stream")
                    .isLessThan(500_000);
            postgres.execute("INSERT INTO handed VALUES (-1, 'now')");
            pipe.awaitEqual("handed");
        }
    }

    /** As behind an insert that takes long, or when more is written than a stream can bring. */
    @Test
    void aStreamThatFallsBehindIsCaughtUp() throws InterruptedException {
        postgres.execute("CREATE TABLE fallen (id int PRIMARY KEY, v text)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                .table("fallen")
                .batchRows(100)
                .catchUp(new CatchUp.Limits(500_000, 100_000, 20_000))
                .setUp()) {
            pipe.start();
            postgres.execute("INSERT INTO fallen VALUES (-1, 'first')");
            pipe.awaitEqual("fallen");
            assertThat(readers()).isEqualTo("1");
            var late = new Fault.Late();
            CLICKHOUSE.failNext("INSERT INTO `fallen`", late);
            for (int i = 0; i < 20; i++) {
                postgres.execute("INSERT INTO fallen SELECT " + i + " * 1000 + g, md5(g::text)"
                        + " FROM generate_series(1, 500) g");
            }
            await().atMost(PATIENCE).pollInterval(Duration.ofMillis(5)).until(() -> postgres.query(
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND application_name LIKE '% catches up'")
                    .equals("1"));
            late.arrives().countDown();
            pipe.awaitEqual("fallen");
            await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> readers()
                    .equals("1"));
            postgres.execute("UPDATE fallen SET v = 'now' WHERE id = -1");
            pipe.awaitEqual("fallen");
        }
    }

    @Test
    void theSlotIsAdvancedOverWhatIsAcknowledgedAlone() throws InterruptedException {
        postgres.execute("CREATE TABLE kept (id int PRIMARY KEY)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse).table("kept").setUp()) {
            postgres.execute("INSERT INTO kept VALUES (1)");
            try (var peeks = peeks(pipe)) {
                var before = confirmed(pipe);
                readAll(peeks);
                var read = peeks.position();
                for (int i = 0; i < 100; i++) {
                    assertThat(peeks.poll()).isNull();
                }
                assertThat(confirmed(pipe)).isEqualTo(before);
                peeks.acknowledge(read);
                await().atMost(PATIENCE).pollInterval(Duration.ofMillis(5)).until(() -> {
                    peeks.poll();
                    return confirmed(pipe).equals(read);
                });
            }
        }
    }

    private Lsn confirmed(TestPipe pipe) {
        return Lsn.parse(postgres.query("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '"
                + pipe.pipe().slot() + "'"));
    }

    /** What somebody skipped is noticed before anything behind it is acknowledged. */
    @Test
    void aSlotThatIsMovedMeanwhileIsNoticed() throws InterruptedException {
        postgres.execute("CREATE TABLE skipped (id int PRIMARY KEY)");
        try (var pipe =
                new TestPipe.Builder(postgres, clickHouse).table("skipped").setUp()) {
            postgres.execute("INSERT INTO skipped VALUES (1)");
            try (var peeks = peeks(pipe)) {
                readAll(peeks);
                assertThat(peeks.awaitsAcknowledgement()).isTrue();
                postgres.execute("INSERT INTO skipped VALUES (2)");
                postgres.query(
                        "SELECT pg_replication_slot_advance('" + pipe.pipe().slot() + "', pg_current_wal_lsn())");
                peeks.acknowledge(peeks.position());
                assertThatThrownBy(() -> readAll(peeks)).isInstanceOfSatisfying(PipeException.class, e -> assertThat(
                                e.problems().getFirst().reason())
                        .isEqualTo("SlotMoved"));
            }
        }
    }

    /** Between two peeks the slot is free, and still one worker's. */
    @Test
    void anotherWorkerIsKeptOut() throws InterruptedException {
        postgres.execute("CREATE TABLE mine (id int PRIMARY KEY)");
        try (var pipe = new TestPipe.Builder(postgres, clickHouse).table("mine").setUp()) {
            try (var _ = peeks(pipe)) {
                for (var other : List.<ThrowingCallable>of(() -> peeks(pipe).close(), () -> ReplicationStream.start(
                                pipe.source(),
                                pipe.pipe().slot(),
                                List.of(pipe.pipe().publication()),
                                Lsn.ZERO)
                        .close())) {
                    assertThatThrownBy(other).isInstanceOfSatisfying(PipeException.class, e -> assertThat(
                                    e.problems().getFirst().reason())
                            .isEqualTo("SlotInUse"));
                }
            }
        }
    }

    private SlotPeeks peeks(TestPipe pipe) {
        return SlotPeeks.start(
                pipe.source(),
                pipe.pipe().slot(),
                List.of(pipe.pipe().publication()),
                confirmed(pipe),
                Lsn.ZERO,
                0,
                1_000_000);
    }

    /** Reads until all has to be acknowledged. */
    private static void readAll(ChangeSource source) {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(5)).until(() -> {
            var message = source.poll();
            return !(message instanceof Commit) && source.awaitsAcknowledgement();
        });
    }
}
