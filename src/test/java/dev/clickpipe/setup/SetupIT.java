package dev.clickpipe.setup;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.teardown.Teardown;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Setup on real servers: all it refuses, what it makes, and that it leaves nothing behind when it fails. */
class SetupIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private World world;

    @BeforeEach
    void createWorld() {
        world = World.create(POSTGRES.client(), CLICKHOUSE.client(), directory);
    }

    @AfterEach
    void destroyWorld() {
        world.destroy();
    }

    // ------------------------------------------------------------------------------------------------ what it refuses

    /**
     * @param given makes the situation
     * @param expected for each problem "Reason|part of the object|part of message and remedy", in any order
     */
    private record Refusal(String name, Consumer<World> given, List<String> expected) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Refusal refusal(String name, Consumer<World> given, String... expected) {
        return new Refusal(name, given, List.of(expected));
    }

    static Stream<Refusal> refusals() {
        return Stream.of(
                refusal(
                        "login refused",
                        world -> {
                            world.orders();
                            world.pipe().credentialsDirectory();
                            world.admin("ALTER ROLE " + world.role().user() + " PASSWORD 'changed'");
                        },
                        "LoginRefused|postgres 127.0.0.1|password authentication failed"),
                refusal(
                        "no right to replicate",
                        world -> world.orders()
                                .admin("ALTER ROLE " + world.role().user() + " NOREPLICATION"),
                        "NoReplicationRight|role setup_|ALTER ROLE setup_"),
                refusal(
                        "source table missing, a view, a foreign name",
                        world -> {
                            world.orders().source("CREATE VIEW seen AS SELECT 1 AS id");
                            world.pipe().map("public.gone").map("public.seen").map("nowhere.orders2");
                        },
                        "SourceTableMissing|table public.gone|does not exist",
                        "SourceTableMissing|table public.seen|is a view",
                        "SourceTableMissing|table nowhere.orders2|does not exist"),
                refusal(
                        "not readable, schema not usable, not the owner",
                        world -> {
                            world.admin(
                                    "CREATE SCHEMA secret",
                                    "CREATE TABLE secret.t (id int PRIMARY KEY, v text)",
                                    "CREATE TABLE partly (id int PRIMARY KEY, v text)",
                                    "GRANT SELECT (id, v) ON partly TO "
                                            + world.role().user());
                            world.pipe().map("secret.t").map("public.partly");
                        },
                        "PermissionDenied|table secret.t|GRANT USAGE ON SCHEMA secret",
                        "PermissionDenied|table secret.t|GRANT SELECT ON \"secret\".\"t\"",
                        "CannotMakePublication|table secret.t|belongs to",
                        "PermissionDenied|table public.partly|only on its columns",
                        "CannotMakePublication|table public.partly|belongs to"),
                refusal(
                        "no right to make publications in the database",
                        world -> world.orders()
                                .admin(
                                        "ALTER DATABASE " + world.admin().database() + " OWNER TO "
                                                + world.admin().user(),
                                        "REVOKE ALL ON DATABASE "
                                                + world.admin().database() + " FROM "
                                                + world.role().user()),
                        "CannotMakePublication|database setup_|GRANT CREATE ON DATABASE"),
                refusal(
                        "row-level security hides rows",
                        world -> world.orders()
                                .source(
                                        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
                                        "ALTER TABLE orders FORCE ROW LEVEL SECURITY"),
                        "RowsHidden|table public.orders|BYPASSRLS"),
                refusal(
                        "row-level security of a partition",
                        world -> {
                            world.source(
                                    "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id)",
                                    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
                                    "ALTER TABLE parted_1 ENABLE ROW LEVEL SECURITY",
                                    "ALTER TABLE parted_1 FORCE ROW LEVEL SECURITY");
                            world.pipe().map("public.parted");
                        },
                        "RowsHidden|table public.parted|parted_1"),
                refusal(
                        "no key for a ReplacingMergeTree",
                        world -> {
                            world.source(
                                    "CREATE TABLE history (at timestamptz, what text)",
                                    "CREATE TABLE nothing (id int PRIMARY KEY)",
                                    "ALTER TABLE nothing REPLICA IDENTITY NOTHING",
                                    "CREATE TABLE later (id int PRIMARY KEY DEFERRABLE)",
                                    "CREATE TABLE everything (a int, b int)",
                                    "ALTER TABLE everything REPLICA IDENTITY FULL");
                            world.pipe()
                                    .map("public.history")
                                    .map("public.nothing")
                                    .map("public.later")
                                    .map("public.everything");
                        },
                        "NoReplicaIdentity|table public.history|ADD PRIMARY KEY",
                        "NoReplicaIdentity|table public.nothing|REPLICA IDENTITY DEFAULT",
                        "NoReplicaIdentity|table public.later|deferrable",
                        "NoKey|table public.everything|would make them one"),
                refusal(
                        "a partition without the identity of the others",
                        world -> {
                            world.source(
                                    "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id)",
                                    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
                                    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)",
                                    "ALTER TABLE parted_2 REPLICA IDENTITY NOTHING");
                            world.pipe().map("public.parted");
                        },
                        "NoReplicaIdentity|table public.parted|tableEngine: MergeTree"),
                refusal(
                        "no key without change data capture either",
                        world -> {
                            world.source("CREATE TABLE history (at timestamptz, what text)");
                            world.pipe().setting("replicationMode", "snapshot").map("public.history");
                        },
                        "NoKey|table public.history|sortingKeys that are unique"),
                refusal(
                        "sorting keys: unknown, excluded, twice, without the key, beyond the identity",
                        world -> {
                            world.source(
                                    "CREATE TABLE a (id int PRIMARY KEY, x text, y text)",
                                    "CREATE TABLE b (id int PRIMARY KEY, x text)",
                                    "CREATE TABLE c (id int PRIMARY KEY, x text)");
                            world.pipe()
                                    .map(
                                            "public.a",
                                            "useCustomSortingKey: true",
                                            "sortingKeys: [nix, x, id, id]",
                                            "excludedColumns: [x]",
                                            "tableEngine: MergeTree")
                                    .map("public.b", "useCustomSortingKey: true", "sortingKeys: [x]")
                                    .map("public.c", "useCustomSortingKey: true", "sortingKeys: [x, id]");
                        },
                        "SortingKeyInvalid|table public.a|\"nix\"",
                        "SortingKeyInvalid|table public.a|\"x\"",
                        "SortingKeyInvalid|table public.a|\"id\" twice",
                        "SortingKeyLacksKey|table public.b|\"id\"",
                        "SortingKeyBeyondIdentity|table public.b|REPLICA IDENTITY FULL",
                        "SortingKeyBeyondIdentity|table public.c|REPLICA IDENTITY FULL"),
                refusal(
                        "a layout for a Null table",
                        world -> {
                            world.source("CREATE TABLE a (id int PRIMARY KEY, x text)");
                            world.pipe()
                                    .map(
                                            "public.a",
                                            "useCustomSortingKey: true",
                                            "sortingKeys: [x, id]",
                                            "partitionByExpr: id",
                                            "tableEngine: 'Null'");
                        },
                        "LayoutWithoutStorage|table public.a|neither a sorting key nor partitions"),
                refusal(
                        "excluded columns: unknown, of the key, all of them",
                        world -> {
                            world.source(
                                    "CREATE TABLE a (id int PRIMARY KEY, x text)", "CREATE TABLE b (x int, y int)");
                            world.pipe()
                                    .map("public.a", "excludedColumns: [nix, id]")
                                    .map("public.b", "excludedColumns: [x, y]", "tableEngine: MergeTree");
                        },
                        "ExcludedColumnUnknown|table public.a|\"nix\"",
                        "ExcludedColumnInKey|table public.a|\"id\"",
                        "NoColumns|table public.b|"),
                refusal(
                        "partition keys: unknown, without an order, an array",
                        world -> {
                            world.source(
                                    "CREATE TABLE a (id int PRIMARY KEY)",
                                    "CREATE TABLE b (id int PRIMARY KEY, j json)",
                                    "CREATE TABLE c (id int PRIMARY KEY, a int[])");
                            world.pipe()
                                    .map("public.a", "partitionKey: nix")
                                    .map("public.b", "partitionKey: j")
                                    .map("public.c", "partitionKey: a");
                        },
                        "PartitionKeyUnsuitable|table public.a|column \"nix\" does not exist",
                        "PartitionKeyUnsuitable|table public.b|json",
                        "PartitionKeyUnsuitable|table public.c|integer[]"),
                refusal(
                        "columns: unknown, excluded, of types that do not hold the values, a Nullable array",
                        world -> {
                            world.source(
                                    "CREATE TABLE a (id int PRIMARY KEY, n numeric, t timestamp, x text, i int[], m numeric)");
                            world.pipe()
                                    .map(
                                            "public.a",
                                            "excludedColumns: [x]",
                                            "columns: [{name: nix, nullable: false}, {name: x, targetType: String}, {name: n, targetType: Float64}, "
                                                    + "{name: t, targetType: DateTime}, {name: id, targetType: Int16}, {name: i, nullable: true}, {name: m, targetType: 'Nullable(Decimal(9, 2))'}]");
                        },
                        "ColumnMappingInvalid|table public.a, column nix|does not have it",
                        "ColumnMappingInvalid|table public.a, column x|excludedColumns",
                        "ColumnMappingInvalid|table public.a, column n|Choose one of: Decimal(P, S), an Int or UInt, String",
                        "ColumnMappingInvalid|table public.a, column t|DateTime64(P)",
                        "ColumnMappingInvalid|table public.a, column id|column of type Int16",
                        "ColumnMappingInvalid|table public.a, column i|no Nullable(Array)",
                        "ColumnMappingInvalid|table public.a, column m|Leave Nullable out"),
                refusal(
                        "column names of the pipe's own, arrays that would be one, a generated key",
                        world -> {
                            world.source(
                                    "CREATE TABLE a (id int PRIMARY KEY, _clickpipe_version int)",
                                    "CREATE TABLE b (a int, id int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY)",
                                    "CREATE TABLE c (id int PRIMARY KEY, \"n.a\" int[], \"n.b\" int[], \"n.c\" int)");
                            world.pipe().map("public.a").map("public.b").map("public.c");
                        },
                        "ColumnNameReserved|table public.a|_clickpipe_version",
                        "GeneratedColumnInKey|table public.b|\"id\"",
                        "ColumnNamesNested|table public.c|n.a, n.b would"),
                refusal(
                        "unlogged, inherited from, partition and its root",
                        world -> {
                            world.source(
                                    "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)",
                                    "CREATE TABLE parent (id int PRIMARY KEY)",
                                    "CREATE TABLE child () INHERITS (parent)",
                                    "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id)",
                                    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)");
                            world.pipe()
                                    .map("public.fast")
                                    .map("public.parent")
                                    .map("public.parted")
                                    .map("public.parted_1");
                        },
                        "TableNotLogged|table public.fast|SET LOGGED",
                        "TableHasChildren|table public.parent|public.child",
                        "PartitionOfMappedTable|table public.parted_1|public.parted"),
                refusal(
                        "mapped twice",
                        world -> {
                            world.orders().source("CREATE TABLE b (id int PRIMARY KEY)");
                            world.pipe().mapTo("public.orders", "orders2").mapTo("public.b", "orders");
                        },
                        "SourceMappedTwice|table public.orders|twice",
                        "TargetMappedTwice|.orders|public.orders and public.b"),
                refusal(
                        "publication named but missing",
                        world -> {
                            world.orders();
                            world.pipe().setting("publicationName", "theirs");
                        },
                        "PublicationMissing|publication theirs|CREATE PUBLICATION \"theirs\" FOR TABLE \"public\".\"orders\""),
                refusal(
                        "publication lacks a table, operations, columns, not via root",
                        world -> {
                            world.orders()
                                    .source(
                                            "CREATE TABLE b (id int PRIMARY KEY, x text)",
                                            "CREATE TABLE c (id int PRIMARY KEY, x text)",
                                            "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id)",
                                            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
                                            "CREATE PUBLICATION theirs FOR TABLE b (id), c WHERE (id > 7), parted WITH (publish = 'insert, update')");
                            world.pipe()
                                    .setting("publicationName", "theirs")
                                    .map("public.b")
                                    .map("public.c")
                                    .map("public.parted");
                        },
                        "PublicationLacksTable|publication theirs|public.orders",
                        "PublicationLacksOperations|publication theirs|delete of public.b",
                        "PublicationLacksOperations|publication theirs|delete of public.c",
                        "PublicationLacksColumns|publication theirs|public.b without x",
                        "PublicationNotViaRoot|publication theirs|publish_via_partition_root = true"),
                refusal(
                        "own publication's name is taken",
                        world -> world.orders()
                                .admin("CREATE PUBLICATION "
                                        + world.pipe().pipe().publication() + " FOR ALL TABLES"),
                        "PublicationNotOurs|publication clickpipe_shop_|DROP PUBLICATION"),
                refusal(
                        "slot named but missing",
                        world -> {
                            world.orders();
                            world.pipe()
                                    .setting("replicationMode", "cdc_only")
                                    .setting("replicationSlotName", "theirs");
                        },
                        "SlotMissing|slot theirs|pg_create_logical_replication_slot"),
                refusal(
                        "slot of another plugin",
                        world -> {
                            var slot = "s_" + world.admin().database();
                            world.orders()
                                    .admin("SELECT pg_create_logical_replication_slot('" + slot
                                            + "', 'test_decoding')");
                            world.pipe().setting("replicationMode", "cdc_only").setting("replicationSlotName", slot);
                        },
                        "SlotUnusable|slot s_|test_decoding"),
                refusal(
                        "own slot's name is taken by a physical one",
                        world -> world.orders()
                                .admin("SELECT pg_create_physical_replication_slot('"
                                        + world.pipe().pipe().slot() + "')"),
                        "SlotUnusable|slot clickpipe_shop_|physical"),
                refusal(
                        "destination database missing",
                        world -> world.orders()
                                .destination(
                                        "DROP DATABASE " + world.clickHouse().database()),
                        "DatabaseMissing|clickhouse 127.0.0.1|does not exist"),
                refusal(
                        "target: not empty, a view, another engine, another version column, another key, partitioned, expiring",
                        world -> {
                            for (var table : List.of(
                                    "full_one", "a_view", "plain", "other", "keyed", "parted", "expiring", "erasing")) {
                                world.source("CREATE TABLE " + table + " (id int PRIMARY KEY, x text)");
                                world.pipe().map("public." + table);
                            }
                            var columns =
                                    "(id Int32, x Nullable(String), _clickpipe_version UInt128, _clickpipe_is_deleted UInt8, _clickpipe_synced_at DateTime64(9) DEFAULT now64(9))";
                            world.destination(
                                    "CREATE TABLE full_one " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id",
                                    "INSERT INTO full_one (id) VALUES (1)",
                                    "CREATE VIEW a_view AS SELECT 1 AS id",
                                    "CREATE TABLE plain " + columns + " ENGINE = MergeTree ORDER BY id",
                                    "CREATE TABLE other " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version) ORDER BY id",
                                    "CREATE TABLE keyed " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY (id, _clickpipe_version)",
                                    "CREATE TABLE parted " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id PARTITION BY toYYYYMM(_clickpipe_synced_at)",
                                    "CREATE TABLE expiring " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id TTL toDate(ifNull(x, '')) + INTERVAL 1 DAY",
                                    "CREATE TABLE erasing " + columns
                                            + " ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id TTL toDateTime(_clickpipe_synced_at) + INTERVAL 1 DAY WHERE _clickpipe_is_deleted = 1");
                        },
                        "TargetNotEmpty|.full_one|has rows already",
                        "TargetUnsuitable|.a_view|is a view",
                        "TargetUnsuitable|.plain|has the engine MergeTree",
                        "TargetUnsuitable|.other|ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted)",
                        "TargetUnsuitable|.keyed|is ordered by (id, _clickpipe_version)",
                        "TargetUnsuitable|.parted|is partitioned by",
                        "TargetUnsuitable|.expiring|has a TTL that deletes rows by x, outside the sorting key",
                        "TargetUnsuitable|.erasing|has a TTL that deletes rows by _clickpipe_is_deleted"),
                refusal(
                        "target: columns missing, of other types, computed, system columns missing",
                        world -> {
                            world.source("CREATE TABLE t (id int PRIMARY KEY, x text, y int, z int)");
                            world.pipe().map("public.t");
                            world.destination(
                                    "CREATE TABLE t (id Int32, y Nullable(Date), z Nullable(Int32) ALIAS 1, _clickpipe_version UInt128, _clickpipe_is_deleted UInt8) ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id");
                        },
                        "TargetUnsuitable|.t|lacks column \"x\" Nullable(String); column \"y\" is Nullable(Date), not Nullable(Int32); column \"z\" is ALIAS, and can't be written; lacks column \"_clickpipe_synced_at\""));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void refuses(Refusal refusal) {
        world.pipe().credentialsDirectory();
        refusal.given.accept(world);
        var before = world.remains();

        var problems = world.refusal();

        assertThat(problems.stream()
                        .map(problem -> "%s|%s|%s. %s"
                                .formatted(problem.reason(), problem.object(), problem.message(), problem.remedy()))
                        .toList())
                .as("exactly these, all at once")
                .hasSize(refusal.expected.size())
                .allSatisfy(actual -> assertThat(refusal.expected)
                        .as("expected by one of these")
                        .anySatisfy(expected -> assertMatches(actual, expected)));
        assertThat(refusal.expected).allSatisfy(expected -> assertThat(problems)
                .anySatisfy(problem -> assertMatches(
                        "%s|%s|%s. %s"
                                .formatted(problem.reason(), problem.object(), problem.message(), problem.remedy()),
                        expected)));
        assertThat(problems).allSatisfy(problem -> {
            assertThat(problem.remedy()).isNotBlank();
            assertThat(problem.sentence()).doesNotContain(world.role().password());
        });
        assertThat(world.remains()).as("nothing is left behind").isEqualTo(before);
    }

    private static void assertMatches(String actual, String expected) {
        var parts = expected.split("\\|", 3);
        var actualParts = actual.split("\\|", 3);
        assertThat(actualParts[0]).isEqualTo(parts[0]);
        assertThat(actualParts[1]).contains(parts[1]);
        assertThat(actualParts[2]).contains(parts[2]);
    }

    @Test
    void refusesBothSidesAtOnceOnAServerThatIsNotPrepared() {
        var settings = Map.of("wal_level", "replica", "max_replication_slots", "1", "max_wal_senders", "1");
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION, settings)) {
            var unprepared = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            unprepared.orders().destination("CREATE VIEW orders AS SELECT 1 AS id");
            unprepared.pipe().map("public.gone");
            unprepared.admin("SELECT pg_create_physical_replication_slot('standby')");

            assertThat(unprepared.refusal())
                    .extracting(Problem::reason)
                    .containsExactlyInAnyOrder(
                            "WalLevelTooLow", "NoFreeSlot", "NoFreeSender", "SourceTableMissing", "TargetUnsuitable");
        }
    }

    @Test
    void refusesAStandby() throws Exception {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var standby = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            standby.orders();
            var data = Path.of(standby.admin().query("SHOW data_directory"));
            server.stop(PostgresServer.StopMode.FAST);
            Files.createFile(data.resolve("standby.signal"));
            server.start();

            assertThat(standby.refusal()).extracting(Problem::reason).containsExactly("SourceIsStandby");
        }
    }

    @Test
    void serversThatDoNotAnswerAreWorthAnotherTry() {
        world.orders();
        var nowhere = new Postgres("127.0.0.1", 1, "u", "hush-1", "d");
        var noEngine = new ClickHouse(java.net.URI.create("http://127.0.0.1:1"), "u", "hush-2", "d");

        assertUnanswered(nowhere, noEngine, "postgres 127.0.0.1:1/d", "clickhouse 127.0.0.1:1/d");
        assertUnanswered(nowhere, world.clickHouse(), "postgres 127.0.0.1:1/d");
        assertUnanswered(world.role(), noEngine, "clickhouse 127.0.0.1:1/d");
    }

    private void assertUnanswered(Postgres postgres, ClickHouse clickHouse, String... silent) {
        var pipe = new TestPipe(directory, postgres, clickHouse).map("public.orders");
        var setup = new Setup(pipe.pipe(), pipe.postgresClient(), pipe.clickHouseClient());

        var refused = catchThrowableOfType(PipeException.class, () -> setup.run(new Stop()));

        assertThat(refused.problems()).extracting(Problem::object).containsExactly(silent);
        assertThat(refused.problems()).extracting(Problem::reason).containsOnly("CannotConnect");
        assertThat(refused.retryable()).as("%s", List.of(silent)).isTrue();
    }

    @Test
    void refusesATargetOfAnotherPipe() throws InterruptedException {
        world.orders().run();
        world.source("CREATE TABLE b (id int PRIMARY KEY)");
        var other = new TestPipe(directory, world.role(), world.clickHouse())
                .name("other")
                .mapTo("public.b", "orders");
        var setup = new Setup(other.pipe(), other.postgresClient(), other.clickHouseClient());

        assertThatThrownBy(() -> setup.run(new Stop())).hasMessageContaining("the ClickPipe test/shop-");
    }

    @Test
    void refusesASlotThatIsRead() throws Exception {
        var slot = "s_" + world.admin().database();
        world.orders().admin("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')");
        world.source("CREATE PUBLICATION theirs FOR TABLE orders");
        world.pipe()
                .setting("replicationMode", "cdc_only")
                .setting("replicationSlotName", slot)
                .setting("publicationName", "theirs");
        var reader = world.pipe().name("reader").postgresClient();
        world.pipe().name("shop");
        try (var _ = dev.clickpipe.postgres.ReplicationStream.start(
                reader, slot, List.of("theirs"), dev.clickpipe.postgres.Lsn.ZERO)) {
            assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                    .contains("is being read by pid", "test/reader"));
        }
    }

    @Test
    void refusesALostSlot() {
        try (var server = withLittleWal()) {
            var small = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            small.orders().admin("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')");
            small.pipe().setting("replicationMode", "cdc_only").setting("replicationSlotName", "theirs");
            loseSlots(small);

            assertThat(small.refusal()).extracting(Problem::reason).containsExactly("SlotInvalidated");
        }
    }

    @Test
    void aSlotThatWasLostIsMadeAnewByAResync() throws InterruptedException {
        try (var server = withLittleWal()) {
            var small = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            small.orders().run();
            loseSlots(small);
            assertThat(small.refusal()).singleElement().satisfies(problem -> {
                assertThat(problem.reason()).isEqualTo("SlotInvalidated");
                assertThat(problem.remedy()).contains("max_slot_wal_keep_size", "spec.resync to a new value");
            });

            small.pipe().extra("  resync: again\n");
            small.run();

            assertThat(small.admin().rows("SELECT slot_name, wal_status FROM pg_replication_slots"))
                    .containsExactly(List.of(small.pipe().pipe().slot(), "reserved"));
        }
    }

    private static PostgresServer withLittleWal() {
        return PostgresServer.create(
                PostgresServer.DEFAULT_VERSION,
                Map.of("max_slot_wal_keep_size", "1MB", "min_wal_size", "32MB", "max_wal_size", "32MB"));
    }

    private static void loseSlots(World small) {
        for (int i = 0; i < 5; i++) {
            small.admin("SELECT pg_logical_emit_message(false, 'x', 'x')", "SELECT pg_switch_wal()", "CHECKPOINT");
        }
    }

    // -------------------------------------------------------------------------------------------------- what it makes

    @Test
    void makesTargetsDefinitionsPublicationsAndSlot() throws InterruptedException {
        world.source(
                "CREATE TYPE mood AS ENUM ('sad', 'ok')",
                "CREATE TABLE \"Od\"\"d `name`\" (id bigint, \"Sp ace\" text NOT NULL, m mood, tags text[], PRIMARY KEY (\"Sp ace\", id))",
                "CREATE TABLE history (at timestamptz, what text, twice int GENERATED ALWAYS AS (1) STORED)");
        world.pipe().map("public.Od\"d `name`").map("public.history", "tableEngine: MergeTree");
        world.run();

        var pipe = world.pipe().pipe();
        assertThat(world.clickHouse().query("SHOW CREATE TABLE `Od\"d \\`name\\`` FORMAT TSVRaw"))
                .contains("`id` Int64", "`Sp ace` String", "`m` LowCardinality(Nullable(String))")
                .contains("`tags` Array(Nullable(String))")
                .contains("ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted)")
                .contains("ORDER BY (`Sp ace`, id)");
        assertThat(world.clickHouse().query("SHOW CREATE TABLE history FORMAT TSVRaw"))
                .contains("ENGINE = MergeTree", "_clickpipe_operation", "_clickpipe_committed_at")
                .doesNotContain("twice");
        assertThat(new Definitions(world.pipe().clickHouseClient(), pipe).all())
                .extracting("target")
                .containsExactlyInAnyOrder("Od\"d `name`", "history");
        assertThat(
                        world.admin()
                                .rows(
                                        "SELECT p.pubname, p.pubupdate, p.pubviaroot, t.tablename FROM pg_publication p JOIN pg_publication_tables t USING (pubname) ORDER BY 1"))
                .containsExactly(
                        List.of(pipe.publication(), "t", "t", "Od\"d `name`"),
                        List.of(pipe.insertOnlyPublication(), "f", "t", "history"));
        assertThat(world.admin()
                        .rows(
                                "SELECT plugin, failover, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '"
                                        + pipe.slot() + "'"))
                .containsExactly(List.of(
                        "pgoutput",
                        "t",
                        new Offsets(world.pipe().clickHouseClient(), pipe)
                                .read()
                                .orElseThrow()
                                .lsn()
                                .toString()));
    }

    @Test
    void theApplicationGoesOnUpdatingAKeylessTable() throws InterruptedException {
        world.source("CREATE TABLE history (at timestamptz, what text)", "INSERT INTO history VALUES (now(), 'a')");
        world.pipe().map("public.history", "tableEngine: MergeTree");
        world.run();

        world.source("UPDATE history SET what = 'b'", "DELETE FROM history");
    }

    @ParameterizedTest
    @ValueSource(strings = {"cdc", "snapshot", "cdc_only"})
    void runAgainItChangesNothing(String mode) throws InterruptedException {
        world.pipe().setting("replicationMode", mode);
        world.orders().run();
        var remains = world.remains();
        var state = world.state();

        world.run();

        assertThat(world.remains()).isEqualTo(remains);
        assertThat(world.state()).isEqualTo(state);
        if (mode.equals("snapshot")) {
            assertThat(remains).containsEntry("slots", List.of()).containsEntry("publications", List.of());
        }
    }

    @Test
    void runAgainOnceRowsAreThereItChangesNothing() throws InterruptedException {
        world.orders().run();
        world.destination("INSERT INTO orders (id, state, _clickpipe_version) VALUES (1, 'new', 1)");
        world.source("ALTER TABLE orders ADD COLUMN added int");
        var state = world.state();

        world.run();

        assertThat(world.state()).isEqualTo(state);
        assertThat(world.clickHouse().count("orders")).isEqualTo(1);
    }

    @Test
    void aTableOfTheUsersServesWhenItFits() throws InterruptedException {
        world.orders()
                .destination(
                        "CREATE TABLE orders (id Int64, state LowCardinality(String), amount Nullable(Decimal(10, 2)), mine DateTime DEFAULT now(), _clickpipe_version UInt128, _clickpipe_is_deleted UInt8, _clickpipe_synced_at DateTime64(9) DEFAULT now64(9)) ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id PARTITION BY intDiv(id, 1000000)");
        var before = world.remains().get("targets");

        world.run();

        assertThat(world.remains()).containsEntry("targets", before);
    }

    @Test
    void changesOnlyMayGoIntoATableWithRows() throws InterruptedException {
        world.orders().run();
        world.destination("INSERT INTO orders (id, state, _clickpipe_version) VALUES (1, 'new', 1)");
        var second = new TestPipe(directory, world.role(), world.clickHouse())
                .name("again")
                .setting("replicationMode", "cdc_only")
                .map("public.orders");
        world.destination(
                "RENAME TABLE orders TO kept", "CREATE TABLE orders AS kept", "INSERT INTO orders SELECT * FROM kept");
        world.destination("DROP TABLE _clickpipe_tables");

        new Setup(second.pipe(), second.postgresClient(), second.clickHouseClient()).run(new Stop());

        assertThat(world.clickHouse().count("orders")).isEqualTo(1);
    }

    @Test
    void refusesToGoOnWithoutItsSlot() throws InterruptedException {
        world.orders().run();
        world.admin("SELECT pg_drop_replication_slot('" + world.pipe().pipe().slot() + "')");

        assertThat(world.refusal()).extracting(Problem::reason).containsExactly("SlotMissing");
    }

    @Test
    void aLateFailureLeavesNothingOnEitherSide() throws InterruptedException {
        world.orders();
        var before = world.remains();
        CLICKHOUSE.failNext("INSERT INTO _clickpipe_offsets", new Fault.Disconnect());

        assertThat(catchThrowableOfType(PipeException.class, world::run).retryable())
                .isTrue();

        assertThat(world.remains()).isEqualTo(before);
        world.run();
        assertThat((List<?>) world.remains().get("slots")).hasSize(1);
    }

    @Test
    void aCrashHalfwayAndAnotherSpecThenLeaveNoOrphans() throws InterruptedException {
        world.source("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY, x text NOT NULL)");
        world.pipe().map("public.a").map("public.b");
        world.run();
        // as if it had died before it recorded what it made
        world.destination("TRUNCATE TABLE _clickpipe_tables");
        var edited = new TestPipe(directory, world.role(), world.clickHouse())
                .name(world.pipe().pipe().name())
                .map("public.b", "tableEngine: MergeTree");

        new Setup(edited.pipe(), edited.postgresClient(), edited.clickHouseClient()).run(new Stop());

        assertThat(
                        world.clickHouse()
                                .rows(
                                        "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '_clickpipe_')"))
                .containsExactly(List.of("b", "MergeTree"));
        assertThat(world.admin().rows("SELECT tablename FROM pg_publication_tables"))
                .containsExactly(List.of("b"));
    }

    @Test
    void aTableThatIsNoLongerThePipesIsFullLikeAnyOther() throws InterruptedException {
        world.orders().run();
        world.destination("INSERT INTO orders (id, state, _clickpipe_version) VALUES (1, 'new', 1)");
        new Teardown(
                        world.pipe().pipe(),
                        world.pipe().postgresClient(),
                        world.pipe().clickHouseClient())
                .run(new Stop());

        assertThat(world.refusal()).extracting(Problem::reason).containsExactly("TargetNotEmpty");
    }

    @Test
    void theWidestTablePostgresCanHave() throws InterruptedException {
        world.source(IntStream.rangeClosed(1, 1600)
                .mapToObj(i -> "a_column_with_a_rather_long_name_%d int%s".formatted(i, i == 1 ? " PRIMARY KEY" : ""))
                .collect(Collectors.joining(", ", "CREATE TABLE wide (", ")")));
        world.pipe().map("public.wide");
        world.run();

        assertThat(new Definitions(world.pipe().clickHouseClient(), world.pipe().pipe())
                        .all()
                        .getFirst()
                        .columns())
                .hasSize(1600);
    }

    // ------------------------------------------------------------------------------------------------- how it waits

    @Test
    void saysOnWhomTheSlotWaits() throws Exception {
        world.orders();
        var setup = world.setup();
        var run = new FutureTask<Void>(() -> {
            setup.run(new Stop());
            return null;
        });
        try (var writer = world.admin().connect();
                var statement = writer.createStatement()) {
            statement.execute("SET application_name = 'nightly import'");
            writer.setAutoCommit(false);
            statement.execute("INSERT INTO orders VALUES (1, 'new', 1)");
            Thread.ofVirtual().start(run);

            await().untilAsserted(() -> {
                assertThat(setup.status().state()).isEqualTo(WorkerStatus.State.Working);
                assertThat(setup.status().problem()).isNotNull();
                assertThat(setup.status().problem().sentence())
                        .contains("slot clickpipe_shop_", "nightly import", "pg_terminate_backend(");
            });
            writer.commit();
        }
        run.get();

        assertThat(setup.status().problem()).isNull();
        assertThat((List<?>) world.remains().get("slots")).hasSize(1);
    }

    @Test
    void stoppedWhileItWaitsItLeavesNothing() throws Exception {
        world.orders();
        var before = world.remains();
        var stop = new Stop();
        var setup = world.setup();
        var run = new FutureTask<Void>(() -> {
            setup.run(stop);
            return null;
        });
        try (var writer = world.admin().connect();
                var statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("INSERT INTO orders VALUES (1, 'new', 1)");
            Thread.ofVirtual().start(run);
            await().until(() -> setup.status().problem() != null);

            stop.request();
            run.get();
        }
        assertThat(world.remains()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(ints = {14, 15, 16, 18})
    void servesEveryVersion(int version) throws SQLException, InterruptedException {
        try (var server = PostgresServer.create(version)) {
            var other = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            other.orders()
                    .source(
                            "CREATE TABLE parted (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
                            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
                            "CREATE TABLE history (what text)");
            other.pipe().map("public.parted").map("public.history", "tableEngine: MergeTree");
            other.run();
            other.run();

            assertThat((List<?>) other.remains().get("slots")).hasSize(1);
            assertThat(other.admin().rows("SELECT tablename FROM pg_publication_tables ORDER BY 1"))
                    .containsExactly(List.of("history"), List.of("orders"), List.of("parted"));
            var theirs = new TestPipe(directory, other.role(), other.clickHouse())
                    .name("second")
                    .setting("publicationName", "theirs")
                    .mapTo("public.orders", "orders_2");
            other.source("CREATE PUBLICATION theirs FOR TABLE orders");
            new Setup(theirs.pipe(), theirs.postgresClient(), theirs.clickHouseClient()).run(new Stop());
        }
    }
}
