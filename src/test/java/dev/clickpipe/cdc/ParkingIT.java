package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What concerns one table stops that table, says so and what to do, and lets the others go on. */
class ParkingIT {
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

    private TestPipe.Builder pipe() {
        return new TestPipe.Builder(postgres, clickHouse).loaded();
    }

    private static WorkerStatus.Table table(TestPipe pipe, String name) {
        return pipe.status().tables().stream()
                .filter(table -> table.target().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static Problem awaitParked(TestPipe pipe, String name) {
        return await().atMost(Duration.ofMinutes(2))
                .until(() -> pipe.definition(name).failure(), failure -> failure != null);
    }

    static Stream<Arguments> waysToFail() {
        return Stream.of(
                Arguments.of(
                        "nan", "UnrepresentableValue", List.of("INSERT INTO nan VALUES (7, 'NaN', 'x')"), List.of()),
                Arguments.of(
                        "retyped",
                        "ColumnTypeChanged",
                        List.of(
                                "ALTER TABLE retyped ALTER v TYPE int USING length(v)",
                                "INSERT INTO retyped VALUES (7, 1, 1)"),
                        List.of()),
                Arguments.of(
                        "unidentified",
                        "ReplicaIdentityInsufficient",
                        List.of(
                                "CREATE UNIQUE INDEX another ON unidentified (n)",
                                "ALTER TABLE unidentified REPLICA IDENTITY USING INDEX another",
                                "UPDATE unidentified SET v = 'y'"),
                        List.of()),
                Arguments.of(
                        "target_dropped",
                        "TargetTableMissing",
                        List.of("INSERT INTO target_dropped VALUES (7, 1, 'x')"),
                        List.of("DROP TABLE target_dropped SYNC")),
                Arguments.of(
                        "target_lacks",
                        "TargetTableChanged",
                        List.of("INSERT INTO target_lacks VALUES (7, 1, 'x')"),
                        List.of("ALTER TABLE target_lacks DROP COLUMN v")),
                Arguments.of(
                        "target_narrow",
                        "ValueRefused",
                        List.of("INSERT INTO target_narrow VALUES (7, 1, 'x')"),
                        List.of(
                                "ALTER TABLE target_narrow MODIFY COLUMN v Nullable(Int8) SETTINGS mutations_sync = 1")),
                Arguments.of("gone", "SourceTableMissing", List.of("DROP TABLE gone"), List.of()),
                Arguments.of(
                        "again",
                        "SourceTableMissing",
                        List.of(
                                "DROP TABLE again",
                                "CREATE TABLE again (id int PRIMARY KEY, n numeric(8,2) NOT NULL, v text)",
                                "INSERT INTO again VALUES (8, 1, 'x')"),
                        List.of()),
                Arguments.of(
                        "unpublished",
                        "NotPublished",
                        List.of("ALTER PUBLICATION PIPES DROP TABLE unpublished"),
                        List.of()),
                Arguments.of(
                        "republished",
                        "PublicationChanged",
                        List.of(
                                "ALTER PUBLICATION PIPES DROP TABLE republished",
                                "INSERT INTO republished VALUES (7, 1, 'x')",
                                "ALTER PUBLICATION PIPES ADD TABLE republished"),
                        List.of()));
    }

    @ParameterizedTest
    @MethodSource("waysToFail")
    void alone(String name, String reason, List<String> inPostgres, List<String> inClickHouse) throws Exception {
        var other = name + "_beside";
        for (var table : List.of(name, other)) {
            postgres.execute(
                    "CREATE TABLE " + table + " (id int PRIMARY KEY, n numeric(8,2) NOT NULL, v text)",
                    "INSERT INTO " + table + " SELECT i, i, 'loaded' FROM generate_series(1, 3) i");
        }
        try (var pipe = pipe().table(name).table(other).start()) {
            pipe.startLoad().awaitDone();
            pipe.awaitEqual(name, other);
            inClickHouse.forEach(clickHouse::query);
            inPostgres.forEach(
                    sql -> postgres.execute(sql.replace("PIPES", pipe.pipe().publication())));
            postgres.execute("INSERT INTO " + other + " VALUES (10, 1, 'later')");
            var problem = awaitParked(pipe, name);
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.remedy()).contains("resync");
            await().until(() -> table(pipe, name).problem() != null);
            assertThat(table(pipe, name).problem()).isEqualTo(problem);
            pipe.awaitEqual(other);
            pipe.awaitConfirmed();
            assertThat(pipe.status().state()).isEqualTo(WorkerStatus.State.Working);
            assertThat(table(pipe, other).problem()).isNull();

            pipe.restart();
            postgres.execute("INSERT INTO " + other + " VALUES (11, 1, 'later')");
            pipe.awaitEqual(other);
            assertThat(pipe.definition(name).failure()).isEqualTo(problem);
        }
    }

    @Test
    void aReplacementHeals() throws Exception {
        postgres.execute(
                "CREATE TABLE healed (id int PRIMARY KEY, v int)",
                "INSERT INTO healed SELECT i, i FROM generate_series(1, 100) i");
        try (var pipe = pipe().table("healed").start()) {
            pipe.startLoad().awaitDone();
            pipe.awaitEqual("healed");
            postgres.execute("ALTER TABLE healed ALTER v TYPE numeric(20, 2)", "UPDATE healed SET v = v + 10000000000");
            assertThat(pipe.awaitFatal().problems().getFirst().reason())
                    .as("no other table is left")
                    .isEqualTo("ColumnTypeChanged");
            pipe.rebuild("healed");
            pipe.start();
            pipe.startLoad().awaitDone();
            postgres.execute("UPDATE healed SET v = v + 1 WHERE id < 50");
            pipe.awaitEqual("healed");
            pipe.awaitSwapped();
            assertThat(pipe.definition("healed").failure()).isNull();
            pipe.awaitEqual("healed");
        }
    }

    /** What another Setup is about to make good, or a person, and what passes: no table is to blame. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "497 ACCESS_DENIED",
                "201 QUOTA_EXCEEDED",
                "243 NOT_ENOUGH_SPACE",
                "241 MEMORY_LIMIT_EXCEEDED",
                "252 TOO_MANY_PARTS"
            })
    void whatConcernsAllTablesParksNone(String error) throws InterruptedException {
        int code = Integer.parseInt(error.substring(0, 3));
        var name = "all_" + code;
        postgres.execute("CREATE TABLE " + name + " (id int PRIMARY KEY)");
        try (var pipe = pipe().table(name).start()) {
            CLICKHOUSE.failNext("INSERT INTO `" + name + "`", new Fault.Refuse(code, error.substring(4), "to order"));
            postgres.execute("INSERT INTO " + name + " VALUES (1)");
            if (code == 497) {
                assertThat(pipe.awaitFatal().problems().getFirst().reason()).isEqualTo("PermissionDenied");
                assertThat(pipe.definition(name).failure()).isNull();
                pipe.stop();
                pipe.start();
            } else {
                pipe.awaitRetry();
            }
            pipe.awaitEqual(name);
            assertThat(pipe.definition(name).failure()).isNull();
        }
    }

    /** A table that was taken out of the publication and put back while no worker ran. */
    @Test
    void aGapInThePublicationIsSeenAfterwards() throws Exception {
        postgres.execute(
                "CREATE TABLE gap (id int PRIMARY KEY)",
                "CREATE TABLE no_gap (id int PRIMARY KEY)",
                "CREATE PUBLICATION theirs FOR TABLE gap, no_gap");
        try (var pipe =
                pipe().table("gap").table("no_gap").publication("theirs").start()) {
            pipe.startLoad().awaitDone();
            postgres.execute("INSERT INTO gap VALUES (1)");
            pipe.awaitEqual("gap", "no_gap");
            pipe.stop();
            postgres.execute(
                    "ALTER PUBLICATION theirs SET TABLE no_gap",
                    "INSERT INTO gap VALUES (2)",
                    "ALTER PUBLICATION theirs SET TABLE gap, no_gap",
                    "INSERT INTO no_gap VALUES (2)");
            pipe.start();
            assertThat(awaitParked(pipe, "gap").reason()).isEqualTo("PublicationChanged");
            pipe.awaitEqual("no_gap");
            assertThat(pipe.definition("no_gap").failure()).isNull();
        }
    }

    @Test
    void aPublicationThatIsDroppedAndMadeAgainIsFatal() throws Exception {
        postgres.execute(
                "CREATE TABLE unspoken (id int PRIMARY KEY)", "CREATE PUBLICATION unspoken_pub FOR TABLE unspoken");
        try (var pipe = pipe().table("unspoken").publication("unspoken_pub").start()) {
            pipe.startLoad().awaitDone();
            postgres.execute(
                    "DROP PUBLICATION unspoken_pub",
                    "INSERT INTO unspoken VALUES (1)",
                    "CREATE PUBLICATION unspoken_pub FOR TABLE unspoken");
            var problem = pipe.awaitFatal().problems().getFirst();
            assertThat(problem.reason()).isIn("PublicationMissing", "PublicationChanged");
            assertThat(problem.remedy()).contains("resync");
        }
    }

    @Test
    void aRenamedTableGoesOn() throws Exception {
        postgres.execute("CREATE TABLE named (id int PRIMARY KEY)");
        try (var pipe = pipe().table("named").start()) {
            pipe.startLoad().awaitDone();
            postgres.execute("ALTER TABLE named RENAME TO called_otherwise", "INSERT INTO called_otherwise VALUES (1)");
            pipe.awaitEqual(pipe.comparison("called_otherwise", "named"));
            await().until(() -> table(pipe, "named").note() != null);
            assertThat(table(pipe, "named").note()).contains("public.called_otherwise", "Name it back");
            assertThat(table(pipe, "named").problem()).isNull();
            postgres.execute("INSERT INTO called_otherwise VALUES (2)");
            pipe.awaitEqual(pipe.comparison("called_otherwise", "named"));
        }
    }

    @Test
    void whatIsNotReplicatedAsItIsIsSaid() throws Exception {
        postgres.execute("CREATE TABLE keyless (v int, at date, until timestamptz)");
        try (var pipe = pipe().table("keyless", TableEngine.MergeTree).start()) {
            pipe.startLoad().awaitDone();
            assertThat(table(pipe, "keyless").note())
                    .contains("UPDATE and DELETE are not")
                    .doesNotContain("range");
            postgres.execute("INSERT INTO keyless VALUES (1, 'infinity', '2024-01-01')");
            await().until(() -> table(pipe, "keyless").note().contains("Values of at lie beyond the range"));
            assertThat(table(pipe, "keyless").problem()).isNull();
        }
    }

    @Test
    void aLostSlotIsFatal() throws Exception {
        try (var server = PostgresServer.create(
                PostgresServer.DEFAULT_VERSION,
                Map.of("max_slot_wal_keep_size", "16MB", "min_wal_size", "32MB", "max_wal_size", "32MB"))) {
            var source = server.createDatabase("source");
            source.execute("CREATE TABLE left_behind (id int PRIMARY KEY, v text)");
            try (var pipe = new TestPipe.Builder(source, clickHouse)
                    .table("left_behind")
                    .loaded()
                    .start()) {
                source.execute("INSERT INTO left_behind VALUES (1, 'x')");
                pipe.awaitEqual("left_behind");
                await().until(() -> pipe.status().replication().walStatus() != null);
                assertThat(pipe.status().replication().walStatus()).isEqualTo("reserved");
                assertThat(pipe.status().replication().safeWalBytes()).isPositive();
                pipe.stop();
                for (int i = 0; i < 4; i++) {
                    source.execute(
                            "INSERT INTO left_behind SELECT g, repeat('x', 1000) FROM generate_series("
                                    + (i * 20_000 + 2) + ", " + (i * 20_000 + 20_001) + ") g",
                            "CHECKPOINT");
                }
                await().until(() -> source.query("SELECT wal_status FROM pg_replication_slots WHERE slot_name = '"
                                + pipe.pipe().slot() + "'")
                        .equals("lost"));
                pipe.start();
                var problem = pipe.awaitFatal().problems().getFirst();
                assertThat(problem.reason()).isEqualTo("SlotInvalidated");
                assertThat(problem.remedy()).contains("spec.resync");
            }
        }
    }
}
