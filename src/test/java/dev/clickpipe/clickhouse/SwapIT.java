package dev.clickpipe.clickhouse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition.Layout;
import dev.clickpipe.clickhouse.TableDefinition.Replacement;
import dev.clickpipe.clickhouse.TableDefinition.Request;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.postgres.Chunk;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SwapIT {
    private static final Postgres NONE = new Postgres("127.0.0.1", 1, "u", "p", "d");
    private static final Request REQUEST = new Request(
            new Layout(TableEngine.ReplacingMergeTree, List.of(), null, List.of(), true, true, List.of()), null, null);

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private TestPipe pipe;
    private ClickHouseClient client;
    private ClickHouse clickHouse;
    private Definitions definitions;
    private ChunkLedger ledger;
    private TableDefinition live;
    private TableDefinition replacement;

    @BeforeEach
    void build() {
        clickHouse = CLICKHOUSE.client();
        pipe = new TestPipe(directory, NONE, clickHouse).map("public.orders");
        client = pipe.clickHouseClient();
        definitions = new Definitions(client, pipe.pipe());
        ledger = new ChunkLedger(client, pipe.pipe());
        definitions.create();
        ledger.create();
        var wanted = TableDefinition.wanted(
                "public",
                "orders",
                1,
                "orders",
                TableEngine.ReplacingMergeTree,
                List.of("id"),
                List.of("id"),
                List.of());
        live = wanted.built(REQUEST, null, null);
        clickHouse.query("CREATE TABLE orders (v String) ENGINE = MergeTree ORDER BY v COMMENT '"
                + TargetTable.comment(pipe.pipe(), live) + "'");
        clickHouse.query("INSERT INTO orders VALUES ('old')");
        definitions.record(live);
        ledger.plan(live.build(), List.of(new Chunk(1, 1, 0, -1, 1)));
        var beside = wanted.withTarget("orders_resync").built(REQUEST, new Replacement("orders", "?"), null);
        clickHouse.query(
                "CREATE TABLE orders_resync AS orders COMMENT '" + TargetTable.comment(pipe.pipe(), beside) + "'");
        clickHouse.query("INSERT INTO orders_resync VALUES ('new')");
        replacement = beside.built(
                REQUEST,
                new Replacement(
                        "orders", TargetTable.uuid(client, "orders_resync").orElseThrow()),
                null);
        definitions.record(replacement);
        replacement = definitions.record(replacement, new TableDefinition.Loading("0/1", "0/2"));
        ledger.loaded(
                ledger.plan(replacement.build(), List.of(new Chunk(1, 2, 0, -1, 1))),
                ledger.plans().get(replacement.build()).entries().getFirst(),
                Lsn.parse("0/1"),
                1);
    }

    @AfterEach
    void dropAll() {
        client.close();
        for (var row : clickHouse.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")) {
            clickHouse.query("DROP TABLE `" + row.getFirst() + "` SYNC");
        }
    }

    /** As a worker does that starts: from what is recorded. */
    private void swap() {
        for (var each : definitions.all()) {
            if (each.replaces()) {
                new Swap(client, pipe.pipe()).run(each, definitions.all());
            }
        }
    }

    private void assertSwapped(String comment) {
        assertThat(
                        clickHouse.rows(
                                "SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '_') "))
                .containsExactly(List.of("orders", comment));
        assertThat(clickHouse.query("SELECT v FROM orders")).isEqualTo("new");
        assertThat(definitions.all()).containsExactly(replacement.live());
        assertThat(ledger.plans()).containsOnlyKeys(replacement.build());
    }

    @Test
    void theReplacementIsTheLiveTableThen() {
        swap();

        assertSwapped(TargetTable.comment(pipe.pipe(), live));
        swap();
        assertSwapped(TargetTable.comment(pipe.pipe(), live));
    }

    static Stream<Arguments> faults() {
        return Stream.of(
                        "MODIFY COMMENT",
                        "EXCHANGE TABLES",
                        "DROP TABLE IF EXISTS",
                        "ALTER TABLE _clickpipe_tables DELETE",
                        "ALTER TABLE _clickpipe_chunks DELETE",
                        "INSERT INTO _clickpipe_tables")
                .flatMap(statement -> Stream.of(new Fault.Disconnect(), new Fault.LoseAnswer())
                        .map(fault -> Arguments.of(statement, fault)));
    }

    @ParameterizedTest
    @MethodSource("faults")
    void cutOffAnywhereItIsDoneAgain(String statement, Fault fault) {
        CLICKHOUSE.failNext(statement, fault);
        assertThat(catchThrowableOfType(PipeException.class, this::swap).retryable())
                .isTrue();
        assertThat(clickHouse.query("SELECT v FROM orders"))
                .as("there is always one to read")
                .isIn("old", "new");

        swap();

        assertSwapped(TargetTable.comment(pipe.pipe(), live));
    }

    @Test
    void aTableOfTheUsersStaysTheirs() {
        clickHouse.query("ALTER TABLE orders MODIFY COMMENT 'it''s mine'");

        swap();

        assertSwapped("it\\'s mine");
    }

    @Test
    void nothingIsToBeReplacedAnyMore() {
        clickHouse.query("DROP TABLE orders SYNC");
        definitions.forget(live);
        ledger.forget(live.build());

        swap();

        assertSwapped(TargetTable.comment(pipe.pipe(), live));
    }

    /** Nobody else's table takes the live one's place. */
    @Test
    void refusesWhatSomebodyElsePutThere() {
        clickHouse.query("CREATE OR REPLACE TABLE orders_resync (v String) ENGINE = MergeTree ORDER BY v");

        assertThatThrownBy(this::swap)
                .hasMessageContaining("orders_resync: was dropped or replaced by someone else")
                .hasMessageContaining("Set resync to a new value");
        assertThat(clickHouse.query("SELECT v FROM orders")).isEqualTo("old");
    }

    @Test
    void viewsOfTheLiveTableSeeWhatTheNewOneGets() {
        clickHouse.query("CREATE TABLE seen (v String) ENGINE = MergeTree ORDER BY v");
        clickHouse.query("CREATE MATERIALIZED VIEW sees TO seen AS SELECT v FROM orders");

        swap();
        clickHouse.query("INSERT INTO orders VALUES ('later')");

        assertThat(clickHouse.query("SELECT v FROM seen")).isEqualTo("later");
    }
}
