package dev.clickpipe;

import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Cluster;
import dev.clickpipe.testbed.Helm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ExtensionContext.StoreScope;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * The operator as users install it: the image from the Dockerfile, by the Helm chart, on the real cluster, with the real
 * ClickHouse engine beside it. Made once in a JVM, for every class that has it for a parameter:
 *
 * <pre>{@code
 * @ExtendWith(Installation.Extension.class)
 * class SomeIT {
 *     @BeforeAll
 *     static void install(Installation installation) {…}
 * }</pre>
 */
final class Installation implements AutoCloseable {
    static final String OPERATOR_NAMESPACE = "clickpipe-system";

    private static final int LONGEST_LINE = 1000;
    private static final Path EVIDENCE = Path.of("target", "end-to-end");
    private static final String PODS = "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}";

    private final Cluster cluster;
    private final ClickHouseProcess engine;

    private Installation(Cluster cluster, ClickHouseProcess engine) {
        this.cluster = cluster;
        this.engine = engine;
    }

    static final class Extension implements ParameterResolver, AfterTestExecutionCallback {
        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == Installation.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            // this store closes it after the last test class of this JVM
            return store(context).getOrComputeIfAbsent(Installation.class, key -> make(), Installation.class);
        }

        /** What the cluster knows of a failure goes with the cluster; so it is kept. */
        @Override
        public void afterTestExecution(ExtensionContext context) throws IOException {
            var installation = store(context).get(Installation.class, Installation.class);
            if (context.getExecutionException().isPresent() && installation != null) {
                Files.createDirectories(EVIDENCE);
                Files.writeString(
                        EVIDENCE.resolve(context.getRequiredTestClass().getSimpleName() + "." + context.getDisplayName()
                                + ".log"),
                        installation.evidence());
            }
        }

        private static ExtensionContext.Store store(ExtensionContext context) {
            return context.getStore(StoreScope.LAUNCHER_SESSION, Namespace.create(Installation.class));
        }
    }

    private static Installation make() {
        var cluster = Cluster.start();
        var installation = new Installation(cluster, ClickHouseProcess.create(cluster.nodeAddress()));
        try {
            installation.install(cluster.loadOperatorImage());
            return installation;
        } catch (RuntimeException e) {
            installation.close();
            throw e;
        }
    }

    private void install(String image) {
        int colon = image.lastIndexOf(':');
        // An API server as old as this one does not know the CRD's rules, and a current kubectl refuses to send them.
        cluster.kubectl("apply", "--validate=false", "-f", "crds/");
        Helm.run(
                "upgrade",
                "--install",
                "clickpipe-operator",
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
    }

    private String evidence() {
        var text = new StringBuilder();
        append(text, "get", "clickpipes,jobs,deployments,pods", "-A", "-o", "wide");
        append(text, "get", "events", "-A", "--sort-by=.lastTimestamp");
        append(text, "get", "clickpipes", "-A", "-o", "yaml");
        try {
            for (var pod :
                    cluster.kubectl("get", "pods", "-A", "-o", PODS).lines().toList()) {
                var names = pod.split(" ");
                append(text, "logs", "-n", names[0], names[1], "--tail=300");
            }
        } catch (IllegalStateException e) {
            text.append(e.getMessage());
        }
        return text.toString();
    }

    private void append(StringBuilder text, String... command) {
        text.append("$ kubectl ").append(String.join(" ", command)).append('\n');
        try {
            // the operator's stack traces are one line each
            cluster.kubectl(command).lines().forEach(line -> text.append(line, 0, Math.min(line.length(), LONGEST_LINE))
                    .append('\n'));
            text.append('\n');
        } catch (IllegalStateException e) {
            text.append(e.getMessage()).append("\n\n");
        }
    }

    /**
     * A namespace with a Postgres, a ClickHouse database and Secrets of its own.
     *
     * @param settings of the Postgres
     */
    Workspace workspace(String name, Map<String, String> settings) {
        engine.client("default").query("CREATE DATABASE " + name + " ENGINE = Atomic");
        return Workspace.create(cluster, name, settings, engine.client(name));
    }

    @Override
    public void close() {
        try {
            engine.close();
        } finally {
            cluster.close();
        }
    }
}
