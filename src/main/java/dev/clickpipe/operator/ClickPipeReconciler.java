package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Cleaner;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.DeleteControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.MaxReconciliationInterval;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.Mappers;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** One round of one pipe: observe, plan, apply, report. What it decides is in {@link Lifecycle}. */
@Singleton
@ControllerConfiguration(
        name = "clickpipe",
        finalizerName = ClickPipeReconciler.FINALIZER,
        maxReconciliationInterval = @MaxReconciliationInterval(interval = 5, timeUnit = TimeUnit.MINUTES))
@GradualRetry(maxAttempts = -1, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public class ClickPipeReconciler implements Reconciler<ClickPipe>, Cleaner<ClickPipe> {
    static final String FINALIZER = ClickPipe.GROUP + "/teardown";

    private static final Duration AFTER_REFUSAL = Duration.ofSeconds(10);

    private final Settings settings;
    private final Clock clock;
    private final PipeMetrics metrics;
    private final Lifecycle lifecycle;
    private final Children children;
    private final Reporter reporter;
    private WorkerPoll workers;

    @Inject
    ClickPipeReconciler(Settings settings, Clock clock, PipeMetrics metrics) {
        this.settings = settings;
        this.clock = clock;
        this.metrics = metrics;
        var worker = new Worker(settings);
        lifecycle = new Lifecycle(worker, settings.teardownTimeout());
        children = new Children(worker);
        reporter = new Reporter(metrics);
    }

    @Override
    public List<EventSource<?, ClickPipe>> prepareEventSources(EventSourceContext<ClickPipe> context) {
        var jobs = informer(Job.class, context);
        var pods = new InformerEventSource<>(
                InformerEventSourceConfiguration.from(Pod.class, ClickPipe.class)
                        .withNamespacesInheritedFromController()
                        .withLabelSelector(Worker.MANAGED_BY + "=" + Worker.OPERATOR)
                        .withSecondaryToPrimaryMapper(Mappers.fromAnnotation(Worker.PIPE, null, ClickPipe.class))
                        .build(),
                context);
        workers = new WorkerPoll(pods, jobs, context.getPrimaryCache(), context.getClient(), settings, clock, metrics);
        return List.of(jobs, pods, informer(Deployment.class, context), informer(ConfigMap.class, context), workers);
    }

    @Override
    public UpdateControl<ClickPipe> reconcile(ClickPipe pipe, Context<ClickPipe> context) {
        return UpdateControl.<ClickPipe>noUpdate()
                .rescheduleAfter(round(pipe, context).lookAgain());
    }

    @Override
    public DeleteControl cleanup(ClickPipe pipe, Context<ClickPipe> context) {
        var plan = round(pipe, context);
        if (plan.release().isEmpty()) {
            return DeleteControl.noFinalizerRemoval().rescheduleAfter(plan.lookAgain());
        }
        reporter.released(pipe, plan.release().get(), clock.instant(), context);
        metrics.forget(ResourceID.fromResource(pipe));
        return DeleteControl.defaultDelete();
    }

    private Plan round(ClickPipe pipe, Context<ClickPipe> context) {
        var now = clock.instant();
        var observed = observe(pipe, context);
        var plan = lifecycle.plan(pipe, observed, now);
        try {
            children.apply(pipe, plan, observed, context);
        } catch (KubernetesClientException e) {
            plan = refused(pipe, plan, e);
        }
        var later = report(pipe, plan, observed, now, context);
        return later.isPresent() && later.get().compareTo(plan.lookAgain()) < 0 ? plan.lookingAgain(later.get()) : plan;
    }

    private Observed observe(ClickPipe pipe, Context<ClickPipe> context) {
        return Observed.of(
                pipe,
                context.getSecondaryResources(Job.class),
                context.getSecondaryResources(Deployment.class),
                context.getSecondaryResources(Pod.class),
                context.getSecondaryResources(ConfigMap.class),
                workers.heard(pipe));
    }

    /** What the API server refuses now it may grant later; but in a namespace that ends, nothing is ever made again. */
    private static Plan refused(ClickPipe pipe, Plan plan, KubernetesClientException e) {
        var obstacle = Cause.of(e);
        return pipe.isMarkedForDeletion() && namespaceEnds(e)
                ? plan.released(Leftovers.of(pipe, obstacle.message()))
                : plan.release().isPresent() ? plan : plan.hinderedBy(obstacle, AFTER_REFUSAL);
    }

    private static boolean namespaceEnds(KubernetesClientException e) {
        return e.getStatus() != null
                && e.getStatus().getDetails() != null
                && e.getStatus().getDetails().getCauses().stream()
                        .anyMatch(cause -> "NamespaceTerminating".equals(cause.getReason()));
    }

    private Optional<Duration> report(
            ClickPipe pipe, Plan plan, Observed observed, Instant now, Context<ClickPipe> context) {
        return plan.release().isPresent() ? Optional.empty() : reporter.report(pipe, plan, observed, now, context);
    }

    private static <T extends HasMetadata> InformerEventSource<T, ClickPipe> informer(
            Class<T> type, EventSourceContext<ClickPipe> context) {
        return new InformerEventSource<>(
                InformerEventSourceConfiguration.from(type, ClickPipe.class)
                        .withNamespacesInheritedFromController()
                        .withLabelSelector(Worker.MANAGED_BY + "=" + Worker.OPERATOR)
                        .build(),
                context);
    }
}
