package dev.clickpipe.operator;

import static dev.clickpipe.operator.FakeKubelet.FATAL;
import static dev.clickpipe.operator.FakeKubelet.fails;
import static dev.clickpipe.operator.FakeKubelet.refusal;
import static dev.clickpipe.operator.FakeKubelet.retrying;
import static dev.clickpipe.operator.FakeKubelet.streaming;
import static org.junit.jupiter.api.Assertions.assertAll;

import dev.clickpipe.GeneratedFile;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Phase;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;

/**
 * Pipes in every phase as the API server stored them, kept in src/test/resources/statuses: what generic tools, such as Argo
 * CD's health script and kstatus, are tested with.
 */
@ExtendWith(Cluster.Extension.class)
class StatusesIT {
    private static final String ORDERS = "orders";

    private final List<Executable> captured = new ArrayList<>();

    @AfterEach
    void checkThem() {
        assertAll(captured);
    }

    @Test
    void onTheWayToRunning(Cluster cluster) {
        var scheduled = new CountDownLatch(1);
        var setUp = new CountDownLatch(1);
        var loaded = new CountDownLatch(1);
        var starts = new CountDownLatch(1);
        var tornDown = new CountDownLatch(1);
        var says = new AtomicReference<>(streaming());
        var load = new AtomicReference<>(FakeKubelet.loading(3, 4));
        cluster.kubelet.when(Role.SETUP, container -> {
            container.schedule();
            scheduled.await();
            container.start();
            setUp.await();
            container.exit(0, FakeKubelet.done(null));
        });
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            while (loaded.getCount() > 0) {
                container.says(load.get());
                Thread.sleep(10);
            }
            container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
        });
        cluster.kubelet.when(Role.CDC, container -> {
            starts.await();
            container.start();
            while (true) {
                container.says(says.get());
                Thread.sleep(10);
            }
        });
        cluster.create(Pipes.cdc());
        capture(cluster, "unseen");
        cluster.startOperator();
        cluster.awaitPhase(ORDERS, Phase.Provisioning);
        capture(cluster, "provisioning");
        scheduled.countDown();
        cluster.awaitPhase(ORDERS, Phase.Setup);
        capture(cluster, "setup");
        setUp.countDown();
        cluster.await(
                "progress",
                ORDERS,
                pipe -> pipe.getStatus().phase() == Phase.Snapshot
                        && pipe.getStatus().initialLoad().percent() == 42);
        capture(cluster, "snapshot");
        load.set(retrying("snapshot", "SourceUnreachable", "connection refused"));
        cluster.awaitReason(ORDERS, "SourceUnreachable");
        capture(cluster, "snapshot-source-down");
        load.set(FakeKubelet.loading(3, 4));
        cluster.awaitReason(ORDERS, "Snapshot");
        loaded.countDown();
        cluster.awaitPhase(ORDERS, Phase.Running);
        capture(cluster, "running-worker-starting");
        starts.countDown();
        cluster.awaitReady(ORDERS);
        capture(cluster, "running");
        says.set(retrying("cdc", "SourceUnreachable", "connection refused"));
        cluster.awaitReason(ORDERS, "SourceUnreachable");
        capture(cluster, "running-source-down");
        says.set(streaming());
        cluster.awaitReady(ORDERS);

        // edited, and the operator has not looked yet
        cluster.stopOperator();
        cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "pullBatchSize", 5000));
        capture(cluster, "running-spec-edited");
        cluster.kubelet.when(Role.TEARDOWN, container -> {
            container.start();
            container.says(retrying("teardown", "SourceUnreachable", "connection refused"));
            tornDown.await();
            container.exit(0, FakeKubelet.done(null));
        });
        cluster.startOperator();
        cluster.pipe(ORDERS).delete();
        cluster.await("the obstacle", ORDERS, pipe -> Cluster.message(pipe).contains("connection refused"));
        capture(cluster, "deleting");
        tornDown.countDown();
        cluster.awaitGone(ORDERS);
    }

    @Test
    void withoutItsSecret(Cluster cluster) {
        cluster.kubelet.when(
                Role.SETUP,
                container -> container.waitingWithEvent(
                        "FailedMount",
                        "MountVolume.SetUp failed for volume \"credentials\" : secret \"shop-postgres\" not found"));
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReason(ORDERS, "FailedMount");
        capture(cluster, "provisioning-secret-missing");
    }

    @Test
    void setupThatCantReachTheSource(Cluster cluster) {
        cluster.kubelet.when(Role.SETUP, container -> {
            container.start();
            container.says(retrying("setup", "SourceUnreachable", "connection refused"));
            container.forever();
        });
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReason(ORDERS, "SourceUnreachable");
        capture(cluster, "setup-source-down");
    }

    @Test
    void completed(Cluster cluster) {
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
        });
        cluster.startOperator();
        cluster.create(Pipes.withMode("snapshot"));
        cluster.awaitReady(ORDERS);
        capture(cluster, "completed");
    }

    @Test
    void failedInSetup(Cluster cluster) {
        cluster.kubelet.when(
                Role.SETUP,
                fails(
                        FATAL,
                        refusal(
                                "SourceNotReady",
                                "postgres postgres.shop.svc:5432/shop: wal_level is replica. ALTER SYSTEM SET wal_level = logical, and restart Postgres")));
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitPhase(ORDERS, Phase.Failed);
        capture(cluster, "failed-in-setup");
    }

    @Test
    void failedWhileStreaming(Cluster cluster) {
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
        });
        var slotGone = new CountDownLatch(1);
        cluster.kubelet.when(Role.CDC, container -> {
            container.start();
            container.says(streaming());
            slotGone.await();
            container.crash(
                    FATAL,
                    "Error",
                    "{\"reason\": \"SlotGone\", \"message\": \"replication slot slot does not exist\"}");
            container.forever();
        });
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReady(ORDERS);
        slotGone.countDown();
        cluster.awaitPhase(ORDERS, Phase.Failed);
        capture(cluster, "failed-while-streaming");
    }

    @Test
    void pausedForLong(Cluster cluster) {
        var stopped = new CountDownLatch(1);
        var seen = new AtomicReference<>(FakeKubelet.slot(700 << 20, 300L << 20, "extended"));
        cluster.kubelet.when(Role.CDC, container -> {
            container.start();
            container.says(streaming());
            try {
                container.forever();
            } finally {
                stopped.await();
            }
        });
        cluster.kubelet.when(Role.INSPECT, container -> {
            container.start();
            container.exit(0, Termination.seen(seen.get()));
        });
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReady(ORDERS);
        cluster.edit(ORDERS, LifecycleIT.RUNNING, LifecycleIT.PAUSED);
        cluster.await(
                "the wait for the worker",
                ORDERS,
                pipe -> pipe.getStatus().phase() == Phase.Pausing
                        && pipe.getStatus().message().contains("pod "));
        capture(cluster, "pausing");
        stopped.countDown();
        cluster.await("a look at the slot", ORDERS, pipe -> "700 MiB kept"
                .equals(pipe.getStatus().replication().lag()));
        capture(cluster, "paused");
        seen.set(FakeKubelet.slot(900 << 20, 100L << 20, "extended"));
        cluster.clock.advance(Lifecycle.INSPECTION);
        cluster.lookAgain(ORDERS);
        cluster.await("another look", ORDERS, pipe -> "900 MiB kept"
                .equals(pipe.getStatus().replication().lag()));
        capture(cluster, "paused-slot-at-risk");
    }

    @Test
    void tablesThatComeAndGo(Cluster cluster) {
        var setUp = new CountDownLatch(1);
        var loaded = new CountDownLatch(1);
        var says = new AtomicReference<>(streaming(table("orders", null, 4)));
        cluster.startOperator();
        cluster.kubelet.when(Role.CDC, container -> {
            container.start();
            while (true) {
                container.says(says.get());
                Thread.sleep(10);
            }
        });
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
        });
        cluster.create(Pipes.cdc());
        cluster.awaitReady(ORDERS);
        cluster.kubelet.when(Role.SETUP, container -> {
            container.start();
            setUp.await();
            container.exit(0, FakeKubelet.done(new WorkerStatus.Load(1, 2, 1, 0, 0, 0, 0, 0, null)));
        });
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.says(new WorkerStatus(
                    "snapshot",
                    WorkerStatus.State.Working,
                    null,
                    new WorkerStatus.Load(1, 2, 1, 1_200_000, 750, 1000, 75, 310_000, 12L),
                    null,
                    List.of(table("orders", null, 4), table("orders_resync", "orders", 3))));
            loaded.await();
            container.exit(0, FakeKubelet.done(new WorkerStatus.Load(2, 2, 1, 1_600_000, 1000, 1000, 100, 0, 0L)));
        });
        cluster.edit(ORDERS, pipe -> Pipes.resync(Pipes.without(pipe, "customers"), "again"));
        cluster.await(
                "the setup's pod",
                ORDERS,
                pipe -> pipe.getStatus().phase() == Phase.Modifying
                        && cluster.pods(Role.SETUP).stream()
                                .anyMatch(pod -> pod.getStatus().getPhase().equals("Running")));
        capture(cluster, "modifying");
        says.set(streaming(table("orders", null, 4), table("orders_resync", "orders", 3)));
        setUp.countDown();
        cluster.await(
                "the load",
                ORDERS,
                pipe -> pipe.getStatus().phase() == Phase.Snapshot
                        && pipe.getStatus().initialLoad().percent() == 75
                        && pipe.getStatus().tables().getFirst().message() != null);
        capture(cluster, "snapshot-resync");
        loaded.countDown();
        cluster.awaitPhase(ORDERS, Phase.Resync);
        capture(cluster, "resync");
        says.set(streaming(table("orders", null, 4)));
        cluster.awaitReady(ORDERS);
    }

    private static WorkerStatus.Table table(String target, String replaces, int chunksDone) {
        return new WorkerStatus.Table(
                "public.orders", target, chunksDone, 4, chunksDone * 200_000L, chunksDone == 4, replaces, null);
    }

    @Test
    void waitsForAPersonWhileItStreams(Cluster cluster) {
        var lost = new AtomicReference<>(streaming());
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
        });
        cluster.kubelet.when(Role.CDC, container -> {
            container.start();
            while (true) {
                container.says(lost.get());
                Thread.sleep(10);
            }
        });
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReady(ORDERS);
        lost.set(FakeKubelet.failed("SlotInvalidated", "this slot has been invalidated because it exceeded the limit"));
        cluster.awaitPhase(ORDERS, Phase.Failed);
        capture(cluster, "failed-slot-lost");
    }

    /** As stored, but for what is another in every run. */
    private void capture(Cluster cluster, String name) {
        var context = io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext.fromResourceType(ClickPipe.class);
        GenericKubernetesResource pipe = cluster.client()
                .genericKubernetesResources(context)
                .inNamespace(cluster.namespace)
                .withName(ORDERS)
                .get();
        var metadata = pipe.getMetadata();
        metadata.setManagedFields(null);
        metadata.setResourceVersion("1");
        metadata.setSelfLink(null);
        metadata.setUid(Pipes.cdc().getMetadata().getUid());
        metadata.setNamespace("shop");
        var yaml = Serialization.asYaml(pipe)
                .replaceAll("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ", "2026-01-01T00:00:00Z")
                .replaceAll("observedSetup: .*", "observedSetup: \"01234567\"")
                .replaceAll("orders-(\\w+)-[0-9a-f]{8}-(\\d+)-\\w{5}", "orders-$1-01234567-$2-abcde")
                .replaceAll("orders-cdc-\\w{5}", "orders-cdc-abcde");
        captured.add(() -> GeneratedFile.check(Path.of("src/test/resources/statuses", name + ".yaml"), yaml));
    }
}
