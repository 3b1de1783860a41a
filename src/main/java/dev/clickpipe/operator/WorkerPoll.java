package dev.clickpipe.operator;

import com.fasterxml.jackson.core.JsonProcessingException;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.operator.Observed.Report;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.javaoperatorsdk.operator.processing.event.Event;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.AbstractEventSource;
import io.javaoperatorsdk.operator.processing.event.source.Cache;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.ResourceEventAware;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks a pipe's workers how they are ({@code GET /status}), and Kubernetes' events why one does not start: a Secret that is
 * missing is named there and nowhere else. One virtual thread a pipe, so that a slow answer holds up nobody; a reconcile
 * only ever sees what was heard last.
 */
final class WorkerPoll extends AbstractEventSource<Report, ClickPipe> implements ResourceEventAware<ClickPipe> {
    private static final Logger LOG = LoggerFactory.getLogger(WorkerPoll.class);
    private static final Duration TIMEOUT = Duration.ofSeconds(2);
    /** A pod that has not started after this is looked into. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    /** A pipe that is settled is asked this much less often. */
    private static final int CALM = 5;

    private final EventSource<Pod, ClickPipe> pods;
    private final EventSource<Job, ClickPipe> jobs;
    private final Cache<ClickPipe> pipes;
    private final KubernetesClient client;
    private final Settings settings;
    private final Clock clock;
    private final PipeMetrics metrics;
    private final HttpClient http = HttpClient.newBuilder()
            .connectTimeout(TIMEOUT)
            .proxy(HttpClient.Builder.NO_PROXY)
            .build();
    private final Map<ResourceID, Thread> pollers = new ConcurrentHashMap<>();
    private final Map<ResourceID, Map<String, Report>> heard = new ConcurrentHashMap<>();

    WorkerPoll(
            EventSource<Pod, ClickPipe> pods,
            EventSource<Job, ClickPipe> jobs,
            Cache<ClickPipe> pipes,
            KubernetesClient client,
            Settings settings,
            Clock clock,
            PipeMetrics metrics) {
        super(Report.class, "workers");
        this.pods = pods;
        this.jobs = jobs;
        this.pipes = pipes;
        this.client = client;
        this.settings = settings;
        this.clock = clock;
        this.metrics = metrics;
    }

    /** What was heard last, by UID of pod or Job. */
    Map<String, Report> heard(ClickPipe pipe) {
        return heard.getOrDefault(ResourceID.fromResource(pipe), Map.of());
    }

    @Override
    public Set<Report> getSecondaryResources(ClickPipe pipe) {
        return Set.copyOf(heard(pipe).values());
    }

    @Override
    public void onResourceCreated(ClickPipe pipe) {
        var id = ResourceID.fromResource(pipe);
        pollers.computeIfAbsent(
                id, key -> Thread.ofVirtual().name("poll " + key).start(() -> poll(key)));
    }

    @Override
    public void onResourceDeleted(ClickPipe pipe) {
        var id = ResourceID.fromResource(pipe);
        Optional.ofNullable(pollers.remove(id)).ifPresent(Thread::interrupt);
        heard.remove(id);
        metrics.forget(id);
    }

    @Override
    public void stop() {
        super.stop();
        pollers.values().forEach(Thread::interrupt);
        pollers.clear();
        http.shutdownNow();
    }

    private void poll(ResourceID id) {
        try {
            while (true) {
                Thread.sleep(
                        pipes.get(id).filter(WorkerPoll::calm).isPresent()
                                ? settings.poll().multipliedBy(CALM)
                                : settings.poll());
                if (isRunning()) {
                    pollOnce(id);
                }
            }
        } catch (InterruptedException e) {
            LOG.debug("no longer polling {}", id);
        }
    }

    private void pollOnce(ResourceID id) throws InterruptedException {
        var pipe = pipes.get(id);
        if (pipe.isEmpty()) {
            return;
        }
        var before = heard.getOrDefault(id, Map.of());
        var after = new HashMap<String, Report>();
        try {
            var workers = pods.getSecondaryResources(pipe.get());
            for (var pod : workers) {
                var uid = pod.getMetadata().getUid();
                after.put(uid, look(pod, before.getOrDefault(uid, Report.NONE)));
            }
            var withPod = workers.stream()
                    .map(pod -> pod.getMetadata().getLabels().get("job-name"))
                    .filter(Objects::nonNull)
                    .collect(Collectors.toSet());
            for (var job : jobs.getSecondaryResources(pipe.get())) {
                if (!withPod.contains(job.getMetadata().getName()) && waitsLong(job) && active(job)) {
                    after.put(job.getMetadata().getUid(), new Report(null, null, null, warning(job)));
                }
            }
        } catch (RuntimeException e) {
            LOG.warn("cannot look after the workers of {}", id, e);
            return;
        }
        if (pollers.containsKey(id)) {
            heard.put(id, after);
            if (!said(after).equals(said(before))) {
                getEventHandler().handleEvent(new Event(id));
            }
        }
    }

