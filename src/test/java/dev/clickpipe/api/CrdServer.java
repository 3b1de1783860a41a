package dev.clickpipe.api;

import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * A current Kubernetes' own CRD server (apiextensions-apiserver) with an etcd of its own. It asks a kube-apiserver only
 * whether a request is allowed; here one says yes to everything. Not thread-safe.
 *
 * <p>Needs {@code CLICKPIPE_CRD_SERVER}, the binary's path ({@code dev/crd-server build} prints it), and
 * {@code CLICKPIPE_KUBE_TEST_DIR}, where Kubernetes' test binaries are, etcd among them.
 */
final class CrdServer implements AutoCloseable {
    static final String CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final Path directory;
    private final List<AutoCloseable> running = new ArrayList<>();
    private final int port = freePort();
    private HttpClient client;

    private CrdServer(Path directory) {
        this.directory = directory;
    }

    /** Empty where its parts are not to be had; the reason has then been printed. */
    static Optional<CrdServer> start() throws IOException {
        var binary = System.getenv("CLICKPIPE_CRD_SERVER");
        var etcd = etcd();
        if (binary == null || !Files.isRegularFile(Path.of(binary)) || etcd.isEmpty()) {
            System.out.println(
                    "NOT CHECKED HERE: the CRD, its rules and the manifests by Kubernetes' own CRD server. Needs"
                            + " CLICKPIPE_CRD_SERVER (is: " + binary + ") and etcd below CLICKPIPE_KUBE_TEST_DIR (is: "
                            + System.getenv("CLICKPIPE_KUBE_TEST_DIR") + "); dev/test provides both");
            return Optional.empty();
        }
        var server = new CrdServer(Files.createTempDirectory("crd-server"));
        try {
            server.run(Path.of(binary), etcd.get());
            return Optional.of(server);
        } catch (RuntimeException | IOException e) {
            server.close();
            throw e;
        }
    }

    private static Optional<Path> etcd() throws IOException {
        var directory = System.getenv("CLICKPIPE_KUBE_TEST_DIR");
        if (directory == null || !Files.isDirectory(Path.of(directory))) {
            return Optional.empty();
        }
        try (var files = Files.find(Path.of(directory), 4, (file, about) -> file.endsWith("etcd"))) {
            return files.filter(Files::isExecutable).findFirst();
        }
    }

    private void run(Path binary, Path etcd) throws IOException {
        var etcdUrl = "http://127.0.0.1:" + freePort();
        var peerUrl = "http://127.0.0.1:" + freePort();
        process(
                "etcd",
                etcd.toString(),
                "--data-dir=" + directory.resolve("etcd"),
                "--listen-client-urls=" + etcdUrl,
                "--advertise-client-urls=" + etcdUrl,
                "--listen-peer-urls=" + peerUrl,
                "--initial-advertise-peer-urls=" + peerUrl,
                "--initial-cluster=default=" + peerUrl);

        var kubeconfig = directory.resolve("kubeconfig");
        Files.writeString(kubeconfig, """
                {apiVersion: v1, kind: Config, current-context: c,
                 clusters: [{name: c, cluster: {server: "%s"}}], users: [{name: c, user: {}}],
                 contexts: [{name: c, context: {cluster: c, user: c}}]}
                """.formatted(allower()));
        var certificates = directory.resolve("certificates");
        process(
                "crd-server",
                binary.toString(),
                "--etcd-servers=" + etcdUrl,
                "--bind-address=127.0.0.1",
                "--secure-port=" + port,
                "--cert-dir=" + certificates,
                "--kubeconfig=" + kubeconfig,
                "--authentication-kubeconfig=" + kubeconfig,
                "--authorization-kubeconfig=" + kubeconfig,
                "--authentication-skip-lookup",
                "--enable-priority-and-fairness=false",
                "--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,"
                        + "MutatingAdmissionPolicy,ValidatingAdmissionPolicy");
        var certificate = certificates.resolve("apiserver.crt");
        await("the CRD server's certificate").atMost(PATIENCE).until(() -> Files.exists(certificate));
        client = HttpClient.newBuilder().sslContext(trusting(certificate)).build();
        await("the CRD server").atMost(PATIENCE).ignoreExceptions().until(() -> get(CRDS) == 200);
    }

    /** A kube-apiserver that allows everything, and is nothing else. */
    private String allower() throws IOException {
        var server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            var isReview = exchange.getRequestURI().getPath().endsWith("/subjectaccessreviews");
            var answer = """
                    {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "status": {"allowed": true}}""".getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(isReview ? 201 : 404, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
        running.add(() -> server.stop(0));
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    private void process(String name, String... command) throws IOException {
        var process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(Files.createDirectories(Path.of("target"))
                        .resolve(name + ".log")
                        .toFile())
                .start();
        running.add(() -> {
            process.destroy();
            process.onExit().join();
        });
    }

    private static SSLContext trusting(Path certificate) throws IOException {
        try (InputStream in = Files.newInputStream(certificate)) {
            var trusted = KeyStore.getInstance(KeyStore.getDefaultType());
            trusted.load(null);
            var chain = CertificateFactory.getInstance("X.509").generateCertificates(in);
            for (var one : chain) {
                trusted.setCertificateEntry("c" + trusted.size(), one);
            }
            var managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            managers.init(trusted);
            var context = SSLContext.getInstance("TLS");
            context.init(null, managers.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }

    private static int freePort() {
        try (var socket = new ServerSocket(0, 0, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What the server said: its status code and, when it refused, why. */
    record Answer(int code, JsonNode body) {
        String message() {
            return body.path("message").asText();
        }
    }

    Answer post(String path, String yaml) throws IOException, InterruptedException {
        return send("POST", path, yaml);
    }

    Answer put(String path, String yaml) throws IOException, InterruptedException {
        return send("PUT", path, yaml);
    }

    int get(String path) throws IOException, InterruptedException {
        return client.send(request(path).build(), HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    private Answer send(String method, String path, String yaml) throws IOException, InterruptedException {
        var request = request(path)
                .header("Content-Type", "application/yaml")
                .method(method, HttpRequest.BodyPublishers.ofString(yaml))
                .build();
        var response = client.send(request, HttpResponse.BodyHandlers.ofString());
        return new Answer(response.statusCode(), JSON.readTree(response.body()));
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create("https://127.0.0.1:" + port + path));
    }

    @Override
    public void close() {
        for (var each : running.reversed()) {
            try {
                each.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        try (var files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
