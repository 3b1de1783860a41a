package dev.clickpipe.operator;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import com.sun.net.httpserver.HttpServer;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import io.fabric8.kubernetes.api.model.BindingBuilder;
import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateBuilder;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.PodStatus;
import io.fabric8.kubernetes.api.model.PodStatusBuilder;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobConditionBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.JobStatusBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Instant;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * Stands for scheduler, kubelet, garbage collector and the Job and Deployment controllers of one namespace, as far as the
 * operator can tell. Workers are scripts: what a pod of a role does, from its creation on, until it is deleted.
 */
final class FakeKubelet {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .addModule(new JavaTimeModule())
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
            .build();
    private static final AtomicInteger ADDRESSES = new AtomicInteger(1);

    /** What a pod does. Runs on a thread of its own, which is interrupted when the pod is deleted. */
    interface Script {
        void run(Container container) throws InterruptedException;
    }

    private final KubernetesClient client;
    private final String namespace;
    private final int port = freePort();
    private final Map<Role, Script> scripts = new EnumMap<>(Role.class);
    private final Map<String, Container> containers = new ConcurrentHashMap<>();
    private final Thread loop;

    FakeKubelet(KubernetesClient client, String namespace) {
        this.client = client;
        this.namespace = namespace;
        when(Role.SETUP, FakeKubelet::succeed);
        when(Role.SNAPSHOT, container -> {
            container.start();
            container.says(loading(3, 4));
            container.exit(0, done(loaded()));
        });
        when(Role.CDC, container -> {
            container.start();
            container.says(streaming());
        });
        when(Role.RESYNC, FakeKubelet::succeed);
        when(Role.INSPECT, container -> {
            container.start();
            container.exit(0, Termination.seen(slot(4096, null, "reserved")));
        });
        when(Role.TEARDOWN, FakeKubelet::succeed);
        loop = Thread.ofVirtual().name("kubelet " + namespace).start(this::loop);
    }

    /** Workers' port, for {@link Settings}. */
    int port() {
        return port;
    }

    synchronized void when(Role role, Script script) {
        scripts.put(role, script);
    }

    private synchronized Script script(Role role) {
        return scripts.get(role);
    }

    void close() throws InterruptedException {
        loop.interrupt();
        loop.join();
        containers.values().forEach(Container::stop);
    }

    // ---- scripts' vocabulary ----

    static void succeed(Container container) {
        container.start();
        container.exit(0, done(null));
    }

    static Script fails(int exitCode, Termination lastWords) {
        return container -> {
            container.start();
            container.exit(exitCode, lastWords);
        };
    }

    static Termination refusal(String reason, String message) {
        return new Termination(reason, message, null, false, List.of(), null, null);
    }

    static Termination done(WorkerStatus.Load load) {
        return new Termination(Termination.SUCCEEDED, "Done.", null, false, List.of(), load, null);
    }

    static WorkerStatus streaming() {
        return streaming(0);
    }

    static WorkerStatus streaming(WorkerStatus.Table... tables) {
        return new WorkerStatus(
                "cdc", WorkerStatus.State.Working, null, null, streaming().replication(), List.of(tables));
    }

    /** What an inspection sees. @param safe null: max_slot_wal_keep_size is unlimited */
    static WorkerStatus.Replication slot(long retained, Long safe, String walStatus) {
        return new WorkerStatus.Replication(
                "slot", "pub", "0/1A", "0/2B", retained, 0, retained, safe, walStatus, null, 0);
    }

    /** Waits for a person, and looks now and then whether it has come. */
    static WorkerStatus failed(String reason, String message) {
        return new WorkerStatus(
                "cdc",
                WorkerStatus.State.Failed,
                new Problem(reason, "slot clickpipe_orders", message, "Set a new spec.resync"),
                null,
                null,
                List.of());
    }

    static WorkerStatus streaming(long lagBytes) {
        return new WorkerStatus(
                "cdc",
                WorkerStatus.State.Working,
                null,
                null,
                new WorkerStatus.Replication(
                        "slot",
                        "pub",
                        "0/1A",
                        "0/2B",
                        lagBytes,
                        lagBytes == 0 ? 0 : 3,
                        4096L,
                        null,
                        null,
                        Instant.parse("2026-01-01T00:00:00Z"),
                        17),
                List.of());
    }

    static WorkerStatus retrying(String mode, String reason, String message) {
        return new WorkerStatus(
                mode,
                WorkerStatus.State.Retrying,
                new Problem(reason, "postgres postgres.shop.svc:5432/shop", message, "start it"),
                null,
                null,
                List.of());
    }

