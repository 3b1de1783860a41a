package dev.clickpipe.teardown;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.ReplicationStream;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class TeardownIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void createTables() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
        postgres.execute(
                "CREATE TABLE orders (id int PRIMARY KEY)",
                "CREATE TABLE history (what text)",
                "CREATE TABLE mine (id int PRIMARY KEY)");
    }

    @AfterEach
    void dropAll() throws InterruptedException {
        teardown(shop());
        teardown(pipe("other").map("public.mine"));
        postgres.execute("DROP TABLE orders, history, mine", "DROP PUBLICATION IF EXISTS theirs");
        for (var row : clickHouse.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")) {
            clickHouse.query("DROP TABLE `" + row.getFirst() + "` SYNC");
        }
    }

    private TestPipe pipe(String name) {
        return new TestPipe(directory, postgres, clickHouse).name(name);
    }

    private TestPipe shop() {
        return pipe("shop")
                .map("public.orders")
                .map("public.history", "tableEngine: MergeTree")
                .map("public.mine");
    }

    private static void setup(TestPipe pipe) throws InterruptedException {
        try (var client = pipe.clickHouseClient()) {
            new Setup(pipe.pipe(), pipe.postgresClient(), client).run(new Stop());
        }
    }

    private static void teardown(TestPipe pipe) throws InterruptedException {
        try (var client = pipe.clickHouseClient()) {
            new Teardown(pipe.pipe(), pipe.postgresClient(), client, Duration.ofSeconds(20)).run(new Stop());
        }
    }

    private List<String> slots() {
        return postgres
                .rows("SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1")
                .stream()
                .map(List::getFirst)
                .toList();
    }

    private List<String> publications() {
        return postgres.rows("SELECT pubname FROM pg_publication ORDER BY 1").stream()
                .map(List::getFirst)
                .toList();
    }

    private List<String> tables() {
        return clickHouse.rows("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY 1").stream()
                .map(List::getFirst)
                .toList();
    }

    @Test
    void retainKeepsTheTargets() throws InterruptedException {
        setup(shop());
        clickHouse.query("INSERT INTO orders (id, _clickpipe_version) VALUES (1, 1)");

        teardown(shop());

        assertThat(slots()).isEmpty();
        assertThat(publications()).isEmpty();
        assertThat(tables()).containsExactly("history", "mine", "orders");
        assertThat(clickHouse.count("orders")).isEqualTo(1);
    }

    @Test
    void deleteDropsTheTargetsThePipeMadeAndNoOthers() throws InterruptedException {
        clickHouse.query(
                "CREATE TABLE mine (id Int32, _clickpipe_version UInt128, _clickpipe_is_deleted UInt8, _clickpipe_synced_at DateTime64(9) DEFAULT now64(9)) ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY id");
        clickHouse.query("CREATE TABLE unrelated (id Int32) ENGINE = MergeTree ORDER BY id");
        setup(shop().deletionPolicy("Delete"));

        teardown(shop().deletionPolicy("Delete"));

        assertThat(tables()).containsExactly("mine", "unrelated");
    }

    @Test
    void anotherPipesStateAndTargetsStay() throws InterruptedException {
        setup(pipe("other").map("public.mine"));
        setup(pipe("shop").map("public.orders"));

        teardown(pipe("shop").map("public.orders").deletionPolicy("Delete"));

        assertThat(tables()).containsExactly("_clickpipe_offsets", "_clickpipe_tables", "mine");
        assertThat(clickHouse.query("SELECT DISTINCT pipe_name FROM _clickpipe_tables"))
                .isEqualTo("test/other");
        assertThat(slots()).singleElement().asString().startsWith("clickpipe_other_");
    }

    @Test
    void theUsersSlotAndPublicationStay() throws InterruptedException {
        var slot = "theirs_" + postgres.database();
        postgres.execute(
                "CREATE PUBLICATION theirs FOR TABLE orders",
                "SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')");
        var pipe = pipe("shop")
                .setting("replicationMode", "cdc_only")
                .setting("publicationName", "theirs")
                .setting("replicationSlotName", slot)
                .map("public.orders");
        setup(pipe);

        teardown(pipe);

        assertThat(slots()).containsExactly(slot);
        assertThat(publications()).containsExactly("theirs");
        postgres.execute("SELECT pg_drop_replication_slot('" + slot + "')");
    }

    @Test
    void endsAWorkerThatStillReadsTheSlot() throws InterruptedException {
        var shop = shop();
        setup(shop);
        var pipe = shop.pipe();
        try (var _ =
                ReplicationStream.start(shop.postgresClient(), pipe.slot(), List.of(pipe.publication()), Lsn.ZERO)) {
            teardown(shop);
        }
        assertThat(slots()).isEmpty();
    }

    /** As long DDL holds it. */
    @Test
    void anExclusiveLockOnATableHoldsNothingUp() throws SQLException, InterruptedException {
        setup(shop());
        try (var connection = postgres.connect();
                var ddl = connection.createStatement()) {
            connection.setAutoCommit(false);
            ddl.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE");
            teardown(shop());
            assertThat(slots()).isEmpty();
            assertThat(publications()).isEmpty();
        }
    }

    @Test
    void twiceIsOnce() throws InterruptedException {
        setup(shop());
        teardown(shop());

        teardown(shop());

        assertThat(slots()).isEmpty();
    }

    @Test
    void aDatabaseThatIsGoneHoldsNothingUp() throws InterruptedException {
        setup(shop());
        var elsewhere = new TestPipe(directory, postgres, clickHouse.withDatabase("gone")).map("public.orders");

        teardown(elsewhere);

        assertThat(slots()).isEmpty();
    }

    @Test
    void saysWhatMayBeLeftOnServersThatAreGone() throws IOException {
        // One refuses connections, the other takes them and never says a word.
        try (var mute = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            var gone = new TestPipe(
                            directory,
                            new Postgres("127.0.0.1", mute.getLocalPort(), "u", "hush-1", "d"),
                            new ClickHouse(URI.create("http://127.0.0.1:1"), "u", "hush-2", "d"))
                    .deletionPolicy("Delete")
                    .map("public.orders");
            var teardown =
                    new Teardown(gone.pipe(), gone.postgresClient(), gone.clickHouseClient(), Duration.ofSeconds(2));

            var left = catchThrowableOfType(PipeException.class, () -> teardown.run(new Stop()));

            assertThat(left.retryable()).isFalse();
            assertThat(left.problems())
                    .extracting(Problem::object)
                    .containsExactly(
                            "slot " + gone.pipe().ownSlot() + " on postgres 127.0.0.1:" + mute.getLocalPort() + "/d",
                            "publication " + gone.pipe().ownPublication() + " on postgres 127.0.0.1:"
                                    + mute.getLocalPort() + "/d",
                            "publication " + gone.pipe().insertOnlyPublication() + " on postgres 127.0.0.1:"
                                    + mute.getLocalPort() + "/d",
                            "the target tables in clickhouse 127.0.0.1:1/d",
                            "the pipe's state in clickhouse 127.0.0.1:1/d");
            assertThat(left.problems().getFirst().remedy())
                    .contains("SELECT pg_drop_replication_slot('" + gone.pipe().ownSlot() + "')");
            assertThat(left).hasMessageNotContainingAny("hush-1", "hush-2");
        }
    }
}
