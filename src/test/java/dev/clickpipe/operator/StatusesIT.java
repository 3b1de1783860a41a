package dev.clickpipe.operator;

import static dev.clickpipe.operator.FakeKubelet.retrying;

import dev.clickpipe.StoredPipe;
import dev.clickpipe.api.ClickPipe;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.fabric8.kubernetes.client.utils.Serialization;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Pipes in states that a real cluster can't be brought into at will, as the API server stored them; {@code EndToEndIT}
 * captures the others.
 */
@ExtendWith(Cluster.Extension.class)
class StatusesIT {
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

    private static void check(Cluster cluster, String name) {
        var stored = cluster.client()
                .genericKubernetesResources(ResourceDefinitionContext.fromResourceType(ClickPipe.class))
                .inNamespace(cluster.namespace)
                .withName("orders")
                .get();
        StoredPipe.parse(Serialization.asJson(stored))
                .check("fake-kubelet/" + name + ".yaml", yaml -> yaml.replace(cluster.namespace, "shop"));
    }
}
