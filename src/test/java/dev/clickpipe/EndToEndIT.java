package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertAll;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.clickpipe.api.Phase;
import dev.clickpipe.helm.Health;
import dev.clickpipe.helm.Health.Argo;
import dev.clickpipe.helm.Health.Kstatus;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Cluster;
import dev.clickpipe.testbed.Helm;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.TableComparison;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.function.Executable;

/**
 * The whole product on a real cluster: the image from the Dockerfile, installed with the Helm chart, pods in containers,
 * {@code kubectl} as users type it, a real Postgres and the real ClickHouse engine beside the cluster.
 */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class EndToEndIT {
    private static final String NAMESPACE = "shop";
    private static final String OPERATOR_NAMESPACE = "clickpipe-system";
    private static final String RELEASE = "clickpipe-operator";
    private static final Duration LIMIT = Duration.ofMinutes(3);

    private static Cluster cluster;
    private static PostgresServer server;
    private static ClickHouseProcess engine;
    private static Postgres postgres;
    private static ClickHouse clickhouse;
    private static StoredPipes stored;
    private static final List<Executable> captures = new ArrayList<>();

    @BeforeAll
    static void install() {
        cluster = Cluster.start();
        String address = cluster.nodeAddress();
        server = PostgresServer.create(
                PostgresServer.DEFAULT_VERSION, Map.of("listen_addresses", "127.0.0.1," + address));
        Postgres local = server.createDatabase("shop");
        postgres = new Postgres(address, local.port(), local.user(), local.password(), "shop");
        engine = ClickHouseProcess.create(address);
        engine.client("default").query("CREATE DATABASE shop ENGINE = Atomic");
        clickhouse = engine.client("shop");

        String image = cluster.loadOperatorImage();
        int colon = image.lastIndexOf(':');
        // An API server as old as this one does not know the CRD's rules, and a current kubectl refuses to send them.
        cluster.kubectl("apply", "--validate=false", "-f", "crds/");
        Helm.run(
                "upgrade",
                "--install",
                RELEASE,
                "helm/clickpipe-operator",
                "--namespace",
                OPERATOR_NAMESPACE,
                "--create-namespace",
                "--kubeconfig",
                cluster.kubeconfig().toString(),
                "--set",
                "crds.create=false",
                "--set",
                "image.repository=" + image.substring(0, colon),
                "--set",
                "image.tag=" + image.substring(colon + 1),
                "--set",
                "logFormat=json");
        cluster.kubectl(
                "-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/clickpipe-operator", "--timeout=120s");

        cluster.kubectl("create", "namespace", NAMESPACE);
        secret("postgres", postgres.user(), postgres.password());
        secret("clickhouse", clickhouse.user(), clickhouse.password());
        stored = StoredPipes.watch(cluster.kubeconfig(), NAMESPACE);
    }

    @AfterAll
    static void takeDown() {
        for (var part : java.util.Arrays.asList(stored, cluster, engine, server)) {
            if (part != null) {
                try {
                    part.close();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        }
    }

    @Test
    @Order(1)
    void fromApplyToDelete() {
        postgres.execute(
                "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric(12,2), placed timestamptz)",
                "CREATE TABLE events (at timestamp, what text)",
                "INSERT INTO orders SELECT i, 'c' || i % 100, i * 1.25, '2026-01-01'::timestamptz + i * interval '1 min'"
                        + " FROM generate_series(1, 20000) i",
                "INSERT INTO events SELECT '2026-01-01', 'loaded ' || i FROM generate_series(1, 500) i");

        apply("orders", "cdc", "Retain", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        waitForPhase("orders", "Running");
        kubectl("wait", "--for=condition=Ready", "clickpipe/orders", "--timeout=60s");
        assertThat(status("orders", "{.status.conditions[?(@.type==\"InitialLoadComplete\")].status}"))
                .isEqualTo("True");
        assertThat(phasesInEvents("orders")).containsSubsequence("Setup", "Snapshot", "Running");
        capture("unseen", "orders", pipe -> pipe.phase().isEmpty());
        capture("provisioning", "orders", pipe -> pipe.is("Provisioning", "Provisioning"));
        capture("setup", "orders", pipe -> pipe.is("Setup", "Setup"));
        capture("snapshot", "orders", pipe -> pipe.is("Snapshot", "Snapshot"));
        capture("running-worker-starting", "orders", pipe -> pipe.is("Running", "WorkerStarting"));
        capture("running", "orders", pipe -> pipe.is("Running", "Running"));

        postgres.transaction(
                "UPDATE orders SET total = total + 1 WHERE id % 7 = 0",
                "DELETE FROM orders WHERE id % 11 = 0",
                "UPDATE orders SET id = id + 100000 WHERE id % 13 = 0",
                "INSERT INTO orders VALUES (1000000, NULL, NULL, 'infinity'), (1000001, E'tab\\t\\\\N', 0, NULL)",
                "INSERT INTO events SELECT now(), 'later ' || i FROM generate_series(1, 500) i");
        await().atMost(LIMIT).untilAsserted(() -> comparison("events").assertEqual());
        comparison("orders")
                .key("id")
                .expecting("placed", text -> text.equals("infinity") ? "9999-12-31 23:59:59.999999+00" : text)
                .assertEqual();
        await().atMost(LIMIT).untilAsserted(() -> assertThat(status("orders", "{.status.replication.lagBytes}"))
                .isEqualTo("0"));

        applyingTheSameAgainChangesNothing();
        assertThat(workersInLogs("-l", "app.kubernetes.io/instance=orders")).contains("setup", "snapshot", "cdc");
        assertThat(workersInLogs("-n", OPERATOR_NAMESPACE, "deployment/clickpipe-operator"))
                .isNotEmpty();

        kubectl("delete", "clickpipe", "orders", "--timeout=120s");
        assertNothingOnTheSource();
        // what the pipe owned follows it by the cluster's own garbage collection
        await().atMost(LIMIT).untilAsserted(() -> assertThat(kubectl(
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
        String before = status("orders", "{.metadata.generation} {.spec}");
        apply("orders", "cdc", "Retain", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        assertThat(status("orders", "{.metadata.generation} {.spec}")).isEqualTo(before);
        assertThat(status("orders", "{.status.phase}")).isEqualTo("Running");
    }

    @Test
    @Order(2)
    void changesAloneAreStreamedUntilTheSlotIsGone() {
        postgres.execute("CREATE TABLE ticks (id int PRIMARY KEY)", "INSERT INTO ticks VALUES (1)");
        apply("ticks", "cdc_only", "Delete", mapping("ticks", "ReplacingMergeTree"));
        awaitStored("ticks", "ready", StoredPipe::ready);
        assertThat(phasesStored("ticks")).containsExactly("", "Provisioning", "Setup", "Running");
        postgres.execute("INSERT INTO ticks VALUES (2)");
        awaitTicks("2");

        kubectl(
                "patch",
                "clickpipe/ticks",
                "--type=merge",
                "-p",
                "{\"spec\": {\"source\": {\"postgres\": {\"settings\": {\"pullBatchSize\": 5000}}}}}");
        postgres.execute("INSERT INTO ticks VALUES (3)");
        capture("running-spec-edited", "ticks", pipe -> pipe.phase().equals("Running") && !pipe.observed());
        awaitStored(
                "ticks",
                "ready with its new settings",
                pipe -> pipe.generation() == 2 && pipe.is("Running", "Running"));
        awaitTicks("2\n3");

        String slot = status("ticks", "{.status.replication.slot}");
        await().atMost(LIMIT).ignoreExceptions().until(() -> dropped(slot));
        capture("failed-while-streaming", "ticks", pipe -> pipe.is("Failed", "SlotMissing"));

        kubectl("delete", "clickpipe", "ticks", "--timeout=120s");
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
    @Order(3)
    void setupSaysAllThatIsWrongAndHealsWhenItIsMended() {
        postgres.execute("CREATE TABLE keyless (v int)", "CREATE TABLE paid (id int PRIMARY KEY)");
        apply("broken", "cdc", "Retain", mapping("keyless", "ReplacingMergeTree") + mapping("missing", "MergeTree"));
        waitForPhase("broken", "Failed");
        assertThat(status("broken", "{.status.message}")).contains("public.keyless", "public.missing");
        assertThat(status("broken", "{.status.conditions[?(@.type==\"Stalled\")].status}"))
                .isEqualTo("True");
        assertNothingOnTheSource();
        capture("failed-in-setup", "broken", pipe -> pipe.phase().equals("Failed"));

        apply("broken", "snapshot", "Retain", mapping("paid", "ReplacingMergeTree"));
        waitForPhase("broken", "Completed");
        kubectl("wait", "--for=condition=Ready", "clickpipe/broken", "--timeout=60s");
        assertNothingOnTheSource();
        capture("completed", "broken", pipe -> pipe.is("Completed", "Completed"));
        kubectl("delete", "clickpipe", "broken", "--timeout=120s");
    }

    @Test
    @Order(4)
    void aSourceThatIsGoneForGoodDoesNotHoldThePipe() {
        postgres.execute("CREATE TABLE lost (id int PRIMARY KEY)");
        apply("lost", "cdc", "Retain", mapping("lost", "ReplacingMergeTree"));
        applyWith("unreachable", "port: " + postgres.port(), "port: 1");
        applyWith("secretless", "name: postgres", "name: postgres-of-tomorrow");
        waitForPhase("lost", "Running");
        capture("setup-source-down", "unreachable", pipe -> pipe.is("Setup", "CannotConnect"));
        capture("provisioning-secret-missing", "secretless", pipe -> pipe.is("Provisioning", "FailedMount"));

        awaitStored("lost", "ready", StoredPipe::ready);
        server.stop(PostgresServer.StopMode.IMMEDIATE);
        capture("running-source-down", "lost", pipe -> pipe.is("Running", "CannotConnect"));
        kubectl("delete", "clickpipe", "lost", "unreachable", "secretless", "--timeout=150s");
        capture("deleting", "lost", pipe -> pipe.is("Running", "Deleting"));
        assertThat(kubectl("get", "events", "-o", "jsonpath={.items[?(@.type==\"Warning\")].message}"))
                .contains("clickpipe_lost_");
        // what a pipe owned follows it by the cluster's own garbage collection
        await().atMost(LIMIT).untilAsserted(() -> assertThat(kubectl("get", "pods", "-o", "name"))
                .isEmpty());
    }

    /** Also those versions that nobody waited for. */
    @Test
    @Order(5)
    void genericToolsReadEveryStoredVersionRight() {
        assertThat(stored.versions()).hasSizeGreaterThan(20).allSatisfy(pipe -> assertThat(Health.of(pipe.json()))
                .isEqualTo(health(pipe)));
        assertAll(captures);
    }

    /** By phase; Argo CD's script and kstatus go by conditions. */
    private static Health health(StoredPipe pipe) {
        if (pipe.deleting()) {
            return new Health(Argo.Progressing, Kstatus.Terminating);
        }
        if (pipe.phase().isEmpty()) {
            return new Health(Argo.Progressing, Kstatus.Current); // kstatus takes what has no status for done
        }
        var underWay = new Health(Argo.Progressing, Kstatus.InProgress);
        if (!pipe.observed()) {
            return underWay;
        }
        return switch (Phase.valueOf(pipe.phase())) {
            case Provisioning, Setup, Snapshot -> underWay;
            case Running, Completed -> pipe.ready() ? new Health(Argo.Healthy, Kstatus.Current) : underWay;
            case Failed -> new Health(Argo.Degraded, Kstatus.Failed);
        };
    }

    /** Waits for a version that is like this, and compares it in the end with the one committed under this name. */
    private static void capture(String file, String pipe, Predicate<StoredPipe> like) {
        var version = awaitStored(pipe, file, like);
        captures.add(() -> version.check(file + ".yaml", yaml -> yaml.replace(cluster.nodeAddress(), "192.0.2.1")
                .replaceAll("\\b" + postgres.port() + "\\b", "5432")
                .replaceAll("\\b" + clickhouse.port() + "\\b", "8123")));
    }

    private static StoredPipe awaitStored(String pipe, String what, Predicate<StoredPipe> like) {
        return stored.first(pipe, what, LIMIT, like);
    }

    private static List<String> phasesStored(String pipe) {
        return stored.versions(pipe).stream().map(StoredPipe::phase).distinct().toList();
    }

    /** Whose lines are in this log, of which each is one JSON object. */
    private static List<String> workersInLogs(String... whose) {
        var arguments = new ArrayList<>(List.of("logs", "--tail=-1"));
        arguments.addAll(List.of(whose));
        var json = new ObjectMapper();
        return kubectl(arguments.toArray(String[]::new))
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

    private static TableComparison comparison(String table) {
        return TableComparison.between(postgres, table, clickhouse, table);
    }

    private static String mapping(String table, String engine) {
        return "  - {sourceSchemaName: public, sourceTable: %1$s, targetTable: %1$s, tableEngine: %2$s}\n"
                .formatted(table, engine);
    }

    private static void apply(String name, String mode, String deletionPolicy, String mappings) {
        apply(manifest(name, mode, deletionPolicy, mappings));
    }

    /** A pipe that is like the others but for this. */
    private static void applyWith(String name, String text, String instead) {
        String manifest = manifest(name, "cdc", "Retain", mapping("lost", "ReplacingMergeTree"));
        assertThat(manifest).contains(text);
        apply(manifest.replace(text, instead));
    }

    private static void apply(String manifest) {
        cluster.kubectlWith(manifest, "-n", NAMESPACE, "apply", "-f", "-");
    }

    private static String manifest(String name, String mode, String deletionPolicy, String mappings) {
        return """
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {name: %s}
                spec:
                  source:
                    postgres:
                      host: %s
                      port: %d
                      database: shop
                      credentials: {secretRef: {name: postgres}}
                      settings: {replicationMode: %s, syncIntervalSeconds: 1}
                  destination:
                    clickhouse:
                      host: %s
                      port: %d
                      database: shop
                      credentials: {secretRef: {name: clickhouse}}
                  deletionPolicy: %s
                  tableMappings:
                %s""".formatted(
                        name,
                        postgres.host(),
                        postgres.port(),
                        mode,
                        clickhouse.host(),
                        clickhouse.port(),
                        deletionPolicy,
                        mappings);
    }

    private static void waitForPhase(String name, String phase) {
        kubectl("wait", "--for=jsonpath={.status.phase}=" + phase, "clickpipe/" + name, "--timeout=180s");
    }

    private static List<String> phasesInEvents(String name) {
        return List.of(kubectl(
                        "get",
                        "events",
                        "--sort-by=.metadata.creationTimestamp",
                        "--field-selector",
                        "involvedObject.name=" + name,
                        "-o",
                        "jsonpath={.items[*].reason}")
                .split(" "));
    }

    private static String status(String name, String jsonPath) {
        return kubectl("get", "clickpipe", name, "-o", "jsonpath=" + jsonPath);
    }

    private static String kubectl(String... arguments) {
        var all = new java.util.ArrayList<>(List.of("-n", NAMESPACE));
        all.addAll(List.of(arguments));
        return cluster.kubectl(all.toArray(String[]::new));
    }

    private static void secret(String name, String user, String password) {
        cluster.kubectlWith("""
                apiVersion: v1
                kind: Secret
                metadata: {name: %s}
                stringData: {username: %s, password: %s}
                """.formatted(name, user, password), "-n", NAMESPACE, "apply", "-f", "-");
    }
}
