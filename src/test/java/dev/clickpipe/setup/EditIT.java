package dev.clickpipe.setup;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.Swap;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.clickhouse.Views;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.teardown.Teardown;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Setup of a pipe that ran already, after each kind of edit. What stream and load do in between is recorded by the test. */
class EditIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private World world;
    private Definitions definitions;

    @BeforeEach
    void accept() throws InterruptedException {
        world = World.create(POSTGRES.client(), CLICKHOUSE.client(), directory);
        world.source(
                "CREATE TABLE a (id int PRIMARY KEY, x text NOT NULL)",
                "CREATE TABLE b (id int PRIMARY KEY, x text)",
                "CREATE TABLE c (what text)");
        world.pipe().map("public.a").map("public.b");
        definitions =
                new Definitions(world.pipe().clickHouseClient(), world.pipe().pipe());
        world.run();
        loaded("a", "b");
    }

    @AfterEach
    void destroy() {
        world.destroy();
    }

    /** As if it had been loaded, one row. */
    private void loaded(String... targets) {
        for (var target : targets) {
            world.destination("INSERT INTO " + target + " (_clickpipe_version) VALUES (1)");
            definitions.record(build(target), new Loading("0/1", "0/2"));
        }
    }

    private TableDefinition build(String target) {
        return find(target).orElseThrow();
    }

    private Optional<TableDefinition> find(String target) {
        return definitions.all().stream()
                .filter(build -> build.target().equals(target))
                .findFirst();
    }

    private List<String> builds() {
        return definitions.all().stream().map(TableDefinition::target).sorted().toList();
    }

    private List<String> tables() {
        return world
                .clickHouse()
                .rows(
                        "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '_clickpipe_') ORDER BY 1")
                .stream()
                .map(List::getFirst)
                .toList();
    }

    private List<List<String>> published() {
        return world.admin()
                .rows(
                        "SELECT CASE WHEN pubname LIKE '%_ins' THEN 'inserts' ELSE 'all' END, tablename FROM pg_publication_tables ORDER BY 1, 2");
    }

    private String slot() {
        return world.admin()
                .query("SELECT slot_name || ' ' || confirmed_flush_lsn FROM pg_replication_slots WHERE database = '"
                        + world.admin().database() + "'");
    }

    private void resync(String token) {
        world.pipe().extra("  resync: " + token + "\n");
    }

    private void assertNothingChangesAgain() throws InterruptedException {
        var remains = world.remains();
        var state = world.state();
        world.run();
        assertThat(world.remains()).isEqualTo(remains);
        assertThat(world.state()).isEqualTo(state);
    }

    // ------------------------------------------------------------------------------------------------------- resync

    /** The stream records its offset, then the slot moves; Setup reads both while that happens. */
    @Test
    void aStreamThatGetsOnMeanwhileIsNobodyElsesDoing() {
        var pipe = world.pipe().pipe();
        var client = world.pipe().clickHouseClient();
        var offsets = new Offsets(client, pipe);
        var before = new Recorded(definitions.all(), offsets.read(), TargetTable.list(client));
        var now = Lsn.parse(
                world.admin().query("SELECT pg_current_wal_insert_lsn() FROM pg_logical_emit_message(true, '', '')"));
        offsets.record(before.offset().orElseThrow().at(now));
        world.admin("SELECT pg_replication_slot_advance('%s', '%s')".formatted(pipe.slot(), now));
        var postgres = world.pipe().postgresClient();

        assertThat(SourceChecks.run(pipe, postgres, before, offsets::read).problems())
                .isEmpty();
        assertThat(SourceChecks.run(pipe, postgres, before, before::offset).problems())
                .extracting(Problem::reason)
                .containsExactly("SlotAdvanced");
    }

    @Test
    void aNewTokenBuildsEveryTableBesideTheLiveOne() throws InterruptedException {
        var slot = slot();
        resync("B");
        var setup = world.setup();
        setup.run(new Stop());

        assertThat(tables()).containsExactly("a", "a_resync", "b", "b_resync");
        assertThat(world.clickHouse().count("a")).isEqualTo(1);
        assertThat(build("a").replaces()).isFalse();
        var beside = build("a_resync");
        assertThat(beside.replacement().live()).isEqualTo("a");
        assertThat(beside.request().resync()).isEqualTo("B");
        assertThat(beside.publishing().publication())
                .as("its changes are followed already")
                .isEqualTo(build("a").publishing().publication());
        assertThat(beside.loadable()).as("before the stream writes it too").isFalse();
        assertThat(slot()).isEqualTo(slot);
        assertThat(setup.status().load())
                .extracting("tablesDone", "tablesTotal", "replacements")
                .containsExactly(2, 4, 2);
        assertNothingChangesAgain();

        world.pipe().extra("");
        assertNothingChangesAgain();
    }

    @Test
    void anotherTokenStartsOver() throws InterruptedException {
        resync("B");
        world.run();
        loaded("a_resync");
        var first = build("a_resync");

        resync("C");
        world.run();

        assertThat(builds()).containsExactly("a", "a_resync", "b", "b_resync");
        assertThat(build("a_resync").build()).isNotEqualTo(first.build());
        assertThat(build("a_resync").loaded()).isFalse();
        assertThat(world.clickHouse().count("a_resync")).isZero();
    }

    @Test
    void theLayoutThatIsThereIsWantedAgain() throws InterruptedException {
        world.pipe().unmap().map("public.a", "excludedColumns: [x]").map("public.b");
        world.run();
        assertThat(builds()).containsExactly("a", "a_resync", "b");
        assertThat(world.clickHouse().query("SHOW CREATE TABLE a_resync")).doesNotContain("`x`");

        world.pipe().unmap().map("public.a").map("public.b");
        world.run();

        assertThat(builds()).containsExactly("a", "b");
        assertThat(tables()).containsExactly("a", "b");
    }

    @Test
    void aColumnOfAnotherTypeIsBuiltBeside() throws InterruptedException {
        world.pipe()
                .unmap()
                .map("public.a", "columns: [{name: id, targetType: Int64}, {name: x, nullable: true}]")
                .map("public.b", "columns: [{name: x, nullable: false}]");
        world.run();
        assertThat(builds()).containsExactly("a", "a_resync", "b", "b_resync");
        assertThat(columns("a_resync")).startsWith(List.of("id", "Int64"), List.of("x", "Nullable(String)"));
        assertThat(columns("b_resync")).startsWith(List.of("id", "Int32"), List.of("x", "String"));
        loaded("a_resync", "b_resync");
        for (var target : List.of("a", "b")) {
            new Swap(world.pipe().clickHouseClient(), world.pipe().pipe())
                    .run(build(target + "_resync"), definitions.all());
        }
        assertNothingChangesAgain();

        world.pipe().unmap().map("public.a", "columns: []").map("public.b");
        world.run();

        assertThat(columns("a_resync")).startsWith(List.of("id", "Int32"), List.of("x", "String"));
        assertThat(columns("b_resync")).startsWith(List.of("id", "Int32"), List.of("x", "Nullable(String)"));
    }

    @Test
    void whatWasRecordedBeforeColumnsCouldBeChosenIsStillWanted() throws InterruptedException {
        world.destination(
                "INSERT INTO _clickpipe_tables SELECT * REPLACE (replace(content, ',\"choices\":[]', '') AS content, version + 1 AS version) FROM _clickpipe_tables FINAL WHERE part = 'definition'");
        assertThat(world.clickHouse()
                        .query("SELECT count() FROM _clickpipe_tables FINAL WHERE content LIKE '%choices%'"))
                .isEqualTo("0");

        world.run();

        assertThat(builds()).containsExactly("a", "b");
        assertThat(tables()).containsExactly("a", "b");
    }

    private List<List<String>> columns(String table) {
        return world.clickHouse()
                .rows("SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '" + table
                        + "' ORDER BY position");
    }

    @Test
    void afterTheSwapTheSameTokenStartsNothing() throws InterruptedException {
        world.pipe().unmap().map("public.a", "resync: t1").map("public.b");
        world.run();
        assertThat(builds()).containsExactly("a", "a_resync", "b");
        loaded("a_resync");
        new Swap(world.pipe().clickHouseClient(), world.pipe().pipe()).run(build("a_resync"), definitions.all());

        assertNothingChangesAgain();
        assertThat(builds()).containsExactly("a", "b");
    }

    @Test
    void whatTheUserAddedIsInTheReplacement() throws InterruptedException {
        world.destination(
                "ALTER TABLE a ADD COLUMN `my ``col` DateTime DEFAULT now() COMMENT 'it''s, (mine)', ADD COLUMN y String MATERIALIZED upper(x)",
                "ALTER TABLE a MODIFY COLUMN x String COMMENT 'text' CODEC(ZSTD(7))",
                "ALTER TABLE a ADD INDEX ix x TYPE bloom_filter GRANULARITY 3, ADD CONSTRAINT positive CHECK id >= 0",
                "ALTER TABLE a MODIFY SETTING deduplicate_merge_projection_mode = 'drop', min_bytes_for_wide_part = 7",
                "ALTER TABLE a ADD PROJECTION by_x (SELECT id, x ORDER BY x)",
                "ALTER TABLE a MODIFY TTL `my ``col` + INTERVAL 1 YEAR WHERE toString(id) != 'a, SETTINGS b'");
        // and what the source has become meanwhile
        world.source("ALTER TABLE a ALTER id TYPE bigint, ADD COLUMN added date");
        resync("B");
        world.run();

        assertThat(world.clickHouse().query("SHOW CREATE TABLE a_resync FORMAT TSVRaw"))
                .contains("`id` Int64", "`added` Nullable(Date32)", "`x` String COMMENT 'text' CODEC(ZSTD(7))")
                .contains("`my \\`col` DateTime DEFAULT now() COMMENT 'it\\'s, (mine)'")
                .contains("`y` String MATERIALIZED upper(x)")
                .contains("INDEX ix x TYPE bloom_filter GRANULARITY 3", "CONSTRAINT positive CHECK id >= 0")
                .contains(
                        "PROJECTION by_x", "min_bytes_for_wide_part = 7", "deduplicate_merge_projection_mode = 'drop'")
                .contains("!= 'a, SETTINGS b'")
                .contains("ORDER BY (id)");
    }

    @Test
    void aTtlThatLetsDeletedRowsComeBackIsNotCopied() throws InterruptedException {
        world.destination(
                "ALTER TABLE a ADD COLUMN mine DateTime DEFAULT toDateTime(length(x)), MODIFY TTL mine + INTERVAL 1 DAY");
        resync("B");

        assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                .contains(".a", "deletes rows by x", "MODIFY TTL"));
        assertThat(builds()).containsExactly("a", "b");
    }

    @Test
    void whatTheUserAddedMayNotFitAnyMore() throws InterruptedException {
        world.destination("ALTER TABLE a ADD INDEX ix x TYPE bloom_filter GRANULARITY 3");
        world.pipe()
                .unmap()
                .map("public.a", "excludedColumns: [x]")
                .map("public.b")
                .map("public.c", "tableEngine: MergeTree");

        assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                .contains("a_resync", "Missing columns", "'x'", "take off what does not"));
        assertThat(tables()).containsExactly("a", "b");
        assertThat(builds()).containsExactly("a", "b");
        assertThat(published()).hasSize(2);
    }

    /** A load beside it would pass by the views. */
    @Test
    void aNullTableIsLoadedAgainInItsPlace() throws InterruptedException {
        world.source("CREATE TABLE d (id int PRIMARY KEY, x text, y text)");
        world.pipe().map("public.d", "tableEngine: 'Null'", "excludedColumns: [y]");
        world.run();
        definitions.record(build("d"), new Loading("0/1", "0/2"));
        world.destination(
                "ALTER TABLE d ADD COLUMN mine Int8 DEFAULT 7",
                "CREATE TABLE seen (id Int32, mine Int8) ENGINE = MergeTree ORDER BY id",
                "CREATE MATERIALIZED VIEW view TO seen AS SELECT id, mine FROM d");
        var first = build("d");

        for (var excluded : List.of("y", "x")) {
            world.pipe()
                    .unmap()
                    .map("public.a")
                    .map("public.b")
                    .map("public.d", "tableEngine: 'Null'", "resync: again", "excludedColumns: [" + excluded + "]");
            world.run();
            assertThat(builds()).containsExactly("a", "b", "d");
            assertThat(build("d").build()).isNotEqualTo(first.build());
            assertThat(build("d").loaded()).isFalse();
            assertThat(build("d").loadable()).as("before the stream writes it").isFalse();
        }
        assertThat(world.clickHouse().query("SHOW CREATE TABLE d FORMAT TSVRaw"))
                .contains("`y` ", "`mine` Int8 DEFAULT 7")
                .doesNotContain("`x`");
        world.destination("INSERT INTO d (id) VALUES (1)");
        assertThat(world.clickHouse().query("SELECT * FROM seen")).isEqualTo("1\t7");
        assertThat(Views.countingTwice(world.pipe().clickHouseClient(), "d")).hasSize(1);
        world.destination("ALTER TABLE seen MODIFY SETTING non_replicated_deduplication_window = 100");
        assertThat(Views.countingTwice(world.pipe().clickHouseClient(), "d")).isEmpty();

        world.pipe().unmap().map("public.a").map("public.b");
        world.run();
        world.pipe().map("public.d", "tableEngine: 'Null'");
        world.run();
        assertThat(world.clickHouse().query("SHOW CREATE TABLE d FORMAT TSVRaw"))
                .contains("`x` ", "`mine` Int8");
    }

    @Test
    void whatIsNotLoadedIsBuiltInItsPlace() throws InterruptedException {
        world.source("CREATE TABLE d (id int, x text, y text, PRIMARY KEY (id, x))");
        world.pipe().map("public.d");
        world.run();
        world.destination("ALTER TABLE d ADD COLUMN mine Int8");
        var first = build("d");

        world.pipe()
                .unmap()
                .map("public.a")
                .map("public.b")
                .map("public.d", "useCustomSortingKey: true", "sortingKeys: [x, id]");
        world.run();

        assertThat(builds()).containsExactly("a", "b", "d");
        assertThat(build("d").build()).isNotEqualTo(first.build());
        assertThat(build("d").publishing()).isEqualTo(first.publishing());
        assertThat(world.clickHouse().query("SHOW CREATE TABLE d FORMAT TSVRaw"))
                .contains("ORDER BY (x, id)", "`mine` Int8");
    }

    @Test
    void theUsersTableInTheWayIsNotTouched() throws InterruptedException {
        world.destination("CREATE TABLE a_resync (mine Int8) ENGINE = MergeTree ORDER BY mine");
        resync("B");

        assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                .contains("a_resync", "not the pipe's", "Rename or drop it"));
        assertThat(tables()).containsExactly("a", "a_resync", "b");
    }

    // ---------------------------------------------------------------------------------------------- partitionByExpr

    @Test
    void partitions() throws InterruptedException {
        world.pipe()
                .unmap()
                .map("public.a", "partitionByExpr: 'intDiv(id, 1000)'")
                .map("public.b");
        world.run();

        assertThat(world.clickHouse().query("SHOW CREATE TABLE a_resync FORMAT TSVRaw"))
                .contains("PARTITION BY intDiv(id, 1000)");
    }

    @Test
    void partitionsThatCannotBeLeaveNothingBehind() {
        world.pipe()
                .unmap()
                .map("public.a", "partitionByExpr: 'nix(id)'")
                .map("public.b", "partitionByExpr: 'length(x)'")
                .map("public.c", "tableEngine: MergeTree");

        assertThat(world.refusal())
                .extracting(Problem::sentence)
                .satisfiesExactlyInAnyOrder(
                        problem -> assertThat(problem).contains("nix", "Correct partitionByExpr"),
                        problem ->
                                assertThat(problem).contains("partitionByExpr of public.b", "outside the sorting key"));
        assertThat(tables()).containsExactly("a", "b");
        assertThat(builds()).containsExactly("a", "b");
    }

    // ------------------------------------------------------------------------------------------------ add and remove

    @Test
    void addsAndRemovesInOneEdit() throws InterruptedException {
        var slot = slot();
        var kept = build("b");
        world.pipe().unmap().map("public.b").map("public.c", "tableEngine: MergeTree");
        world.run();

        assertThat(builds()).containsExactly("b", "c");
        assertThat(build("b")).isEqualTo(kept);
        assertThat(build("c").publishing().from()).isNotNull();
        assertThat(published()).containsExactly(List.of("all", "b"), List.of("inserts", "c"));
        assertThat(tables()).containsExactly("a", "b", "c");
        assertThat(world.clickHouse().count("a")).isEqualTo(1);
        assertThat(slot()).isEqualTo(slot);
        assertNothingChangesAgain();

        // and back: who reads the table goes on with the rows it has, until it is loaded
        world.pipe().unmap().map("public.a").map("public.b");
        world.run();

        assertThat(builds()).containsExactly("a_resync", "b");
        assertThat(published()).containsExactly(List.of("all", "a"), List.of("all", "b"));
        assertThat(world.clickHouse().count("a")).isEqualTo(1);
        assertNothingChangesAgain();
        loaded("a_resync");
        new Swap(world.pipe().clickHouseClient(), world.pipe().pipe()).run(build("a_resync"), definitions.all());
        assertNothingChangesAgain();
        assertThat(builds()).containsExactly("a", "b");
    }

    @Test
    void removesTheTargetWhereDeletionIsWanted() throws InterruptedException {
        world.pipe().deletionPolicy("Delete").unmap().map("public.b");
        world.run();

        assertThat(builds()).containsExactly("b");
        assertThat(tables()).containsExactly("b");
    }

    @Test
    void removesATableThatIsBeingRebuilt() throws InterruptedException {
        resync("B");
        world.run();
        world.pipe().unmap().map("public.b");
        world.run();

        assertThat(builds()).containsExactly("b", "b_resync");
        assertThat(tables()).containsExactly("a", "b", "b_resync");
    }

    @Test
    void publicationsOfTheUsersMustHaveTheTable() throws InterruptedException {
        world.source("CREATE PUBLICATION theirs FOR TABLE a, b");
        world.pipe().setting("publicationName", "theirs");
        world.run();
        world.source("CREATE TABLE d (id int PRIMARY KEY)");
        world.pipe().map("public.d");

        assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                .contains("does not contain public.d", "ALTER PUBLICATION \"theirs\" ADD TABLE \"public\".\"d\""));
        assertThat(builds()).containsExactly("a", "b");

        world.source("ALTER PUBLICATION theirs ADD TABLE d");
        world.run();
        assertThat(build("d").publishing().publication()).isEqualTo("theirs");
        assertThat(build("d").publishing().from()).isNotNull();
    }

    /** A stream that connects behind it sees no transaction to which the table was not published. */
    @Test
    void waitsForOlderTransactionsAndSaysForWhom() throws Exception {
        world.pipe().map("public.c", "tableEngine: MergeTree");
        var setup = world.setup();
        var run = new FutureTask<Void>(() -> {
            setup.run(new Stop());
            return null;
        });
        try (var writer = world.admin().connect();
                var statement = writer.createStatement()) {
            statement.execute("SET application_name = 'nightly import'");
            writer.setAutoCommit(false);
            statement.execute("INSERT INTO b VALUES (1)");
            Thread.ofVirtual().start(run);
            await().untilAsserted(() -> {
                assertThat(setup.status().problem()).isNotNull();
                assertThat(setup.status().problem().sentence())
                        .contains("publication clickpipe_shop_", "nightly import", "pg_terminate_backend(");
            });
            assertThat(published()).contains(List.of("inserts", "c"));
            assertThat(builds()).containsExactly("a", "b");
            writer.commit();
        }
        run.get();

        assertThat(world.admin()
                        .query("SELECT '" + build("c").publishing().from()
                                + "'::pg_lsn <= pg_current_wal_insert_lsn()"))
                .isEqualTo("t");
    }

    // ---------------------------------------------------------------------------------------------- changes were
    // missed

    static Stream<Arguments> losses() {
        return Stream.of(
                Arguments.of("SELECT pg_drop_replication_slot('%1$s')", "SlotMissing"),
                Arguments.of("DROP PUBLICATION %2$s", "PublicationMissing"),
                Arguments.of(
                        "SELECT pg_logical_emit_message(true, '', ''), pg_replication_slot_advance('%1$s', pg_current_wal_insert_lsn())",
                        "SlotAdvanced"));
    }

    @ParameterizedTest
    @MethodSource("losses")
    void aResyncOfThePipeBeginsAnew(String loss, String reason) throws InterruptedException {
        var pipe = world.pipe().pipe();
        world.admin("INSERT INTO a VALUES (1, 'x')", loss.formatted(pipe.slot(), pipe.publication()));
        assertThat(world.refusal()).singleElement().satisfies(problem -> {
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.remedy()).contains("spec.resync to a new value");
        });
        assertThat(build("a").publishing()).isNotNull();

        resync("B");
        world.run();

        assertThat(builds()).containsExactly("a", "a_resync", "b", "b_resync");
        assertThat(build("a").publishing()).as("nobody follows it").isNull();
        assertThat(build("a_resync").publishing().from())
                .as("any stream will do")
                .isNull();
        assertThat(published()).containsExactly(List.of("all", "a"), List.of("all", "b"));
        assertThat(slot())
                .isEqualTo(pipe.slot() + " "
                        + new Offsets(world.pipe().clickHouseClient(), pipe)
                                .read()
                                .orElseThrow()
                                .lsn());
        assertNothingChangesAgain();

        // what has a gap does not come back
        resync("A");
        world.run();
        assertThat(builds()).containsExactly("a", "a_resync", "b", "b_resync");
    }

    @Test
    void fromChangesToALoadAndBack() throws InterruptedException {
        world.pipe().map("public.c", "tableEngine: MergeTree");
        world.run();
        world.pipe().setting("replicationMode", "snapshot");
        world.run();

        assertThat(world.remains()).containsEntry("slots", List.of()).containsEntry("publications", List.of());
        assertThat(builds()).containsExactly("a", "b", "c");
        assertThat(definitions.all()).allSatisfy(build -> {
            assertThat(build.publishing()).isNull();
            assertThat(build.loadable()).isTrue();
        });
        assertThat(build("a").loaded()).isTrue();
        assertNothingChangesAgain();

        world.pipe().setting("replicationMode", "cdc");
        world.run();

        assertThat(builds()).as("c was not loaded").containsExactly("a", "a_resync", "b", "b_resync", "c");
        assertThat(build("c").publishing()).isNotNull();
        assertThat((List<?>) world.remains().get("slots")).hasSize(1);
        assertNothingChangesAgain();
    }

    @Test
    void changesOnlyCannotBuildAnew() throws InterruptedException {
        world.pipe()
                .setting("replicationMode", "cdc_only")
                .unmap()
                .map("public.a", "excludedColumns: [x]")
                .map("public.b");

        assertThat(world.refusal()).singleElement().satisfies(problem -> assertThat(problem.sentence())
                .contains("public.a", "cdc_only loads nothing", "use replicationMode: cdc"));
    }

    // --------------------------------------------------------------------------------------------------- cut off

    /** As a process that is killed: nothing is taken back. */
    private void killed() throws InterruptedException {
        var pipe = world.pipe();
        new Setup(pipe.pipe(), pipe.postgresClient(), pipe.clickHouseClient(), new Undo() {
                    @Override
                    void run() {}
                })
                .run(new Stop());
    }

    static Stream<Arguments> cuts() {
        return Stream.of(
                        "CREATE TABLE `a_resync`",
                        "CREATE OR REPLACE TABLE `d`",
                        "CREATE TABLE `c`",
                        "ALTER TABLE _clickpipe_tables DELETE",
                        "INSERT INTO _clickpipe_tables")
                .flatMap(statement -> Stream.of(new Fault.Disconnect(), new Fault.LoseAnswer())
                        .map(fault -> Arguments.of(statement, fault)));
    }

    @ParameterizedTest
    @MethodSource("cuts")
    void cutOffAnywhereItIsDoneAgain(String statement, Fault fault) throws InterruptedException {
        world.source("CREATE TABLE d (id int PRIMARY KEY, x text)");
        world.pipe().map("public.d");
        world.run();
        world.pipe()
                .unmap()
                .map("public.a", "resync: t1")
                .map("public.c", "tableEngine: MergeTree")
                .map("public.d", "excludedColumns: [x]");
        CLICKHOUSE.failNext(statement, fault);
        assertThat(catchThrowableOfType(PipeException.class, this::killed)).isNotNull();

        world.run();

        assertThat(builds()).containsExactly("a", "a_resync", "c", "d");
        assertThat(tables()).containsExactly("a", "a_resync", "b", "c", "d");
        assertThat(published()).containsExactly(List.of("all", "a"), List.of("all", "d"), List.of("inserts", "c"));
        assertThat(world.clickHouse().query("SHOW CREATE TABLE d")).doesNotContain("`x`");
        assertThat(world.clickHouse().count("a")).isEqualTo(1);
        assertNothingChangesAgain();

        // all of it at once, in mid-resync
        new Teardown(
                        world.pipe().pipe(),
                        world.pipe().postgresClient(),
                        world.pipe().clickHouseClient())
                .run(new Stop());
        assertThat(tables()).containsExactly("a", "b", "c", "d");
        assertThat(world.remains()).containsEntry("slots", List.of()).containsEntry("publications", List.of());
    }

    @Test
    void cutOffAndEditedAgainNothingIsLeftBeside() throws InterruptedException {
        resync("B");
        CLICKHOUSE.failNext("INSERT INTO _clickpipe_tables", new Fault.Disconnect());
        assertThat(catchThrowableOfType(PipeException.class, this::killed)).isNotNull();
        assertThat(tables()).contains("a_resync");

        world.pipe().extra("");
        world.run();

        assertThat(tables()).containsExactly("a", "b");
    }

    @Test
    void aSwapThatWasCutOffIsEndedFirst() throws InterruptedException {
        world.pipe().unmap().map("public.a", "resync: t1").map("public.b");
        world.run();
        loaded("a_resync");
        CLICKHOUSE.failNext("DROP TABLE IF EXISTS `a_resync`", new Fault.Disconnect());
        assertThat(catchThrowableOfType(PipeException.class, () -> new Swap(
                                world.pipe().clickHouseClient(), world.pipe().pipe())
                        .run(build("a_resync"), definitions.all())))
                .isNotNull();
        world.pipe().unmap().map("public.a", "resync: t2").map("public.b");
        world.run();

        assertThat(builds()).containsExactly("a", "a_resync", "b");
        assertThat(build("a").request().tableResync()).isEqualTo("t1");
        assertThat(build("a_resync").request().tableResync()).isEqualTo("t2");
    }

    @Test
    void onTheOldestPostgres() throws InterruptedException {
        try (var server = PostgresServer.create(14)) {
            world.destroy();
            world = World.create(server.client("postgres"), CLICKHOUSE.client(), directory);
            world.source("CREATE TABLE a (id int PRIMARY KEY, x text NOT NULL)", "CREATE TABLE b (id int PRIMARY KEY)");
            world.pipe().map("public.a");
            definitions = new Definitions(
                    world.pipe().clickHouseClient(), world.pipe().pipe());
            world.run();
            loaded("a");

            world.pipe().unmap().map("public.a", "resync: t1").map("public.b");
            world.run();

            assertThat(builds()).containsExactly("a", "a_resync", "b");
            assertThat(published()).containsExactly(List.of("all", "a"), List.of("all", "b"));
            world.pipe().unmap().map("public.b");
            world.run();
            assertThat(published()).containsExactly(List.of("all", "b"));
        }
        world = World.create(POSTGRES.client(), CLICKHOUSE.client(), directory);
    }
}
