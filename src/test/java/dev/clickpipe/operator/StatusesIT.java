package dev.clickpipe.operator;

import static dev.clickpipe.operator.FakeKubelet.retrying;
import static dev.clickpipe.operator.FakeKubelet.streaming;
import static org.junit.jupiter.api.Assertions.assertAll;

import dev.clickpipe.StoredPipe;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Phase;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;

/**
 * Pipes in states that a real cluster can't be brought into at will, as the API server stored them; {@code EndToEndIT}
 * captures the others.
 */
@ExtendWith(Cluster.Extension.class)
class StatusesIT {
    private static final String ORDERS = "orders";

    private final List<Executable> captured = new ArrayList<>();

    /** All of them: each that differs is written anew. */
    @AfterEach
    void checkThem() {
        assertAll(captured);
    }

    @Test
    void theSourceGoesAwayWhileItIsLoaded(Cluster cluster) {
        cluster.kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            container.says(retrying("snapshot", "CannotConnect", "connection refused"));
            container.forever();
        });
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitReason("orders", "CannotConnect");
        check(cluster, "snapshot-source-down");
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
        check(cluster, "pausing");
        stopped.countDown();
        cluster.await("a look at the slot", ORDERS, pipe -> "700 MiB kept"
                .equals(pipe.getStatus().replication().lag()));
        check(cluster, "paused");
        seen.set(FakeKubelet.slot(900 << 20, 100L << 20, "extended"));
        cluster.clock.advance(Lifecycle.INSPECTION);
        cluster.lookAgain(ORDERS);
        cluster.await("another look", ORDERS, pipe -> "900 MiB kept"
                .equals(pipe.getStatus().replication().lag()));
        check(cluster, "paused-slot-at-risk");
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
        check(cluster, "modifying");
        says.set(streaming(table("orders", null, 4), table("orders_resync", "orders", 3)));
        setUp.countDown();
        cluster.await(
                "the load",
                ORDERS,
                pipe -> pipe.getStatus().phase() == Phase.Snapshot
                        && pipe.getStatus().initialLoad().percent() == 75
                        && pipe.getStatus().tables().getFirst().message() != null);
        check(cluster, "snapshot-resync");
        loaded.countDown();
        cluster.awaitPhase(ORDERS, Phase.Resync);
        check(cluster, "resync");
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
        check(cluster, "failed-slot-lost");
    }

    private void check(Cluster cluster, String name) {
        var stored = cluster.client()
                .genericKubernetesResources(ResourceDefinitionContext.fromResourceType(ClickPipe.class))
                .inNamespace(cluster.namespace)
                .withName("orders")
                .get();
        captured.add(() -> StoredPipe.parse(Serialization.asJson(stored))
                .check("fake-kubelet/" + name + ".yaml", yaml -> yaml.replace(cluster.namespace, "shop")));
    }
}