    static WorkerStatus loading(int chunksDone, int chunksTotal) {
        return new WorkerStatus(
                "snapshot",
                WorkerStatus.State.Working,
                null,
                new WorkerStatus.Load(1, 2, 0, 1_200_000, 420, 1000, 42, 310_000, 12L),
                null,
                List.of(
                        new WorkerStatus.Table(
                                "public.orders", "orders", chunksTotal, chunksTotal, 900_000, true, null, null),
                        new WorkerStatus.Table(
                                "public.customers", "customers", chunksDone, chunksTotal, 300_000, false, null, null)));
    }

    static WorkerStatus.Load loaded() {
        return new WorkerStatus.Load(2, 2, 0, 2_000_000, 1000, 1000, 100, 0, 0L);
    }

    /** A pod's only container, as its script moves it. */
    final class Container {
        private final Pod pod;
        private final Thread script;
        private final String ip;
        private volatile WorkerStatus says;
        private volatile boolean hangs;
        private boolean stopping;
        private HttpServer server;
        private ContainerState last = new ContainerState();
        private int restarts;
        private Instant startedAt;

        private Container(Pod pod, Script script) {
            this.pod = pod;
            int n = ADDRESSES.getAndIncrement();
            ip = "127.88." + n / 250 + "." + (1 + n % 250);
            this.script = Thread.ofVirtual().name(pod.getMetadata().getName()).unstarted(() -> {
                try {
                    script.run(this);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                } catch (KubernetesClientException e) {
                    if (!Thread.currentThread().isInterrupted() && e.getCode() != 404) {
                        throw e;
                    }
                }
            });
        }

        String name() {
            return pod.getMetadata().getName();
        }

        /** The pipe as its worker reads it. */
        ClickPipe pipe() throws InterruptedException {
            var map = pod.getSpec().getVolumes().stream()
                    .filter(volume -> volume.getName().equals("pipe"))
                    .map(volume -> volume.getConfigMap().getName())
                    .findFirst()
                    .orElseThrow();
            var file = client.configMaps().inNamespace(namespace).withName(map).get();
            while (file == null) {
                Thread.sleep(20); // as the real one, which would not have started it
                file = client.configMaps().inNamespace(namespace).withName(map).get();
            }
            return Serialization.unmarshal(file.getData().get("pipe.yaml"), ClickPipe.class);
        }

        void schedule() {
            var now = client.pods().inNamespace(namespace).withName(name()).get();
            if (now != null && now.getSpec().getNodeName() == null) {
                client.bindings()
                        .inNamespace(namespace)
                        .resource(new BindingBuilder()
                                .withNewMetadata()
                                .withName(name())
                                .withNamespace(namespace)
                                .endMetadata()
                                .withNewTarget()
                                .withKind("Node")
                                .withName("node")
                                .endTarget()
                                .build())
                        .create();
            }
        }

        void unschedulable(String message) {
            status(s -> new PodStatusBuilder(s)
                    .withPhase("Pending")
                    .addNewCondition()
                    .withType("PodScheduled")
                    .withStatus("False")
                    .withReason("Unschedulable")
                    .withMessage(message)
                    .endCondition()
                    .build());
        }

        /** Waiting, for a reason that the kubelet writes into the pod's status. */
        void waiting(String reason, String message) {
            schedule();
            container(
                    "Pending",
                    new ContainerStateBuilder()
                            .withNewWaiting()
                            .withReason(reason)
                            .withMessage(message)
                            .endWaiting()
                            .build());
        }

        /** Waiting, for a reason that the kubelet tells in an event only. */
        void waitingWithEvent(String reason, String message) {
            waiting("ContainerCreating", null);
            client.v1()
                    .events()
                    .inNamespace(namespace)
                    .resource(event(pod, reason, message))
                    .create();
        }

        void start() {
            schedule();
            listen();
            startedAt = Instant.now();
            container(
                    "Running",
                    new ContainerStateBuilder()
                            .withNewRunning()
                            .withStartedAt(Status.time(startedAt))
                            .endRunning()
                            .build());
        }

        /** Answers /status from now on. */
        void says(WorkerStatus status) {
            says = status;
        }

        /** Promises an answer from now on, and never gives it. */
        void hangs() {
            hangs = true;
        }

        /** The container ends, and with it the pod. */
        void exit(int code, Termination lastWords) {
            exit(code, code == 0 ? "Completed" : "Error", json(lastWords));
        }

        void exit(int code, String reason, String message) {
            hangUp();
            container(code == 0 ? "Succeeded" : "Failed", terminated(code, reason, message));
        }

        /** The container ends and waits for its restart, as in a Deployment's pod. */
        void crash(int code, String reason, String message) {
            hangUp();
            says = null;
            last = terminated(code, reason, message);
            restarts++;
            container(
                    "Running",
                    new ContainerStateBuilder()
                            .withNewWaiting()
                            .withReason("CrashLoopBackOff")
                            .withMessage("back-off 10s restarting failed container")
                            .endWaiting()
                            .build());
        }

