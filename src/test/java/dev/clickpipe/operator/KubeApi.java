package dev.clickpipe.operator;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubeapitest.KubeAPIServer;
import io.fabric8.kubeapitest.KubeAPIServerConfigBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.http.Interceptor;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A real kube-apiserver and etcd with the ClickPipe CRD and nothing else: no controllers, no kubelet. */
final class KubeApi implements AutoCloseable {
    private static final String VERSION = "1.20.2";

    private final KubeAPIServer server;
    private final KubernetesClient client;
    private final Path kubeconfig;

    private KubeApi() throws IOException {
        server = new KubeAPIServer(KubeAPIServerConfigBuilder.anAPIServerConfig()
                .withTestDir(directory().toString())
                .withApiServerVersion(VERSION)
                .withOfflineMode(true)
                .withStartupTimeout(180_000)
                .build());
        server.start();
        kubeconfig = Files.createTempFile("kubeconfig", ".yaml");
        Files.writeString(kubeconfig, server.getKubeConfigYaml());
        client = new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(server.getKubeConfigYaml()))
                .withKubernetesSerialization(serialization())
                .build();
        var crd = client.getKubernetesSerialization()
                .unmarshal(
                        Files.readString(Path.of("crds/clickpipes.clickpipe.dev-v1.yml")),
                        CustomResourceDefinition.class);
        client.resource(crd).create();
        client.resource(crd)
                .waitUntilCondition(
                        c -> c.getStatus() != null
                                && c.getStatus().getConditions() != null
                                && c.getStatus().getConditions().stream()
                                        .anyMatch(x -> x.getType().equals("Established")
                                                && x.getStatus().equals("True")),
                        60,
                        TimeUnit.SECONDS);
    }

    /** One a test class, with those nested in it; it goes with the class, for it is never idle. */
    static KubeApi shared(ExtensionContext context) {
        var outermost = context;
        while (outermost.getParent().flatMap(ExtensionContext::getTestClass).isPresent()) {
            outermost = outermost.getParent().get();
        }
        return outermost
                .getStore(ExtensionContext.Namespace.create(KubeApi.class))
                .getOrComputeIfAbsent("server", key -> start(), KubeApi.class);
    }

    /** As Quarkus makes it for the operator. */
    static KubernetesSerialization serialization() {
        var mapper = new ObjectMapper();
        new Tolerance().customize(mapper);
        return new KubernetesSerialization(mapper, true);
    }

    KubernetesClient client() {
        return client;
    }

    /** A client of one's own, which tells the interceptor of all it does. */
    KubernetesClient client(Interceptor interceptor) {
        return new KubernetesClientBuilder()
                .withConfig(client.getConfiguration())
                .withKubernetesSerialization(serialization())
                .withHttpClientBuilderConsumer(http -> http.addOrReplaceInterceptor("test", interceptor))
                .build();
    }

    Path kubeconfig() {
        return kubeconfig;
    }

    String namespace(String name) {
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(name)
                        .endMetadata()
                        .build())
                .create();
        return name;
    }

    /** Runs the real kubectl; what it prints. */
    String kubectl(String... arguments) throws IOException, InterruptedException {
        var command = new java.util.ArrayList<String>();
        command.add(
                directory().resolve("k8s/" + VERSION + "-linux-amd64/kubectl").toString());
        command.add("--kubeconfig=" + kubeconfig);
        command.addAll(java.util.List.of(arguments));
        var process = new ProcessBuilder(command).redirectErrorStream(true).start();
        var output = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + ": " + output);
        }
        return output;
    }

    @Override
    public void close() throws IOException {
        client.close();
        server.stop();
        Files.deleteIfExists(kubeconfig);
    }

    private static KubeApi start() {
        try {
            return new KubeApi();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path directory() {
        return Optional.ofNullable(System.getenv("CLICKPIPE_KUBE_TEST_DIR"))
                .map(Path::of)
                .orElseThrow(() -> new IllegalStateException(
                        "CLICKPIPE_KUBE_TEST_DIR is not set: dev/test sets it, dev/cluster binaries prints its value"));
    }
}
