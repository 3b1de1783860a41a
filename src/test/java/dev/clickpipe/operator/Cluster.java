package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Phase;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.Watch;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.Resource;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.monitoring.Metrics;
import io.javaoperatorsdk.operator.processing.Controller;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * One test's namespace on the shared API server, with a fake kubelet and the real operator, which can be stopped and
 * started again. What it waits for comes, or the test fails.
 */
final class Cluster {
    static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final AtomicInteger NAMESPACES = new AtomicInteger();

    final KubeApi api;
    final String namespace;
    final FakeKubelet kubelet;
    final ShiftableClock clock = new ShiftableClock();
    final MeterRegistry meters = new SimpleMeterRegistry();

    private final Map<String, AtomicInteger> rounds = new ConcurrentHashMap<>();
    private final List<Watch> watches = new ArrayList<>();
    private Duration teardownTimeout = Duration.ofMinutes(2);
    private String image = Pipes.SETTINGS.image();
    private final Set<Operator> stopped = new HashSet<>();
    private Operator operator;

    private Cluster(KubeApi api) {
        this.api = api;
        namespace = api.namespace("test-" + NAMESPACES.incrementAndGet());
        kubelet = new FakeKubelet(api.client(), namespace);
    }

    /** Hands each test a cluster of its own. */
    static final class Extension implements ParameterResolver, AfterEachCallback {
        private static final ExtensionContext.Namespace STORE = ExtensionContext.Namespace.create(Cluster.class);

        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == Cluster.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            var cluster = new Cluster(KubeApi.shared(context));
            context.getStore(STORE).put(context.getUniqueId(), cluster);
            return cluster;
        }