        void evict() {
            hangUp();
            status(s -> new PodStatusBuilder()
                    .withPhase("Failed")
                    .withReason("Evicted")
                    .withMessage("The node was low on resource: memory.")
                    .build());
        }

        /** Until the pod is deleted. */
        void forever() throws InterruptedException {
            Thread.sleep(Long.MAX_VALUE);
        }

        private void stop() {
            script.interrupt();
            hangUp();
        }

        /** Asks it to stop, once; true when it has. */
        private boolean stopped() {
            if (!stopping) {
                stopping = true;
                stop();
            }
            return !script.isAlive();
        }

        private ContainerState terminated(int code, String reason, String message) {
            return new ContainerStateBuilder()
                    .withNewTerminated()
                    .withExitCode(code)
                    .withReason(reason)
                    .withMessage(message)
                    .withStartedAt(startedAt == null ? null : Status.time(startedAt))
                    .withFinishedAt(Status.time(Instant.now()))
                    .endTerminated()
                    .build();
        }

        private void container(String phase, ContainerState state) {
            status(s -> new PodStatusBuilder()
                    .withPhase(phase)
                    .withPodIP(ip)
                    .addNewContainerStatus()
                    .withName("worker")
                    .withImage("image")
                    .withImageID("id")
                    .withReady("Running".equals(phase))
                    .withRestartCount(restarts)
                    .withState(state)
                    .withLastState(last)
                    .endContainerStatus()
                    .build());
        }

        private void status(UnaryOperator<PodStatus> change) {
            while (true) {
                try {
                    client.pods().inNamespace(namespace).withName(name()).editStatus(p -> new PodBuilder(p)
                            .withStatus(change.apply(p.getStatus()))
                            .build());
                    return;
                } catch (KubernetesClientException e) {
                    // somebody else changed the pod: again
                    if (e.getCode() != 409) {
                        throw e;
                    }
                }
            }
        }

        private void listen() {
            try {
                server = HttpServer.create(new InetSocketAddress(InetAddress.getByName(ip), port), 0);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            server.createContext("/status", exchange -> {
                if (hangs) {
                    exchange.sendResponseHeaders(200, 1000);
                    return;
                }
                var status = says;
                var body = status == null ? new byte[0] : JSON.writeValueAsBytes(status);
                exchange.sendResponseHeaders(status == null ? 503 : 200, body.length == 0 ? -1 : body.length);
                exchange.getResponseBody().write(body);
                exchange.close();
            });
            server.start();
        }

        private void hangUp() {
            if (server != null) {
                server.stop(0);
                server = null;
            }
        }
    }

    // ---- the controllers ----

