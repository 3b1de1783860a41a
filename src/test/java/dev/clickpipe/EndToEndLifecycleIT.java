package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.Phase;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Everything that can be done to a pipe at work, on the real cluster, while rows change all the time; each ends with a
 * comparison of all tables. One pipe goes through it in the order of the tests.
 */
@ExtendWith(Installation.Extension.class)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class EndToEndLifecycleIT {
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final String PIPE = "bank";
    /** Rows with ids up to here are there from the beginning, and stay. */
    private static final int STANDING = 40_000;

    @AutoClose
    private static Workspace workspace;

    @AutoClose
    private static Writer writer;

    private static Postgres postgres;
    private static ClickHouse clickhouse;
    /** What the pipe's mappings are at the moment, by source table. */
    private static final Map<String, String> mappings = new TreeMap<>();

    private static final String KEYED = "tableEngine: ReplacingMergeTree";
    private static final String APPEND_ONLY = "tableEngine: MergeTree";

    @BeforeAll
    static void makeTables(Installation installation) {
        workspace = installation.workspace("bank", Map.of());
        postgres = workspace.postgres();
        clickhouse = workspace.clickhouse();
        for (String table : List.of("accounts", "customers", "cards")) {
            postgres.execute(
                    "CREATE TABLE %s (id bigint PRIMARY KEY, holder text, balance numeric(14,2))".formatted(table),
                    "INSERT INTO %s SELECT i, 'holder ' || i %% 100, i * 1.25 FROM generate_series(1, %d) i"
                            .formatted(table, STANDING));
        }
        for (String table : List.of("transfers", "calls")) {
            postgres.execute(
                    "CREATE TABLE %s (at timestamptz, id bigint, what text)".formatted(table),
                    "INSERT INTO %s SELECT now(), i, 'loaded' FROM generate_series(1, %d) i"
                            .formatted(table, STANDING));
        }
        writer = Writer.start(postgres);
    }

    @Test
    @Order(1)
    void pauseAndResume() {
        mappings.putAll(Map.of("accounts", KEYED, "customers", KEYED, "transfers", APPEND_ONLY));
        apply(pipe());
        settle("Running");
        assertAllEqual();

        apply(pipe("state: Paused"));
        workspace.waitForPhase(PIPE, "Paused");
        assertThat(streamingPods()).isEmpty();
        assertThat(workspace.condition(PIPE, "Ready"))
                .as("where its spec wants it")
                .isEqualTo("True");
        var before = clickhouse.count("transfers");
        writer.awaitTransactions(50);
        assertThat(clickhouse.count("transfers")).isEqualTo(before);
        await().atMost(LIMIT)
                .untilAsserted(() -> assertThat(workspace.status(PIPE, "{.status.replication.retainedWalBytes}"))
                        .matches("[1-9]\\d*"));

        apply(pipe("state: Paused", "resync: of-old").replace("Seconds: 1", "Seconds: 2"));
        awaitObserved();
        assertThat(workspace.status(PIPE, "{.status.phase}")).isEqualTo("Paused");
        apply(pipe());
        settle("Running");
        assertThat(workspace.events(PIPE)).contains("Pausing", "Paused", "Running");
        assertAllEqual();
    }

    @Test
    @Order(2)
    void addAndRemoveTables() {
        var pod = streamingPods();
        mappings.putAll(Map.of("cards", KEYED, "calls", APPEND_ONLY));
        mappings.remove("customers");
        apply(pipe());
        settle("Running");
        assertThat(streamingPods()).as("the stream of the others goes on").isEqualTo(pod);
        assertThat(workspace.events(PIPE)).contains("Modifying", "Snapshot");
        assertThat(postgres.rows("SELECT tablename FROM pg_publication_tables ORDER BY 1"))
                .hasSize(mappings.size());
        assertAllEqual();
        assertThat(clickhouse.count("customers FINAL")).as("it is kept").isGreaterThanOrEqualTo(STANDING);
    }

    @Test
    @Order(3)
    void resyncThePipe() {
        clickhouse.query("ALTER TABLE accounts MODIFY COMMENT 'of the users', ADD COLUMN note String DEFAULT 'none'");
        clickhouse.query("ALTER TABLE accounts ADD INDEX by_holder holder TYPE bloom_filter");
        var uuids = uuids();
        try (var reader = new Reader(clickhouse)) {
            apply(pipe("resync: first"));
            settle("Running");
            reader.assertNothingWasEverMissing();
        }
        assertThat(workspace.status(PIPE, "{.status.observedResync}")).isEqualTo("first");
        assertThat(workspace.events(PIPE)).contains("Resync");
        assertThat(uuids().values()).doesNotContainAnyElementsOf(uuids.values());
        assertThat(clickhouse.query("SHOW TABLES LIKE '%resync'")).isEmpty();
        assertThat(clickhouse.query("SHOW CREATE TABLE accounts")).contains("of the users", "note", "by_holder");
        assertAllEqual();

        uuids = uuids();
        apply(pipe());
        awaitObserved();
        apply(pipe("resync: first"));
        settle("Running");
        assertThat(uuids()).as("a token counts once").isEqualTo(uuids);
    }

    @Test
    @Order(4)
    void resyncOneTableRebuildAnotherAndAddOneBack() {
        var pod = streamingPods();
        var before = uuids();
        try (var reader = new Reader(clickhouse)) {
            mappings.put("accounts", KEYED + ", resync: again");
            mappings.put("customers", KEYED);
            mappings.put("cards", KEYED + ", partitionByExpr: 'intDiv(id, 20000)'");
            apply(pipe("resync: first"));
            settle("Running");
            reader.assertNothingWasEverMissing();
        }
        assertThat(streamingPods()).as("the stream of the others goes on").isEqualTo(pod);
        var after = uuids();
        assertThat(after.keySet().stream().filter(table -> !after.get(table).equals(before.get(table))))
                .containsExactlyInAnyOrder("accounts", "cards", "customers");
        assertThat(clickhouse.query(
                        "SELECT partition_key FROM system.tables WHERE database = 'bank' AND name = 'cards'"))
                .isEqualTo("intDiv(id, 20000)");
        assertAllEqual();
    }

    @Test
    @Order(5)
    void recoverFromALostSlot() {
        var slot = workspace.status(PIPE, "{.status.replication.slot}");
        await().atMost(LIMIT).ignoreExceptions().until(() -> dropped(slot));
        workspace.waitForPhase(PIPE, "Failed");
        assertThat(workspace.status(PIPE, "{.status.conditions[?(@.type==\"Ready\")].reason}"))
                .isEqualTo("SlotMissing");
        assertThat(workspace.status(PIPE, "{.status.message}")).contains(slot).contains("resync");
        writer.awaitTransactions(50);
        try (var reader = new Reader(clickhouse)) {
            apply(pipe("resync: after-the-slot-was-lost"));
            settle("Running");
            reader.assertNothingWasEverMissing();
        }
        assertAllEqual();
    }

    /** One transaction that stays open, one lock and one process that stands still keep every one of them in its phase. */
    @Test
    @Order(6)
    void deleteInEveryPhase() throws SQLException {
        var tables = List.of("setup", "snapshot", "modifying", "kept", "pausing", "swapping", "completed", "failed");
        for (var table : tables) {
            postgres.execute("CREATE TABLE d_%s (id int PRIMARY KEY)".formatted(table));
        }
        apply(small("completed", "snapshot", "d_completed"));
        apply(small("failed", "cdc", "d_failed", "d_unheard_of"));
        apply(small("modifying", "cdc", "d_modifying", "d_kept"));
        apply(small("pausing", "cdc", "d_pausing"));
        apply(small("swapping", "cdc", "d_swapping"));
        workspace.waitForPhase("completed", "Completed");
        workspace.waitForPhase("failed", "Failed");
        workspace.waitForPhase("modifying", "Running");
        workspace.waitForPhase("pausing", "Running");
        workspace.waitForPhase("swapping", "Running");
        writer.pause();
        try (var swap = postgres.connect();
                var blocker = postgres.connect()) {
            blockTheSwap(swap);
            workspace.waitForPhase("swapping", "Resync");
            apply(small("snapshot", "cdc", "d_snapshot"));
            await().atMost(LIMIT).until(() -> slotIsMade("clickpipe_snapshot"));
            blockEverything(blocker);
            apply(small("setup", "cdc", "d_setup"));
            apply(small("modifying", "cdc", "d_kept"));
            apply(with("workers: {nodeSelector: {no: such-node}}", small("provisioning", "cdc", "d_setup")));
            apply(with("state: Paused", small("paused", "cdc", "d_setup")));
            apply(pipe("resync: never-to-end"));
            var pipes = new TreeMap<>(Map.of(
                    "setup",
                    "Setup",
                    "snapshot",
                    "Snapshot",
                    "modifying",
                    "Modifying",
                    "provisioning",
                    "Provisioning",
                    "paused",
                    "Paused",
                    "swapping",
                    "Resync",
                    PIPE,
                    "Snapshot"));
            pipes.forEach(workspace::waitForPhase);
            await().atMost(LIMIT).untilAsserted(() -> assertThat(clickhouse.query("SHOW TABLES LIKE '%\\_resync'"))
                    .contains("d_swapping_resync", "accounts_resync"));
            // kubelet ends it by force after its grace period: the last one, so that it is still there when it is
            // looked at
            try (var _ = workspace.suspend(streamingPods("pausing", "{.metadata.name}"))) {
                apply(with("state: Paused", small("pausing", "cdc", "d_pausing")));
                pipes.put("pausing", "Pausing");
                workspace.waitForPhase("pausing", "Pausing");
                pipes.forEach((pipe, phase) -> assertThat(workspace.status(pipe, "{.status.phase}"))
                        .as(pipe)
                        .isEqualTo(phase));
                workspace.kubectl("delete", "clickpipes", "--all", "--wait=false");
            }
            await().atMost(LIMIT).untilAsserted(() -> assertThat(workspace.kubectl("get", "clickpipes", "-o", "name"))
                    .isEmpty());
            assertNothingIsLeft();
            blocker.rollback();
        }
        assertNothingIsLeft();
        assertThat(clickhouse.rows("SELECT name FROM system.tables WHERE database = 'bank' AND name LIKE '%resync'"))
                .isEmpty();
        assertThat(workspace.kubectl(
                        "get", "events", "--field-selector", "type=Warning,reason=TeardownIncomplete", "-o", "name"))
                .isEmpty();
    }

    /** In every phase there is: the tests before this one have been through them all. */
    @Test
    @Order(7)
    void genericToolsReadEveryStoredVersionRight() {
        assertThat(workspace.phasesStored())
                .containsAll(Stream.of(Phase.values()).map(Phase::name).toList());
        workspace.assertGenericToolsReadEveryStoredVersionRight();
    }

    /** The load of a resync waits for a transaction, until this session has the lock without which nobody swaps. */
    private static void blockTheSwap(Connection session) throws SQLException {
        try (var load = postgres.connect();
                var transaction = load.createStatement();
                var lock = session.createStatement()) {
            load.setAutoCommit(false);
            transaction.execute("INSERT INTO d_swapping VALUES (1)");
            var former = loads("swapping");
            apply(with("resync: anew", small("swapping", "cdc", "d_swapping")));
            // which is there when Setup, who needs the lock, too, has ended
            await().atMost(LIMIT)
                    .until(() ->
                            !loads("swapping").isEmpty() && !loads("swapping").equals(former));
            lock.execute("SELECT pg_advisory_lock(hashtextextended('clickpipe tables of %s', 0))"
                    .formatted(workspace.status("swapping", "{.metadata.uid}")));
            load.rollback();
        }
    }

    private static String loads(String pipe) {
        return workspace.kubectl(
                "get",
                "jobs",
                "-l",
                "app.kubernetes.io/instance=" + pipe + ",app.kubernetes.io/component=snapshot",
                "-o",
                "name");
    }

    private static void assertNothingIsLeft() {
        assertThat(postgres.rows("SELECT slot_name FROM pg_replication_slots")).isEmpty();
        assertThat(postgres.rows("SELECT pubname FROM pg_publication")).isEmpty();
        await().atMost(LIMIT).untilAsserted(() -> assertThat(workspace.kubectl("get", "pods", "-o", "name"))
                .isEmpty());
    }

    /** A transaction with an id, which every new slot waits for, and a lock, which holds up the publication's change. */
    private static void blockEverything(Connection blocker) throws SQLException {
        blocker.setAutoCommit(false);
        try (var statement = blocker.createStatement()) {
            statement.execute("LOCK TABLE d_modifying IN ACCESS EXCLUSIVE MODE");
            statement.execute("INSERT INTO d_modifying VALUES (1)");
        }
    }

    private static boolean slotIsMade(String prefix) {
        return !postgres.rows(
                        "SELECT 1 FROM pg_replication_slots WHERE slot_name LIKE '%s%%' AND confirmed_flush_lsn > '0/0'"
                                .formatted(prefix))
                .isEmpty();
    }

    /** Fails while the worker holds the slot; it comes back when its connection is cut. */
    private static boolean dropped(String slot) {
        postgres.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '%s' AND active"
                        .formatted(slot),
                "SELECT pg_drop_replication_slot('%s')".formatted(slot));
        return true;
    }

    // ---- the pipe ----

    private static String pipe(String... settings) {
        return manifest(
                PIPE,
                "cdc",
                mappings.entrySet().stream()
                        .map(mapping -> mapping(mapping.getKey(), mapping.getValue()))
                        .toList(),
                settings);
    }

    private static String small(String name, String mode, String... tables) {
        return manifest(
                name,
                mode,
                Stream.of(tables).map(table -> mapping(table, KEYED)).toList());
    }

    private static String with(String setting, String manifest) {
        return manifest.replace("spec:\n", "spec:\n  " + setting + "\n");
    }

    private static String mapping(String table, String more) {
        return "    - {sourceSchemaName: public, sourceTable: %1$s, targetTable: %1$s, %2$s}\n".formatted(table, more);
    }

    private static String manifest(String name, String mode, List<String> mappings, String... settings) {
        return """
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {name: %s}
                spec:
                %s  source:
                    postgres:
                      host: %s
                      port: %d
                      database: bank
                      credentials: {secretRef: {name: postgres}}
                      settings: {replicationMode: %s, syncIntervalSeconds: 1}
                  destination:
                    clickhouse:
                      host: %s
                      port: %d
                      database: bank
                      credentials: {secretRef: {name: clickhouse}}
                  tableMappings:
                %s""".formatted(
                name,
                Stream.of(settings).map(setting -> "  " + setting + "\n").collect(Collectors.joining()),
                postgres.host(),
                postgres.port(),
                mode,
                clickhouse.host(),
                clickhouse.port(),
                String.join("", mappings));
    }

    private static void apply(String manifest) {
        workspace.apply(manifest);
    }

    /** Waits until the operator has seen the last edit. */
    private static void awaitObserved() {
        var generation = workspace.status(PIPE, "{.metadata.generation}");
        workspace.kubectl(
                "wait",
                "--for=jsonpath={.status.observedGeneration}=" + generation,
                "clickpipe/" + PIPE,
                "--timeout=30s");
    }

    /** Waits until the last edit has been carried out. */
    private static void settle(String phase) {
        awaitObserved();
        workspace.waitForPhase(PIPE, phase);
        workspace.waitForReady(PIPE);
    }

    /** Name and restarts of the cdc workers. */
    private static String streamingPods() {
        return streamingPods(PIPE, "{.metadata.name} {.status.containerStatuses[*].restartCount}");
    }

    private static String streamingPods(String pipe, String jsonPath) {
        return workspace.kubectl(
                "get",
                "pods",
                "-l",
                "app.kubernetes.io/instance=" + pipe + ",app.kubernetes.io/component=cdc",
                "-o",
                "jsonpath={range .items[*]}" + jsonPath + "{end}");
    }

    private static Map<String, String> uuids() {
        return clickhouse.rows("SELECT name, uuid FROM system.tables WHERE database = 'bank'").stream()
                .filter(row -> mappings.containsKey(row.getFirst()))
                .collect(Collectors.toMap(List::getFirst, row -> row.get(1)));
    }

    /** With the writer at rest, until all has arrived. */
    private static void assertAllEqual() {
        writer.pause();
        try {
            // cheap, and once it is there so is nearly everything
            await().atMost(LIMIT).until(() -> clickhouse.count("transfers") >= postgres.count("transfers"));
            for (var table : mappings.keySet()) {
                await().atMost(LIMIT)
                        .pollDelay(Duration.ZERO)
                        .untilAsserted(
                                () -> workspace.comparison(table).key("id").assertEqual());
            }
        } finally {
            writer.resume();
        }
    }

    /** Changes rows all the time, in every table, in transactions of many kinds. */
    private static final class Writer implements AutoCloseable {
        private final Postgres postgres;
        private final AtomicLong transactions = new AtomicLong();
        private final ReentrantLock working = new ReentrantLock();
        private final Thread thread;
        private volatile Throwable failure;
        private volatile boolean closed;

        private Writer(Postgres postgres) {
            this.postgres = postgres;
            thread = Thread.ofVirtual().unstarted(this::run);
        }

        static Writer start(Postgres postgres) {
            var writer = new Writer(postgres);
            writer.thread.start();
            return writer;
        }

        private void run() {
            try (var connection = postgres.connect();
                    var statement = connection.createStatement()) {
                connection.setAutoCommit(false);
                for (long i = STANDING + 1; !closed; i++) {
                    working.lock();
                    try {
                        change(statement, i);
                        connection.commit();
                    } finally {
                        working.unlock();
                    }
                    transactions.incrementAndGet();
                    Thread.sleep(
                            20); // the pace: a busy application, and tests that still get their share of the machine
                }
            } catch (SQLException | InterruptedException e) {
                failure = e;
            }
        }

        private static void change(Statement statement, long i) throws SQLException {
            for (String table : List.of("accounts", "customers", "cards")) {
                statement.addBatch(
                        "INSERT INTO %s VALUES (%d, 'new', 0), (%d, NULL, NULL)".formatted(table, 2 * i, 2 * i + 1));
                statement.addBatch("UPDATE %s SET balance = balance + 1, holder = holder || '.' WHERE id = %d"
                        .formatted(table, 1 + i % STANDING));
                if (i % 3 == 0) {
                    statement.addBatch("DELETE FROM %s WHERE id = %d".formatted(table, 2 * (i - 1)));
                }
                if (i % 5 == 0) {
                    statement.addBatch("UPDATE %s SET id = -id WHERE id = %d".formatted(table, 2 * i));
                }
            }
            statement.addBatch("INSERT INTO transfers VALUES (now(), %d, 'written')".formatted(i));
            statement.addBatch("INSERT INTO calls VALUES (now(), %d, 'written')".formatted(i));
            statement.executeBatch();
        }

        /** Returns when nothing is under way, and nothing will be until {@link #resume}. */
        void pause() {
            working.lock();
        }

        void resume() {
            working.unlock();
        }

        void awaitTransactions(int more) {
            var until = transactions.get() + more;
            await().atMost(LIMIT).until(() -> {
                assertThat(failure).isNull();
                return transactions.get() >= until;
            });
        }

        @Override
        public void close() {
            closed = true;
            if (working.isHeldByCurrentThread()) {
                working.unlock();
            }
        }
    }

    /** Asks the targets for their standing rows all the time. */
    private static final class Reader implements AutoCloseable {
        private final ClickHouse clickhouse;
        private final List<String> complaints = new CopyOnWriteArrayList<>();
        private final AtomicLong answers = new AtomicLong();
        private final Map<String, String> tables = Map.copyOf(mappings);
        private final Thread thread;
        private volatile boolean closed;

        Reader(ClickHouse clickhouse) {
            this.clickhouse = clickhouse;
            thread = Thread.ofVirtual().start(this::run);
        }

        private void run() {
            while (!closed) {
                for (var table : tables.keySet()) {
                    var keyed = tables.get(table).startsWith(KEYED);
                    try {
                        var rows = clickhouse.query("SELECT count() FROM %s %s WHERE id BETWEEN 1 AND %d"
                                .formatted(table, keyed ? "FINAL" : "", STANDING));
                        if (!rows.equals(String.valueOf(STANDING))) {
                            complaints.add(table + " has " + rows);
                        }
                        answers.incrementAndGet();
                    } catch (RuntimeException e) {
                        complaints.add(table + ": " + e.getMessage());
                    }
                }
            }
        }

        void assertNothingWasEverMissing() {
            assertThat(complaints).isEmpty();
            assertThat(answers).hasValueGreaterThan(20);
        }

        @Override
        public void close() {
            closed = true;
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