    private Report look(Pod pod, Report before) throws InterruptedException {
        var state = pod.getStatus().getContainerStatuses().stream().findFirst().map(c -> c.getState());
        if (state.map(s -> s.getRunning() != null).orElse(false)
                && pod.getStatus().getPodIP() != null) {
            return ask(pod.getStatus().getPodIP(), before);
        }
        if ("Pending".equals(pod.getStatus().getPhase()) && waitsLong(pod)) {
            return new Report(null, null, null, warning(pod));
        }
        return new Report(before.status(), before.at(), null, null);
    }

    private Report ask(String address, Report before) throws InterruptedException {
        var host = address.contains(":") ? "[" + address + "]" : address;
        var uri = URI.create("http://" + host + ":" + settings.port() + "/status");
        var answer = http.sendAsync(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString());
        try {
            // The request's own timeout would end with the headers.
            var response = answer.get(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
            if (response.statusCode() == 200) {
                return new Report(Documents.workerStatus(response.body()), clock.instant(), null, null);
            }
            return unanswered(before, "HTTP " + response.statusCode() + " from " + uri);
        } catch (TimeoutException e) {
            return unanswered(before, "GET " + uri + ": no answer within " + TIMEOUT.toSeconds() + " s");
        } catch (ExecutionException e) {
            var why = e.getCause().getMessage();
            return unanswered(
                    before,
                    "GET " + uri + ": " + (why == null ? e.getCause().getClass().getSimpleName() : why));
        } catch (JsonProcessingException e) {
            return unanswered(before, "no status document at " + uri + ": " + e.getOriginalMessage());
        } finally {
            answer.cancel(true);
        }
    }

    private static Report unanswered(Report before, String failure) {
        return new Report(before.status(), before.at(), failure, null);
    }

    /** The newest telling warning about this object, in the words of kubelet, scheduler or controller; null: there is none. */
    private Cause warning(HasMetadata object) {
        try {
            return client
                    .v1()
                    .events()
                    .inNamespace(object.getMetadata().getNamespace())
                    .withField("involvedObject.uid", object.getMetadata().getUid())
                    .withField("type", "Warning")
                    .list()
                    .getItems()
                    .stream()
                    .max(Comparator.comparing(WorkerPoll::telling).thenComparing(WorkerPoll::lastSeen))
                    .map(e -> new Cause(
                            e.getReason(),
                            object.getKind().toLowerCase(java.util.Locale.ROOT) + " "
                                    + object.getMetadata().getName() + ": " + e.getMessage()))
                    .orElse(null);
        } catch (KubernetesClientException e) {
            LOG.debug("cannot read the events of {}", object.getMetadata().getName(), e);
            return null;
        }
    }

    /** The kubelet's summary after a while says less than the warning before it. */
    private static boolean telling(io.fabric8.kubernetes.api.model.Event event) {
        return !event.getMessage().startsWith("Unable to attach or mount volumes");
    }

    private static String lastSeen(io.fabric8.kubernetes.api.model.Event event) {
        return Objects.requireNonNullElse(
                event.getLastTimestamp(), event.getMetadata().getCreationTimestamp());
    }

    private boolean waitsLong(HasMetadata object) {
        return clock.instant()
                .isAfter(Instant.parse(object.getMetadata().getCreationTimestamp())
                        .plus(PATIENCE));
    }

    private static boolean active(Job job) {
        return job.getStatus() == null || job.getStatus().getConditions().isEmpty();
    }

    /** It does what it is for: nothing is about to change. */
    private static boolean calm(ClickPipe pipe) {
        return Conditions.isTrue(pipe.getStatus(), Conditions.READY);
    }

    /** What of it a plan or a status may depend on: everything but when it was said. */
    private static Map<String, Report> said(Map<String, Report> reports) {
        return reports.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey,
                        e -> new Report(
                                e.getValue().status(),
                                null,
                                e.getValue().failure(),
                                e.getValue().warning())));
    }
}