    private void loop() {
        try {
            while (true) {
                try {
                    sync();
                } catch (KubernetesClientException e) {
                    // somebody else was faster: look again
                }
                Thread.sleep(20);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void sync() {
        var jobs = client.batch().v1().jobs().inNamespace(namespace).list().getItems();
        var deployments =
                client.apps().deployments().inNamespace(namespace).list().getItems();
        var pods = client.pods().inNamespace(namespace).list().getItems();
        var pipes = uids(
                client.resources(ClickPipe.class).inNamespace(namespace).list().getItems());

        jobs.stream().filter(job -> orphaned(job, pipes)).forEach(job -> client.resource(job)
                .delete());
        deployments.stream().filter(d -> orphaned(d, pipes)).forEach(d -> client.resource(d)
                .delete());

        for (var job : jobs) {
            syncJob(job, owned(job, pods));
        }
        for (var deployment : deployments) {
            syncDeployment(deployment, owned(deployment, pods));
        }
        var owners = uids(jobs);
        owners.addAll(uids(deployments));
        for (var pod : pods) {
            if (pod.getMetadata().getDeletionTimestamp() != null) {
                var container = containers.get(pod.getMetadata().getUid());
                if (container == null || container.stopped()) {
                    client.resource(pod).withGracePeriod(0).delete();
                }
            } else if (orphaned(pod, owners)) {
                client.resource(pod).delete();
            } else {
                containers.computeIfAbsent(pod.getMetadata().getUid(), uid -> {
                    var container = new Container(pod, script(Role.of(pod).orElseThrow()));
                    container.script.start();
                    return container;
                });
            }
        }
    }

    /** As the real one, of a Job without completions: none is replaced when one has succeeded, and that is enough. */
    private void syncJob(Job job, List<Pod> pods) {
        if (job.getMetadata().getDeletionTimestamp() != null
                || !job.getStatus().getConditions().isEmpty()) {
            return;
        }
        if (pods.isEmpty()) {
            client.batch().v1().jobs().resource(job).editStatus(j -> {
                j.getStatus().setStartTime(Status.time(Instant.now()));
                return j;
            });
        }
        long failed = inPhase("Failed", pods);
        long succeeded = inPhase("Succeeded", pods);
        long active = pods.size() - failed - succeeded;
        if (failed > job.getSpec().getBackoffLimit()) {
            ended(job, "Failed");
        } else if (succeeded > 0) {
            if (active == 0) {
                ended(job, "Complete");
            }
        } else {
            for (long i = active; i < job.getSpec().getParallelism(); i++) {
                create(
                        job,
                        job.getSpec().getTemplate(),
                        Map.of("job-name", job.getMetadata().getName()));
            }
        }
    }

    private static long inPhase(String phase, List<Pod> pods) {
        return pods.stream()
                .filter(pod -> phase.equals(pod.getStatus().getPhase()))
                .count();
    }

    private void ended(Job job, String how) {
        var now = Status.time(Instant.now());
        client.batch().v1().jobs().resource(job).editStatus(j -> {
            j.setStatus(new JobStatusBuilder()
                    .withStartTime(j.getMetadata().getCreationTimestamp())
                    .withCompletionTime(how.equals("Complete") ? now : null)
                    .withConditions(new JobConditionBuilder()
                            .withType(how)
                            .withStatus("True")
                            .withLastTransitionTime(now)
                            .build())
                    .build());
            return j;
        });
    }

    /** Recreate: all old pods are gone before the new one is made. */
    private void syncDeployment(Deployment deployment, List<Pod> pods) {
        if (deployment.getMetadata().getDeletionTimestamp() != null) {
            return;
        }
        var template = deployment.getSpec().getTemplate();
        var hash = Integer.toHexString(template.hashCode());
        var old = pods.stream()
                .filter(pod -> !hash.equals(pod.getMetadata().getLabels().get("pod-template-hash")))
                .toList();
        old.stream()
                .filter(pod -> pod.getMetadata().getDeletionTimestamp() == null)
                .forEach(pod -> client.resource(pod).delete());
        for (int i = pods.size(); old.isEmpty() && i < deployment.getSpec().getReplicas(); i++) {
            create(deployment, template, Map.of("pod-template-hash", hash));
        }
    }

    private void create(HasMetadata owner, PodTemplateSpec template, Map<String, String> labels) {
        client.resource(new PodBuilder()
                        .withNewMetadata()
                        .withNamespace(namespace)
                        .withGenerateName(owner.getMetadata().getName() + "-")
                        .withLabels(template.getMetadata().getLabels())
                        .addToLabels(labels)
                        .withAnnotations(template.getMetadata().getAnnotations())
                        .addNewOwnerReference()
                        .withApiVersion(owner.getApiVersion())
                        .withKind(owner.getKind())
                        .withName(owner.getMetadata().getName())
                        .withUid(owner.getMetadata().getUid())
                        .withController(true)
                        .endOwnerReference()
                        .endMetadata()
                        .withSpec(template.getSpec())
                        .build())
                .create();
    }

    private static List<Pod> owned(HasMetadata owner, List<Pod> pods) {
        return pods.stream()
                .filter(pod -> pod.getMetadata().getOwnerReferences().stream()
                        .anyMatch(o -> o.getUid().equals(owner.getMetadata().getUid())))
                .toList();
    }

    private static boolean orphaned(HasMetadata object, Set<String> owners) {
        return object.getMetadata().getDeletionTimestamp() == null
                && object.getMetadata().getOwnerReferences().stream().noneMatch(o -> owners.contains(o.getUid()));
    }

    private static Set<String> uids(List<? extends HasMetadata> objects) {
        return objects.stream()
                .map(o -> o.getMetadata().getUid())
                .collect(Collectors.toCollection(java.util.HashSet::new));
    }

    private static io.fabric8.kubernetes.api.model.Event event(Pod pod, String reason, String message) {
        return new io.fabric8.kubernetes.api.model.EventBuilder()
                .withNewMetadata()
                .withGenerateName(pod.getMetadata().getName() + ".")
                .withNamespace(pod.getMetadata().getNamespace())
                .endMetadata()
                .withNewInvolvedObject()
                .withApiVersion("v1")
                .withKind("Pod")
                .withNamespace(pod.getMetadata().getNamespace())
                .withName(pod.getMetadata().getName())
                .withUid(pod.getMetadata().getUid())
                .endInvolvedObject()
                .withType("Warning")
                .withReason(reason)
                .withMessage(message)
                .withFirstTimestamp(Status.time(Instant.now()))
                .withLastTimestamp(Status.time(Instant.now()))
                .build();
    }

    private static String json(Termination termination) {
        try {
            return termination == null ? null : JSON.writeValueAsString(termination);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new IllegalArgumentException(e);
        }
    }

    static int freePort() {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static final int FATAL = ExitCode.FATAL.code();
}
