package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.cdc.Cdc;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.snapshot.Snapshot;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.FaultProxy;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.PostgresServer.StopMode;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.TableComparison;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Behind the host's name is another database, or the same as it was earlier: nothing is read until a resync is asked for. */
class SourceReplacedIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private static void fill(Postgres postgres, String who) {
        postgres.execute(
                "CREATE TABLE current (id int PRIMARY KEY, v text)",
                "CREATE TABLE history (id int, v text)",
                "INSERT INTO current SELECT i, '" + who + "' FROM generate_series(1, 100) i",
                "INSERT INTO history SELECT i, '" + who + "' FROM generate_series(1, 100) i");
    }

    private TestPipe pipe(String name, Postgres postgres, ClickHouse clickHouse) {
        return new TestPipe(directory, postgres, clickHouse)
                .name(name)
                .setting("syncIntervalSeconds", 1)
                .setting("allowNullableColumns", true)
                .map("public.current")
                .map("public.history", "tableEngine: MergeTree");
    }

    private static void setUp(TestPipe pipe) throws InterruptedException {
        try (var clickHouse = pipe.clickHouseClient()) {
            new Setup(pipe.pipe(), pipe.postgresClient(), clickHouse).run(new Stop());
        }
    }

    private static void assertRefused(TestPipe pipe, String reason) {
        assertRefused(pipe, reason, List.of(reason));
    }

    private static void assertRefused(TestPipe pipe, String reason, List<String> bySetup) {
        try (var clickHouse = pipe.clickHouseClient()) {
            var stream = catchThrowableOfType(PipeException.class, () -> new Cdc(
                            pipe.pipe(), pipe.postgresClient(), clickHouse, new SimpleMeterRegistry())
                    .run(new Stop()));
            assertThat(stream.problems())
                    .extracting(problem -> problem.reason())
                    .containsExactly(reason);
            assertThat(stream.retryable()).isFalse();
        }
        var setup = catchThrowableOfType(PipeException.class, () -> setUp(pipe));
        assertThat(setup.problems()).extracting(problem -> problem.reason()).containsExactlyElementsOf(bySetup);
    }

    /** Loads what is to be loaded and follows until the targets equal the source. */
    private static void follow(TestPipe pipe, Postgres postgres, ClickHouse target) throws InterruptedException {
        try (var clickHouse = pipe.clickHouseClient()) {
            var stop = new Stop();
            var cdc = new Cdc(pipe.pipe(), pipe.postgresClient(), clickHouse, new SimpleMeterRegistry());
            var thread = Thread.ofVirtual().start(() -> {
                try {
                    cdc.run(stop);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            new Snapshot(pipe.pipe(), pipe.postgresClient(), clickHouse, new SimpleMeterRegistry(), 1).run(new Stop());
            for (var table : List.of("current", "history")) {
                await().atMost(PATIENCE)
                        .pollInterval(Duration.ofMillis(200))
                        .untilAsserted(() -> TableComparison.between(postgres, table, target, table)
                                .assertEqual());
            }
            stop.request();
            thread.join();
        }
    }

    @Test
    void anotherCluster() throws InterruptedException {
        CLICKHOUSE.client().query("CREATE DATABASE other_cluster");
        var target = CLICKHOUSE.client().withDatabase("other_cluster");
        try (var first = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
                var second = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
                var proxy = FaultProxy.to(first.host(), first.port())) {
            var was = first.createDatabase("source");
            var is = second.createDatabase("source");
            fill(was, "first");
            fill(is, "second");
            is.execute("DELETE FROM current WHERE id % 3 = 0");
            var pipe =
                    pipe("moved", new Postgres(was.host(), proxy.port(), was.user(), was.password(), "source"), target);
            setUp(pipe);
            follow(pipe, was, target);

            proxy.redirect(second.host(), second.port());
            assertRefused(pipe, "SourceReplaced");
            assertThat(target.query("SELECT count() FROM current FINAL WHERE v = 'first'"))
                    .isEqualTo("100");

            pipe.extra("  resync: \"2\"\n");
            setUp(pipe);
            is.execute("INSERT INTO current VALUES (1000, 'later')", "INSERT INTO history VALUES (1000, 'later')");
            follow(pipe, is, target);
            assertThat(target.query("SELECT count() FROM history WHERE v = 'first'"))
                    .isEqualTo("0");
        }
    }

    /**
     * A standby takes over, or the cluster is recovered to a point in time: with all that was replicated the pipe goes on; without,
     * it notices, however much was written since.
     */
    @Test
    void anotherTimeline() throws InterruptedException {
        CLICKHOUSE.client().query("CREATE DATABASE another_timeline");
        var target = CLICKHOUSE.client().withDatabase("another_timeline");
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var postgres = server.createDatabase("source");
            fill(postgres, "before");
            var pipe = pipe("promoted", postgres, target);
            setUp(pipe);
            follow(pipe, postgres, target);
            server.stop(StopMode.FAST);
            server.startPromoted();
            postgres.execute(
                    "INSERT INTO current VALUES (1000, 'went on')", "INSERT INTO history VALUES (1000, 'went on')");
            follow(pipe, postgres, target);

            server.stop(StopMode.FAST);
            server.backUp();
            server.start();
            postgres.execute(
                    "INSERT INTO current SELECT i, 'lost' FROM generate_series(1001, 2000) i",
                    "INSERT INTO history VALUES (0, 'lost')");
            follow(pipe, postgres, target);
            var replicated = postgres.query("SELECT pg_current_wal_lsn()");
            server.stop(StopMode.FAST);
            server.restore();
            server.startPromoted();
            postgres.execute(
                    "INSERT INTO history VALUES (0, 'not to be skipped')",
                    "INSERT INTO current SELECT i, 'later' FROM generate_series(3001, 20000) i");
            assertThat(postgres.query("SELECT pg_current_wal_lsn() > '" + replicated + "'"))
                    .isEqualTo("t");
            assertRefused(pipe, "SourceWentBack");

            pipe.extra("  resync: \"2\"\n");
            setUp(pipe);
            follow(pipe, postgres, target);
            assertThat(target.query("SELECT count() FROM history WHERE v = 'lost'"))
                    .isEqualTo("0");
        }
    }

    /** In the same cluster: the slot went with the former database, or belongs to it still, under its new name. */
    @ParameterizedTest
    @CsvSource({
        "DROP DATABASE source, SlotMissing, SlotMissing",
        "ALTER DATABASE source RENAME TO former, SlotUnsuitable, PublicationMissing SlotUnusable"
    })
    void aDatabaseRestoredUnderTheSameName(String statement, String reason, String bySetup)
            throws InterruptedException {
        var name = "restored_" + reason.toLowerCase();
        CLICKHOUSE.client().query("CREATE DATABASE " + name);
        var target = CLICKHOUSE.client().withDatabase(name);
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var postgres = server.createDatabase("source");
            fill(postgres, "before");
            var pipe = pipe(name, postgres, target);
            setUp(pipe);
            follow(pipe, postgres, target);
            server.client("postgres").execute(statement);
            fill(server.createDatabase("source"), "restored");
            assertRefused(pipe, reason, List.of(bySetup.split(" ")));
            assertThat(target.query("SELECT count() FROM current FINAL WHERE v = 'restored'"))
                    .isEqualTo("0");
        }
    }

    @Test
    void anEarlierState() throws InterruptedException {
        CLICKHOUSE.client().query("CREATE DATABASE earlier_state");
        var target = CLICKHOUSE.client().withDatabase("earlier_state");
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var postgres = server.createDatabase("source");
            fill(postgres, "before");
            var pipe = pipe("earlier", postgres, target);
            setUp(pipe);
            follow(pipe, postgres, target);
            server.stop(StopMode.FAST);
            server.backUp();
            server.start();
            postgres.execute(
                    "INSERT INTO current SELECT i, 'lost' FROM generate_series(1001, 50000) i",
                    "INSERT INTO history VALUES (0, 'lost')");
            follow(pipe, postgres, target);

            server.stop(StopMode.FAST);
            server.restore();
            server.start();
            assertRefused(pipe, "SourceWentBack");

            pipe.extra("  resync: \"2\"\n");
            setUp(pipe);
            follow(pipe, postgres, target);
            assertThat(target.query("SELECT count() FROM history WHERE v = 'lost'"))
                    .isEqualTo("0");
        }
    }

    /** The standby has the slot, whoever brought it there. */
    @ParameterizedTest
    @ValueSource(ints = 17)
    void aStandbyThatHasAllTakesOver(int version) throws InterruptedException {
        CLICKHOUSE.client().query("CREATE DATABASE promoted_" + version);
        var target = CLICKHOUSE.client().withDatabase("promoted_" + version);
        try (var primary = PostgresServer.create(version);
                var proxy = FaultProxy.to(primary.host(), primary.port())) {
            var was = primary.createDatabase("source");
            fill(was, "first");
            var pipe = pipe(
                    "promoted", new Postgres(was.host(), proxy.port(), was.user(), was.password(), "source"), target);
            setUp(pipe);
            follow(pipe, was, target);
            // As an earlier version left it.
            target.query("ALTER TABLE _clickpipe_offsets DROP COLUMN timeline");
            primary.stop(StopMode.FAST);
            try (var standby = primary.standby()) {
                primary.start();
                standby.start();
                was.execute("INSERT INTO current VALUES (1000, 'later')", "INSERT INTO history VALUES (1000, 'later')");
                follow(pipe, was, target);
                assertThat(target.query("SELECT timeline FROM _clickpipe_offsets FINAL"))
                        .isEqualTo("1@0/0");

                await().atMost(PATIENCE).until(() -> was.query(
                                "SELECT state FROM pg_stat_replication WHERE application_name = 'walreceiver'")
                        .equals("streaming"));
                primary.stop(StopMode.FAST); // when the standby has all of it
                standby.promote();
                proxy.redirect(standby.host(), standby.port());
                var is = standby.client("source");
                is.execute("INSERT INTO current VALUES (2000, 'last')", "INSERT INTO history VALUES (2000, 'last')");
                // An insert may have been confirmed, and its offset not recorded.
                target.query("CREATE TABLE saved ENGINE = Memory AS SELECT * FROM _clickpipe_offsets FINAL");
                target.query("INSERT INTO current (id, v, _clickpipe_version) VALUES (3000, 'lost',"
                        + " bitShiftLeft(toUInt128(1), 100))");
                assertRefused(pipe, "SourceWentBack");
                target.query("ALTER TABLE current DELETE WHERE id = 3000 SETTINGS mutations_sync = 2");
                target.query("TRUNCATE TABLE _clickpipe_offsets");
                target.query("INSERT INTO _clickpipe_offsets SELECT * FROM saved");

                follow(pipe, is, target);
                assertThat(target.query("SELECT timeline FROM _clickpipe_offsets FINAL"))
                        .startsWith("2@");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = 16)
    void aStandbyThatLacksChangesTakesOver(int version) throws InterruptedException {
        CLICKHOUSE.client().query("CREATE DATABASE fallen_behind_" + version);
        var target = CLICKHOUSE.client().withDatabase("fallen_behind_" + version);
        try (var primary = PostgresServer.create(version);
                var proxy = FaultProxy.to(primary.host(), primary.port())) {
            var was = primary.createDatabase("source");
            fill(was, "first");
            var pipe = pipe(
                    "behind", new Postgres(was.host(), proxy.port(), was.user(), was.password(), "source"), target);
            setUp(pipe);
            follow(pipe, was, target);
            primary.stop(StopMode.FAST);
            try (var standby = primary.standby()) {
                primary.start();
                was.execute("INSERT INTO current VALUES (1000, 'lost')", "INSERT INTO history VALUES (1000, 'lost')");
                follow(pipe, was, target);
                primary.kill();

                standby.start();
                standby.promote();
                proxy.redirect(standby.host(), standby.port());
                var is = standby.client("source");
                // By its position alone nobody would know.
                var offset = target.query("SELECT lsn FROM _clickpipe_offsets FINAL");
                is.execute("INSERT INTO current SELECT i, 'new' FROM generate_series(2000, 60000) i");
                assertThat(is.query("SELECT pg_current_wal_lsn() > '" + offset + "'"))
                        .isEqualTo("t");
                assertRefused(pipe, "SourceWentBack");
                assertThat(target.query("SELECT count() FROM current FINAL WHERE v = 'new'"))
                        .isEqualTo("0");

                pipe.extra("  resync: \"2\"\n");
                setUp(pipe);
                follow(pipe, is, target);
                assertThat(target.query("SELECT count() FROM history WHERE v = 'lost'"))
                        .isEqualTo("0");
                assertThat(target.query("SELECT timeline FROM _clickpipe_offsets FINAL"))
                        .startsWith("2@");
            }
        }
    }
}
