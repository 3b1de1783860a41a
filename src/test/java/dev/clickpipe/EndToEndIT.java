package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Cluster;
import dev.clickpipe.testbed.Helm;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.TableComparison;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;

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
                "image.tag=" + image.substring(colon + 1));
        cluster.kubectl(
                "-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/clickpipe-operator", "--timeout=120s");

        cluster.kubectl("create", "namespace", NAMESPACE);
        secret("postgres", postgres.user(), postgres.password());
        secret("clickhouse", clickhouse.user(), clickhouse.password());
    }

    @AfterAll
    static void takeDown() {
        for (var part : java.util.Arrays.asList(cluster, engine, server)) {
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

        apply("orders", "cdc", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        waitForPhase("orders", "Running");
        kubectl("wait", "--for=condition=Ready", "clickpipe/orders", "--timeout=60s");
        assertThat(status("orders", "{.status.conditions[?(@.type==\"InitialLoadComplete\")].status}"))
                .isEqualTo("True");
        assertThat(phasesInEvents("orders")).containsSubsequence("Setup", "Snapshot", "Running");

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
        apply("orders", "cdc", mapping("orders", "ReplacingMergeTree") + mapping("events", "MergeTree"));
        assertThat(status("orders", "{.metadata.generation} {.spec}")).isEqualTo(before);
        assertThat(status("orders", "{.status.phase}")).isEqualTo("Running");
    }

    @Test
    @Order(2)
    void setupSaysAllThatIsWrongAndHealsWhenItIsMended() {
        postgres.execute("CREATE TABLE keyless (v int)", "CREATE TABLE paid (id int PRIMARY KEY)");
        apply("broken", "cdc", mapping("keyless", "ReplacingMergeTree") + mapping("missing", "MergeTree"));
        waitForPhase("broken", "Failed");
        assertThat(status("broken", "{.status.message}")).contains("public.keyless", "public.missing");
        assertThat(status("broken", "{.status.conditions[?(@.type==\"Stalled\")].status}"))
                .isEqualTo("True");
        assertNothingOnTheSource();

        apply("broken", "snapshot", mapping("paid", "ReplacingMergeTree"));
        waitForPhase("broken", "Completed");
        kubectl("wait", "--for=condition=Ready", "clickpipe/broken", "--timeout=60s");
        assertNothingOnTheSource();
        kubectl("delete", "clickpipe", "broken", "--timeout=120s");
    }

    @Test
    @Order(3)
    void aSourceThatIsGoneForGoodDoesNotHoldThePipe() {
        postgres.execute("CREATE TABLE lost (id int PRIMARY KEY)");
        apply("lost", "cdc", mapping("lost", "ReplacingMergeTree"));
        waitForPhase("lost", "Running");
        server.stop(PostgresServer.StopMode.IMMEDIATE);
        kubectl("delete", "clickpipe", "lost", "--timeout=150s");
        assertThat(kubectl("get", "events", "-o", "jsonpath={.items[?(@.type==\"Warning\")].message}"))
                .contains("clickpipe_lost_");
        // what a pipe owned follows it by the cluster's own garbage collection
        await().atMost(LIMIT).untilAsserted(() -> assertThat(kubectl("get", "pods", "-o", "name"))
                .isEmpty());
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

    private static void apply(String name, String mode, String mappings) {
        cluster.kubectlWith(
                """
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
                  tableMappings:
                %s""".formatted(
                        name, postgres.host(), postgres.port(), mode, clickhouse.host(), clickhouse.port(), mappings),
                "-n",
                NAMESPACE,
                "apply",
                "-f",
                "-");
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
