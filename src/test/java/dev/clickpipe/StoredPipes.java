package dev.clickpipe;

import static java.util.stream.Collectors.joining;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.ClickPipe;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import org.awaitility.core.ConditionTimeoutException;

/** Every version of every ClickPipe of a namespace that the API server stores from now on, in that order. */
final class StoredPipes implements AutoCloseable {
    private final KubernetesClient client;
    private final List<StoredPipe> versions = new CopyOnWriteArrayList<>();
    private volatile WatcherException broken;

    private StoredPipes(KubernetesClient client) {
        this.client = client;
    }

    static StoredPipes watch(Path kubeconfig, String namespace) {
        var stored = new StoredPipes(new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(kubeconfig.toFile()))
                .build());
        stored.client
                .genericKubernetesResources(ResourceDefinitionContext.fromResourceType(ClickPipe.class))
                .inNamespace(namespace)
                .watch(stored.new Recorder());
        return stored;
    }

    private final class Recorder implements Watcher<GenericKubernetesResource> {
        @Override
        public void eventReceived(Action action, GenericKubernetesResource pipe) {
            if (action == Action.ADDED || action == Action.MODIFIED) {
                versions.add(StoredPipe.parse(Serialization.asJson(pipe)));
            }
        }

        @Override
        public void onClose(WatcherException cause) {
            broken = cause;
        }
    }

    /** All so far; never one missing. */
    List<StoredPipe> versions() {
        if (broken != null) {
            throw new IllegalStateException("some versions were not seen", broken);
        }
        return List.copyOf(versions);
    }

    List<StoredPipe> versions(String pipe) {
        return versions().stream()
                .filter(version -> version.name().equals(pipe))
                .toList();
    }

    /** The first version of the pipe, of those stored already or those to come, that is like this. */
    StoredPipe first(String pipe, String what, Duration limit, Predicate<StoredPipe> like) {
        try {
            return await().atMost(limit)
                    .until(() -> versions(pipe).stream().filter(like).findFirst(), Optional::isPresent)
                    .orElseThrow();
        } catch (ConditionTimeoutException e) {
            throw new AssertionError(
                    versions(pipe).stream()
                            .map(version -> version.signs().toString())
                            .distinct()
                            .collect(joining("\n", "no version of " + pipe + " is " + what + ":\n", "")),
                    e);
        }
    }

    @Override
    public void close() {
        client.close();
    }
}
