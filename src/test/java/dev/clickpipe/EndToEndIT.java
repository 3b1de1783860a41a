package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The whole product on a real cluster: the image from the Dockerfile, installed with the Helm chart, pods in containers,
 * {@code kubectl} as users type it, a real Postgres and the real ClickHouse engine beside the cluster.
 */
@ExtendWith(Installation.Extension.class)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class EndToEndIT {
    private static final Duration LIMIT = Duration.ofMinutes(3);

    @AutoClose
    private static Workspace workspace;

    /** Whose source goes for good. */
    @AutoClose
    private static Workspace doomed;

    private static Postgres postgres;
    private static ClickHouse clickhouse;
    private static CompletableFuture<Void> deletion;

    @BeforeAll
    static void makeWorkspaces(Installation installation) {
        workspace = installation.workspace("shop", Map.of());
        postgres = workspace.postgres();
        clickhouse = workspace.clickhouse();
        doomed = installation.workspace("doomed", Map.of());
    }

    /** How it ends is told by the last test but one; the others go on meanwhile. */
    @Test
    @Order(1)
    void theSourceGoesForGood() {
        doomed.postgres().execute("CREATE TABLE lost (id int PRIMARY KEY)");
        doomed.apply(doomed("lost", "lost"));
        // a target that "lost" had made by then would be a second reason, and one that no retry cures
        doomed.apply(with(
                doomed("unreachable", "unseen"), "port: " + doomed.postgres().port(), "port: 1"));
        doomed.apply(with(doomed("secretless", "lost"), "name: postgres", "name: postgres-of-tomorrow"));
        doomed.waitForPhase("lost", "Running");
        doomed.capture("setup-source-down", "unreachable", pipe -> pipe.is("Setup", "CannotConnect"));
        doomed.capture("provisioning-secret-missing", "secretless", pipe -> pipe.is("Provisioning", "FailedMount"));
        doomed.awaitStored("lost", "ready", StoredPipe::ready);
        doomed.server().stop(PostgresServer.StopMode.IMMEDIATE);
        doomed.capture("running-source-down", "lost", pipe -> pipe.is("Running", "CannotConnect"));
        deletion = CompletableFuture.runAsync(
                () -> doomed.kubectl("delete", "clickpipe", "lost", "unreachable", "secretless", "--timeout=150s"));
        doomed.capture("deleting", "lost", pipe -> pipe.is("Running", "Deleting"));
    }

    @Test
    @Order(2)
    void fromApplyToDelete() {
        postgres.execute(
                "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric(12,2), placed timestamptz)",
                "CREATE TABLE events (at timestamp, what text)",
                "INSERT INTO orders SELECT i, 'c' || i % 100, i * 1.25, '2026-01-01'::timestamptz + i * interval '1 min'"
                        + " FROM generate_series(1, 20000) i",
                "INSERT INTO events SELECT '2026-01-01', 'loaded ' || i FROM generate_series(1, 500) i");

        apply("orders", "cdc", "Retain", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        workspace.waitForPhase("orders", "Running");
        workspace.kubectl("wait", "--for=condition=Ready", "clickpipe/orders", "--timeout=60s");
        assertThat(workspace.status("orders", "{.status.conditions[?(@.type==\"InitialLoadComplete\")].status}"))
                .isEqualTo("True");
        assertThat(workspace.events("orders")).containsSubsequence("Setup", "Snapshot", "Running");
        workspace.capture("unseen", "orders", pipe -> pipe.phase().isEmpty());
        workspace.capture("provisioning", "orders", pipe -> pipe.is("Provisioning", "Provisioning"));
        workspace.capture("setup", "orders", pipe -> pipe.is("Setup", "Setup"));
        workspace.capture("snapshot", "orders", pipe -> pipe.is("Snapshot", "Snapshot"));
        workspace.capture("running", "orders", pipe -> pipe.is("Running", "Running"));

        postgres.transaction(
                "UPDATE orders SET total = total + 1 WHERE id % 7 = 0",
                "DELETE FROM orders WHERE id % 11 = 0",
                "UPDATE orders SET id = id + 100000 WHERE id % 13 = 0",
                "INSERT INTO orders VALUES (1000000, NULL, NULL, 'infinity'), (1000001, E'tab\\t\\\\N', 0, NULL)",
                "INSERT INTO events SELECT now(), 'later ' || i FROM generate_series(1, 500) i");
        await().atMost(LIMIT).untilAsserted(() -> workspace.comparison("events").assertEqual());
        workspace
                .comparison("orders")
                .key("id")
                .expecting("placed", text -> text.equals("infinity") ? "9999-12-31 23:59:59.999999+00" : text)
                .assertEqual();
        await().atMost(LIMIT)
                .untilAsserted(() -> assertThat(workspace.status("orders", "{.status.replication.lagBytes}"))
                        .isEqualTo("0"));

        applyingTheSameAgainChangesNothing();
        assertThat(workersInLogs("-l", "app.kubernetes.io/instance=orders")).contains("setup", "snapshot", "cdc");
        assertThat(workersInLogs("-n", Installation.OPERATOR_NAMESPACE, "deployment/clickpipe-operator"))
                .isNotEmpty();

        workspace.kubectl("delete", "clickpipe", "orders", "--timeout=120s");
        assertNothingOnTheSource();
        // what the pipe owned follows it by the cluster's own garbage collection
        await().atMost(LIMIT).untilAsserted(() -> assertThat(workspace.kubectl(
                        "get",
                        "jobs,deployments,configmaps,pods",
                        "-o",
                        "name",
                        "-l",
                        "app.kubernetes.io/instance=orders"))
                .isEmpty());
        assertThat(clickhouse.query("SHOW TABLES"))
                .as("Retain keeps the tables, and no state")
                .isEqualTo("events\norders");
    }

    private void applyingTheSameAgainChangesNothing() {
        String before = workspace.status("orders", "{.metadata.generation} {.spec}");
        apply("orders", "cdc", "Retain", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        assertThat(workspace.status("orders", "{.metadata.generation} {.spec}")).isEqualTo(before);
        assertThat(workspace.status("orders", "{.status.phase}")).isEqualTo("Running");
    }

    @Test
    @Order(3)
    void changesAloneAreStreamedUntilTheSlotIsGone() {
        postgres.execute("CREATE TABLE ticks (id int PRIMARY KEY)", "INSERT INTO ticks VALUES (1)");
        apply("ticks", "cdc_only", "Delete", mapping("ticks", "ReplacingMergeTree"));
        workspace.awaitStored("ticks", "ready", StoredPipe::ready);
        assertThat(workspace.phasesStored("ticks")).containsExactly("", "Provisioning", "Setup", "Running");
        workspace.capture("running-worker-starting", "ticks", pipe -> pipe.is("Running", "WorkerStarting"));
        postgres.execute("INSERT INTO ticks VALUES (2)");
        awaitTicks("2");

        workspace.kubectl(
                "patch",
                "clickpipe/ticks",
                "--type=merge",
                "-p",
                "{\"spec\": {\"source\": {\"postgres\": {\"settings\": {\"pullBatchSize\": 5000}}}}}");
        postgres.execute("INSERT INTO ticks VALUES (3)");
        workspace.capture("running-spec-edited", "ticks", pipe -> pipe.phase().equals("Running") && !pipe.observed());
        workspace.awaitStored(
                "ticks",
                "ready with its new settings",
                pipe -> pipe.generation() == 2 && pipe.is("Running", "Running"));
        awaitTicks("2\n3");

        String slot = workspace.status("ticks", "{.status.replication.slot}");
        await().atMost(LIMIT).ignoreExceptions().until(() -> dropped(slot));
        workspace.capture("failed-while-streaming", "ticks", pipe -> pipe.is("Failed", "SlotMissing"));

        workspace.kubectl("delete", "clickpipe", "ticks", "--timeout=120s");
        assertNothingOnTheSource();
        assertThat(clickhouse.query("SHOW TABLES"))
                .as("Delete keeps neither table nor state")
                .doesNotContain("ticks", "clickpipe");
    }

    private static void awaitTicks(String ids) {
        await().atMost(LIMIT).untilAsserted(() -> assertThat(clickhouse.query("SELECT id FROM ticks FINAL ORDER BY id"))
                .isEqualTo(ids));
    }

    /** Fails while the worker holds the slot; it comes back when its connection is cut. */
    private static boolean dropped(String slot) {
        postgres.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '%s' AND active"
                        .formatted(slot),
                "SELECT pg_drop_replication_slot('%s')".formatted(slot));
        return true;
    }

    @Test
    @Order(4)
    void setupSaysAllThatIsWrongAndHealsWhenItIsMended() {
        postgres.execute("CREATE TABLE keyless (v int)", "CREATE TABLE paid (id int PRIMARY KEY)");
        apply("broken", "cdc", "Retain", mapping("keyless", "ReplacingMergeTree") + mapping("missing", "MergeTree"));
        workspace.waitForPhase("broken", "Failed");
        assertThat(workspace.status("broken", "{.status.message}")).contains("public.keyless", "public.missing");
        assertThat(workspace.status("broken", "{.status.conditions[?(@.type==\"Stalled\")].status}"))
                .isEqualTo("True");
        assertNothingOnTheSource();
        workspace.capture("failed-in-setup", "broken", pipe -> pipe.phase().equals("Failed"));

        apply("broken", "snapshot", "Retain", mapping("paid", "ReplacingMergeTree"));
        workspace.waitForPhase("broken", "Completed");
        workspace.kubectl("wait", "--for=condition=Ready", "clickpipe/broken", "--timeout=60s");
        assertNothingOnTheSource();
        workspace.capture("completed", "broken", pipe -> pipe.is("Completed", "Completed"));
        workspace.kubectl("delete", "clickpipe", "broken", "--timeout=120s");
    }

    @Test
    @Order(5)
    void aSourceThatIsGoneForGoodDoesNotHoldThePipe() {
        deletion.join();
        assertThat(doomed.kubectl("get", "events", "-o", "jsonpath={.items[?(@.type==\"Warning\")].message}"))
                .contains("clickpipe_lost_");
        // what a pipe owned follows it by the cluster's own garbage collection
        await().atMost(LIMIT).untilAsserted(() -> assertThat(doomed.kubectl("get", "pods", "-o", "name"))
                .isEmpty());
    }

    @Test
    @Order(6)
    void genericToolsReadEveryStoredVersionRight() {
        workspace.assertGenericToolsReadEveryStoredVersionRight();
        doomed.assertGenericToolsReadEveryStoredVersionRight();
    }

    /** Whose lines are in this log, of which each is one JSON object. */
    private static List<String> workersInLogs(String... whose) {
        var arguments = new ArrayList<>(List.of("logs", "--tail=-1"));
        arguments.addAll(List.of(whose));
        var json = new ObjectMapper();
        return workspace
                .kubectl(arguments.toArray(String[]::new))
                .lines()
                .map(line -> {
                    try {
                        return json.readValue(line, Map.class).get("worker");
                    } catch (IOException e) {
                        throw new AssertionError("not a line of JSON: " + line, e);
                    }
                })
                .map(String::valueOf)
                .distinct()
                .toList();
    }

    private static void assertNothingOnTheSource() {
        assertThat(postgres.rows("SELECT slot_name FROM pg_replication_slots")).isEmpty();
        assertThat(postgres.rows("SELECT pubname FROM pg_publication")).isEmpty();
    }

    private static String mapping(String table, String engine) {
        return "  - {sourceSchemaName: public, sourceTable: %1$s, targetTable: %1$s, tableEngine: %2$s}\n"
                .formatted(table, engine);
    }

    private static String doomed(String name, String table) {
        return manifest(doomed, name, "cdc", "Retain", mapping(table, "ReplacingMergeTree"));
    }

    private static String with(String manifest, String text, String instead) {
        assertThat(manifest).contains(text);
        return manifest.replace(text, instead);
    }

    private static void apply(String name, String mode, String deletionPolicy, String mappings) {
        workspace.apply(manifest(workspace, name, mode, deletionPolicy, mappings));
    }

    private static String manifest(
            Workspace workspace, String name, String mode, String deletionPolicy, String mappings) {
        var source = workspace.postgres();
        var destination = workspace.clickhouse();
        return """
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {name: %s}
                spec:
                  source:
                    postgres:
                      host: %s
                      port: %d
                      database: %s
                      credentials: {secretRef: {name: postgres}}
                      settings: {replicationMode: %s, syncIntervalSeconds: 1}
                  destination:
                    clickhouse:
                      host: %s
                      port: %d
                      database: %s
                      credentials: {secretRef: {name: clickhouse}}
                  deletionPolicy: %s
                  tableMappings:
                %s""".formatted(
                        name,
                        source.host(),
                        source.port(),
                        source.database(),
                        mode,
                        destination.host(),
                        destination.port(),
                        destination.database(),
                        deletionPolicy,
                        mappings);
    }
}