        @Override
        public void afterEach(ExtensionContext context) throws Exception {
            var cluster = context.getStore(STORE).remove(context.getUniqueId(), Cluster.class);
            if (cluster != null) {
                cluster.close();
            }
        }
    }

    /** One more, for a test that needs many; it is closed by whoever asked. */
    static Cluster on(KubeApi api) {
        return new Cluster(api);
    }

    void close() throws InterruptedException {
        watches.forEach(Watch::close);
        stopOperator();
        kubelet.close();
    }

    KubernetesClient client() {
        return api.client();
    }

    // ---- the operator ----

    Cluster teardownTimeout(Duration timeout) {
        teardownTimeout = timeout;
        return this;
    }

    Cluster image(String image) {
        this.image = image;
        return this;
    }

    Cluster startOperator() {
        operator = start(client());
        return this;
    }

    /** Another operator, which has this client for itself. The last one started is the one that is stopped in the end. */
    Operator startOperator(KubernetesClient own) {
        operator = start(own);
        return operator;
    }

    private Operator start(KubernetesClient client) {
        var settings =
                new Settings(image, Optional.empty(), kubelet.port(), "text", Duration.ofMillis(100), teardownTimeout);
        var started = new Operator(o -> o.withKubernetesClient(client)
                .withCloseClientOnStop(false)
                .checkingCRDAndValidateLocalModel(false)
                // by default an informer that breaks ends the process, which is the tests' here
                .withInformerStoppedHandler((informer, e) -> {})
                .withMetrics(new CountRounds()));
        started.register(
                new ClickPipeReconciler(settings, clock, new PipeMetrics(meters)),
                configuration -> configuration.settingNamespaces(namespace));
        started.start();
        return started;
    }

    void stopOperator() {
        if (operator != null) {
            stop(operator);
            operator = null;
        }
    }

    /** Returns when it is stopped, whoever asked first: an operator that is stopped again fails. */
    void stop(Operator any) {
        synchronized (stopped) {
            if (stopped.add(any)) {
                any.stop();
            }
        }
    }

    /** Counts the rounds that ended, by pipe. */
    private final class CountRounds implements Metrics {
        @Override
        public void reconciliationExecutionFinished(HasMetadata resource, Map<String, Object> metadata) {
            rounds(resource.getMetadata().getName()).incrementAndGet();
        }
    }

    private AtomicInteger rounds(String pipe) {
        return rounds.computeIfAbsent(pipe, name -> new AtomicInteger());
    }

    /** Has the pipe looked at anew, and waits until it was, from beginning to end. */
    void lookAgain(String pipe) {
        // A round may be under way that began before this: only the second from now is surely a later one.
        for (int i = 0; i < 2; i++) {
            var before = rounds(pipe).get();
            var controller = (Controller<?>)
                    operator.getRegisteredController("clickpipe").orElseThrow();
            controller
                    .getEventProcessor()
                    .handleEvent(
                            new io.javaoperatorsdk.operator.processing.event.Event(new ResourceID(pipe, namespace)));
            await("another round of " + pipe, () -> rounds(pipe).get() > before);
        }
    }

    // ---- pipes ----

    Resource<ClickPipe> pipe(String name) {
        return client().resources(ClickPipe.class).inNamespace(namespace).withName(name);
    }

    ClickPipe get(String name) {
        return pipe(name).get();
    }

    /** Name and spec, as a person would write them. */
    ClickPipe create(ClickPipe pipe) {
        var manifest = new ClickPipe();
        manifest.getMetadata().setNamespace(namespace);
        manifest.getMetadata().setName(pipe.getMetadata().getName());
        manifest.setSpec(pipe.getSpec());
        // This kube-apiserver, 1.20 built by a newer Go, takes an empty string for null and refuses it.
        var yaml = Serialization.asYaml(manifest).replaceAll("(?m)^ *\\w+: \"\"\n", "");
        client().resource(Serialization.unmarshal(yaml, GenericKubernetesResource.class))
                .create();
        return get(pipe.getMetadata().getName());
    }

    /** Edits the pipe's text. */
    void edit(String name, String from, String to) {
        edit(name, pipe -> Pipes.edited(pipe, from, to));
    }

    void edit(String name, UnaryOperator<ClickPipe> change) {
        while (true) {
            try {
                pipe(name).edit(change);
                return;
            } catch (KubernetesClientException e) {
                // the operator wrote the status meanwhile
                if (e.getCode() != 409) {
                    throw e;
                }
            }
        }
    }

    /** One of them: the first may be over too soon to be seen. */
    void awaitPhase(String name, Phase... phases) {
        await(name + " to be " + List.of(phases), name, pipe -> List.of(phases)
                .contains(pipe.getStatus().phase()));
    }

    void awaitReady(String name) {
        await(name + " to be ready", name, pipe -> Conditions.isTrue(pipe.getStatus(), Conditions.READY));
    }

    void awaitReason(String name, String reason) {
        await(name + " to say " + reason, name, pipe -> reason(pipe).equals(reason));
    }

    void await(String what, String name, Predicate<ClickPipe> condition) {
        Awaitility.await(what)
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(20))
                .untilAsserted(() -> assertThat(get(name))
                        .as(what)
                        .matches(pipe -> pipe != null && pipe.getStatus() != null && condition.test(pipe)));
    }

    void await(String what, Callable<Boolean> condition) {
        Awaitility.await(what)
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(20))
                .until(condition);
    }

    void awaitGone(String name) {
        await(name + " to be gone", () -> get(name) == null);
    }

    static String reason(ClickPipe pipe) {
        return Conditions.readyCause(pipe.getStatus()).orElseThrow().reason();
    }

    static String message(ClickPipe pipe) {
        return Conditions.readyCause(pipe.getStatus()).orElseThrow().message();
    }

    /** Every phase that was written from now on, in order, repetitions left out. */
    List<Phase> recordPhases(String name) {
        var phases = new CopyOnWriteArrayList<Phase>();
        watches.add(client().resources(ClickPipe.class)
                .inNamespace(namespace)
                .withName(name)
                .watch(new Watcher<>() {
                    @Override
                    public void eventReceived(Action action, ClickPipe pipe) {
                        var phase = pipe.getStatus() == null
                                ? null
                                : pipe.getStatus().phase();
                        if (phase != null && (phases.isEmpty() || phases.getLast() != phase)) {
                            phases.add(phase);
                        }
                    }

                    @Override
                    public void onClose(WatcherException cause) {}
                }));
        return phases;
    }

    void awaitPhases(List<Phase> recorded, Phase... expected) {
        Awaitility.await("the last phase").atMost(PATIENCE).untilAsserted(() -> assertThat(recorded)
                .containsExactly(expected));
    }

    // ---- children ----

    List<Job> jobs(Role role) {
        return of(
                role, client().batch().v1().jobs().inNamespace(namespace).list().getItems());
    }

    List<Pod> pods(Role role) {
        return of(role, client().pods().inNamespace(namespace).list().getItems());
    }

    List<Deployment> deployments() {
        return client().apps().deployments().inNamespace(namespace).list().getItems();
    }

    List<ConfigMap> configMaps() {
        return client().configMaps()
                .inNamespace(namespace)
                .withLabel(Worker.MANAGED_BY)
                .list()
                .getItems();
    }

    /** Our own events, oldest first, as reason and message. */
    List<Event> events(String pipe) {
        return client().v1().events().inNamespace(namespace).list().getItems().stream()
                .filter(event -> event.getInvolvedObject().getKind().equals(ClickPipe.KIND))
                .filter(event -> event.getInvolvedObject().getName().equals(pipe))
                .sorted(java.util.Comparator.comparing(
                        e -> Long.valueOf(e.getMetadata().getResourceVersion())))
                .toList();
    }

    /** Everything in the namespace, with its version: what was written shows. */
    Map<String, String> versions() {
        var versions = new TreeMap<String, String>();
        Stream.<List<? extends HasMetadata>>of(
                        client().resources(ClickPipe.class)
                                .inNamespace(namespace)
                                .list()
                                .getItems(),
                        client().batch()
                                .v1()
                                .jobs()
                                .inNamespace(namespace)
                                .list()
                                .getItems(),
                        deployments(),
                        configMaps(),
                        client().pods().inNamespace(namespace).list().getItems(),
                        client().v1().events().inNamespace(namespace).list().getItems())
                .flatMap(List::stream)
                .forEach(o -> versions.put(
                        o.getKind() + " " + o.getMetadata().getName(),
                        o.getMetadata().getResourceVersion()));
        return versions;
    }

    private static <T extends HasMetadata> List<T> of(Role role, List<T> objects) {
        return objects.stream()
                .filter(o -> role.word().equals(o.getMetadata().getLabels().get(Worker.COMPONENT)))
                .toList();
    }
}
