package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.Phase;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * The operator as it is shipped: the packaged program, told what a chart tells it. That it comes up is not enough. It has to
 * watch, which it would not if a class on the class path made quarkus-operator-sdk leave the start to somebody else.
 */
@ExtendWith(Cluster.Extension.class)
class OperatorProcessIT {
    private static final Path JAR = Path.of("target/quarkus-app/quarkus-run.jar");
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    @TempDir
    private Path directory;

    private final HttpClient http = HttpClient.newHttpClient();
    private Process process;
    private int port;

    @AfterEach
    void kill() {
        if (process != null) {
            process.destroyForcibly();
        }
    }

    @Test
    void watchesReportsAndStops(Cluster cluster) throws Exception {
        start(cluster);
        cluster.create(Pipes.cdc());
        cluster.awaitReady("orders");
        assertThat(cluster.get("orders").getStatus().phase()).isEqualTo(Phase.Running);

        await().atMost(PATIENCE).until(() -> get("/q/health/ready").statusCode() == 200);
        assertThat(get("/q/health/live").statusCode()).isEqualTo(200);
        assertThat(get("/q/health/started").statusCode()).isEqualTo(200);
        var metrics = get("/metrics").body();
        assertThat(metrics)
                .contains("clickpipe_phase{name=\"orders\",namespace=\"" + cluster.namespace
                        + "\",phase=\"Running\"} 1.0")
                .contains("clickpipe_lag_bytes{name=\"orders\",namespace=\"" + cluster.namespace + "\"} 0.0")
                .contains("operator_sdk_");
        assertThat(metrics.lines().filter(line -> line.startsWith("operator_sdk_")))
                .as("no series per pipe, no buckets")
                .noneMatch(line -> line.contains("_bucket"))
                .noneMatch(line -> line.contains("orders"));
        assertThat(log())
                .contains(cluster.namespace + "/orders: new -> Provisioning")
                .contains(cluster.namespace + "/orders: Snapshot -> Running");
        assertThat(log().lines())
                .as("one JSON document a line")
                .filteredOn(line -> !line.isBlank())
                .allMatch(line -> line.startsWith("{") && line.endsWith("}"));

        process.destroy();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }

    private void start(Cluster cluster) throws IOException {
        if (!Files.exists(JAR)) {
            throw new IllegalStateException(JAR + " is not there: mvn package makes it");
        }
        port = FakeKubelet.freePort();
        var java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        var builder = new ProcessBuilder(
                        java,
                        "-Xmx256m",
                        "--sun-misc-unsafe-memory-access=allow",
                        "--enable-native-access=ALL-UNNAMED",
                        "-jar",
                        JAR.toString(),
                        "operator")
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("log").toFile());
        var environment = builder.environment();
        environment.put("KUBECONFIG", cluster.api.kubeconfig().toString());
        environment.put("CLICKPIPE_WORKER_IMAGE", Pipes.SETTINGS.image());
        environment.put("CLICKPIPE_WORKER_HTTP_PORT", String.valueOf(cluster.kubelet.port()));
        environment.put("CLICKPIPE_WATCH_NAMESPACES", cluster.namespace);
        environment.put("CLICKPIPE_LOG_FORMAT", "json");
        environment.put("QUARKUS_LOG_CONSOLE_JSON_ENABLED", "true");
        environment.put("QUARKUS_HTTP_PORT", String.valueOf(port));
        environment.put("QUARKUS_HTTP_HOST", "127.0.0.1");
        process = builder.start();
    }

    private HttpResponse<String> get(String path) {
        try {
            return http.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                            .build(),
                    BodyHandlers.ofString());
        } catch (IOException e) {
            throw new UncheckedIOException(log(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private String log() {
        try {
            return Files.readString(directory.resolve("log"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
