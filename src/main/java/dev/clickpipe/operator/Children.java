package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.operator.Plan.Stream;
import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.processing.dependent.kubernetes.SSABasedGenericKubernetesResourceMatcher;
import java.net.HttpURLConnection;
import java.util.HashSet;
import java.util.Set;

/**
 * Carries a plan out: makes what shall be there, deletes what shall not, and writes nothing when all is as it shall be. What
 * is wanted is made before what it follows is deleted, so that a stop in between loses nothing.
 */
record Children(Worker worker) {

    /** @throws KubernetesClientException the API server refused something; the rest was not tried */
    void apply(ClickPipe pipe, Plan plan, Observed observed, Context<ClickPipe> context) {
        var client = context.getClient();
        var configMaps = new HashSet<String>();

        for (var ref : plan.jobs()) {
            configMaps.add(configMap(pipe, ref.role(), observed, client));
            if (observed.runs().stream().noneMatch(run -> run.ref().equals(ref))) {
                create(worker.job(pipe, ref), client);
            }
        }
        if (plan.stream() == Stream.APPLY) {
            configMaps.add(configMap(pipe, Role.CDC, observed, client));
            applyDeployment(worker.deployment(pipe), context);
        } else if (plan.stream() == Stream.KEEP) {
            observed.deployment()
                    .ifPresent(kept -> configMaps.add(Worker.configMapName(pipe, Role.CDC, kept.config())));
        } else {
            observed.deployment().ifPresent(gone -> delete(Deployment.class, gone.name(), pipe, client));
        }

        for (var run : observed.runs()) {
            if (!plan.jobs().contains(run.ref()) && (run.outcome() == Outcome.ACTIVE || followed(run, plan.jobs()))) {
                delete(Job.class, run.name(), pipe, client);
            }
        }
        for (var name : observed.configMaps()) {
            if (!configMaps.contains(name)) {
                delete(io.fabric8.kubernetes.api.model.ConfigMap.class, name, pipe, client);
            }
        }
    }

    private static boolean followed(Run run, Set<JobRef> wanted) {
        return wanted.stream().anyMatch(ref -> ref.role() == run.ref().role());
    }

    private String configMap(ClickPipe pipe, Role role, Observed observed, KubernetesClient client) {
        var configMap = worker.configMap(pipe, role);
        var name = configMap.getMetadata().getName();
        if (!observed.configMaps().contains(name)) {
            create(configMap, client);
        }
        return name;
    }

    private static void create(HasMetadata object, KubernetesClient client) {
        try {
            client.resource(object).create();
        } catch (KubernetesClientException e) {
            // Its name says what is in it: if it is there, our cache is behind.
            if (e.getCode() != HttpURLConnection.HTTP_CONFLICT) {
                throw e;
            }
        }
    }

    private static void applyDeployment(Deployment desired, Context<ClickPipe> context) {
        var actual = context.getSecondaryResourcesAsStream(Deployment.class)
                .filter(d ->
                        d.getMetadata().getName().equals(desired.getMetadata().getName()))
                .findFirst();
        var matcher = SSABasedGenericKubernetesResourceMatcher.<Deployment>getInstance();
        if (actual.isEmpty() || !matcher.matches(actual.get(), desired, context)) {
            context.getClient()
                    .resource(desired)
                    .fieldManager(context.getControllerConfiguration().fieldManager())
                    .forceConflicts()
                    .serverSideApply();
        }
    }

    private static void delete(
            Class<? extends HasMetadata> type, String name, ClickPipe pipe, KubernetesClient client) {
        client.resources(type)
                .inNamespace(pipe.getMetadata().getNamespace())
                .withName(name)
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();
    }
}
