package dev.clickpipe;

import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Cluster;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.TableComparison;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A namespace, and beside the cluster a Postgres and a ClickHouse database, all of one name; the Secrets {@code postgres} and
 * {@code clickhouse} lead there. {@code kubectl} as users type it.
 *
 * @param server of the source
 * @param postgres the source as pods reach it
 */
record Workspace(Cluster cluster, String name, PostgresServer server, Postgres postgres, ClickHouse clickhouse)
        implements AutoCloseable {

    static Workspace create(Cluster cluster, String name, Map<String, String> settings, ClickHouse clickhouse) {
        String address = cluster.nodeAddress();
        var all = new HashMap<>(settings);
        all.put("listen_addresses", "127.0.0.1," + address);
        var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION, all);
        Postgres local = server.createDatabase(name);
        var postgres = new Postgres(address, local.port(), local.user(), local.password(), name);
        var workspace = new Workspace(cluster, name, server, postgres, clickhouse);
        cluster.kubectl("create", "namespace", name);
        workspace.secret("postgres", postgres.user(), postgres.password());
        workspace.secret("clickhouse", clickhouse.user(), clickhouse.password());
        return workspace;
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

    String status(String pipe, String jsonPath) {
        return kubectl("get", "clickpipe", pipe, "-o", "jsonpath=" + jsonPath);
    }

    String condition(String pipe, String type) {
        return status(pipe, "{.status.conditions[?(@.type==\"" + type + "\")].status}");
    }

    void waitForPhase(String pipe, String phase) {
        kubectl("wait", "--for=jsonpath={.status.phase}=" + phase, "clickpipe/" + pipe, "--timeout=180s");
    }

    void waitForReady(String pipe) {
        kubectl("wait", "--for=condition=Ready", "clickpipe/" + pipe, "--timeout=60s");
    }

    TableComparison comparison(String table) {
        return TableComparison.between(postgres, table, clickhouse, table);
    }

    void secret(String secret, String user, String password) {
        apply("""
                apiVersion: v1
                kind: Secret
                metadata: {name: %s}
                stringData: {username: %s, password: %s}
                """.formatted(secret, user, password));
    }

    @Override
    public void close() {
        server.close();
    }
}
