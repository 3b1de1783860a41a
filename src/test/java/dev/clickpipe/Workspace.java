package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertAll;

import dev.clickpipe.api.Phase;
import dev.clickpipe.helm.Health;
import dev.clickpipe.helm.Health.Argo;
import dev.clickpipe.helm.Health.Kstatus;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Cluster;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.TableComparison;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.function.Executable;

/**
 * A namespace, and beside the cluster a Postgres and a ClickHouse database, all of one name; the Secrets {@code postgres} and
 * {@code clickhouse} lead there. {@code kubectl} as users type it, and every version of the pipes that is stored.
 */
final class Workspace implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofMinutes(3);

    private final Cluster cluster;
    private final String name;
    private final PostgresServer server;
    private final Postgres postgres;
    private final ClickHouse clickhouse;
    private final StoredPipes stored;
    private final List<Executable> captures = new ArrayList<>();

    private Workspace(Cluster cluster, String name, PostgresServer server, ClickHouse clickhouse) {
        this.cluster = cluster;
        this.name = name;
        this.server = server;
        this.clickhouse = clickhouse;
        Postgres local = server.createDatabase(name);
        postgres = new Postgres(cluster.nodeAddress(), local.port(), local.user(), local.password(), name);
        cluster.kubectl("create", "namespace", name);
        secret("postgres", postgres.user(), postgres.password());
        secret("clickhouse", clickhouse.user(), clickhouse.password());
        stored = StoredPipes.watch(cluster.kubeconfig(), name);
    }

    static Workspace create(Cluster cluster, String name, Map<String, String> settings, ClickHouse clickhouse) {
        var all = new HashMap<>(settings);
        all.put("listen_addresses", "127.0.0.1," + cluster.nodeAddress());
        var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION, all);
        return new Workspace(cluster, name, server, clickhouse);
    }

    /** Of the source. */
    PostgresServer server() {
        return server;
    }

    /** The source as pods reach it. */
    Postgres postgres() {
        return postgres;
    }

    ClickHouse clickhouse() {
        return clickhouse;
    }

    String kubectl(String... arguments) {
        return cluster.kubectl(inNamespace(arguments));
    }

    void apply(String manifest) {
        cluster.kubectlWith(manifest, inNamespace("apply", "-f", "-"));
    }

    private String[] inNamespace(String... arguments) {
        var all = new ArrayList<>(List.of("-n", name));
        all.addAll(List.of(arguments));
        return all.toArray(String[]::new);
    }

    private void secret(String secret, String user, String password) {
        apply("""
                apiVersion: v1
                kind: Secret
                metadata: {name: %s}
                stringData: {username: %s, password: %s}
                """.formatted(secret, user, password));
    }

    String status(String pipe, String jsonPath) {
        return kubectl("get", "clickpipe", pipe, "-o", "jsonpath=" + jsonPath);
    }

    String condition(String pipe, String type) {
        return status(pipe, "{.status.conditions[?(@.type==\"" + type + "\")].status}");
    }

    /** The reasons of a pipe's events, which are its phases and its troubles. */
    List<String> events(String pipe) {
        return List.of(kubectl(
                        "get",
                        "events",
                        "--sort-by=.metadata.creationTimestamp",
                        "--field-selector",
                        "involvedObject.name=" + pipe,
                        "-o",
                        "jsonpath={.items[*].reason}")
                .split(" "));
    }

    void waitForPhase(String pipe, String phase) {
        kubectl("wait", "--for=jsonpath={.status.phase}=" + phase, "clickpipe/" + pipe, "--timeout=180s");
    }

    void waitForReady(String pipe) {
        kubectl("wait", "--for=condition=Ready", "clickpipe/" + pipe, "--timeout=60s");
    }

    Cluster.Suspended suspend(String pod) {
        return cluster.suspend(pod);
    }

    TableComparison comparison(String table) {
        return TableComparison.between(postgres, table, clickhouse, table);
    }

    // ---- the versions that were stored ----

    /** The first version that is like this, of those stored already or those to come. */
    StoredPipe awaitStored(String pipe, String what, Predicate<StoredPipe> like) {
        return stored.first(pipe, what, LIMIT, like);
    }

    /** All that the pipe has gone through, each once. */
    List<String> phasesStored(String pipe) {
        return stored.versions(pipe).stream().map(StoredPipe::phase).distinct().toList();
    }

    /** All that any of the pipes has gone through, each once. */
    List<String> phasesStored() {
        return stored.versions().stream().map(StoredPipe::phase).distinct().toList();
    }

    /** Waits for a version that is like this, and compares it in the end with the one committed under this name. */
    void capture(String file, String pipe, Predicate<StoredPipe> like) {
        var version = awaitStored(pipe, file, like);
        captures.add(() -> version.check(file + ".yaml", yaml -> yaml.replace(cluster.nodeAddress(), "192.0.2.1")
                .replaceAll("\\b" + postgres.port() + "\\b", "5432")
                .replaceAll("\\b" + clickhouse.port() + "\\b", "8123")));
    }

    /** Also those versions that nobody waited for. */
    void assertGenericToolsReadEveryStoredVersionRight() {
        assertThat(stored.versions()).hasSizeGreaterThan(10).allSatisfy(pipe -> assertThat(Health.of(pipe.json()))
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
            case Provisioning, Setup, Snapshot, Pausing, Modifying, Resync -> underWay;
            case Running, Completed -> pipe.ready() ? new Health(Argo.Healthy, Kstatus.Current) : underWay;
            case Paused -> new Health(Argo.Suspended, Kstatus.Current);
            case Failed -> new Health(Argo.Degraded, Kstatus.Failed);
        };
    }

    @Override
    public void close() {
        stored.close();
        server.close();
    }
}
