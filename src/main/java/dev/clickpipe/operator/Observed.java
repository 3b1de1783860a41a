package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateTerminated;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** What the caches say about one pipe's children. Nothing in here was asked of a server just now. */
record Observed(List<Run> runs, Optional<Deployed> deployment, List<Pod> pods, Set<String> configMaps) {

    /** A worker heard of within this time is as it said. */
    static final Duration FRESH = Duration.ofSeconds(15);

    static final Observed NOTHING = new Observed(List.of(), Optional.empty(), List.of(), Set.of());

    private static final Set<String> ORDINARY_WAITS =
            Set.of("ContainerCreating", "PodInitializing", "CrashLoopBackOff");

    /**
     * A Job.
     *
     * @param generation of the spec that it was made for
     * @param template stands for its pod template, see {@link Worker#template}
     * @param workers how many pods share it
     * @param warning what the Job controller complained about last; null: nothing
     */
    record Run(
            JobRef ref,
            long generation,
            String name,
            String template,
            String image,
            int workers,
            Outcome outcome,
            Instant startedAt,
            Instant finishedAt,
            Cause warning) {}

    enum Outcome {
        ACTIVE,
        SUCCEEDED,
        FAILED
    }

    /**
     * The CDC Deployment.
     *
     * @param config key of the {@link Manifest} it works on
     * @param failure why its pods can't be made; null: they can
     */
    record Deployed(String name, String config, Cause failure) {}

    /**
     * A worker pod.
     *
     * @param job name of its Job; null for CDC
     * @param config key of the {@link Manifest} it works on
     * @param live whether its containers run or may still
     * @param goneBy for a pod being deleted: when it should be gone; null otherwise
     * @param running whether its container runs now
     * @param startedAt when its container (last) started; null: never
     * @param stuck what keeps it from starting, in the scheduler's or kubelet's words; null: nothing does
     * @param end how its container ended, now or the last time; null: it never did
     * @param report what it said of itself when last asked
     */
    record Pod(
            String name,
            Role role,
            String job,
            String config,
            boolean live,
            Instant createdAt,
            Instant goneBy,
            boolean running,
            Instant startedAt,
            Cause stuck,
            End end,
            Report report) {

        boolean started() {
            return startedAt != null;
        }

        /** Nobody has asked it yet: it, or the operator, was just started. */
        boolean unasked() {
            return running && report.at() == null && report.failure() == null;
        }

        /** What the container that runs now said, if that is not too long ago. */
        Optional<WorkerStatus> heard(Instant now) {
            return running
                            && report.at() != null
                            && !report.at().isBefore(startedAt)
                            && now.isBefore(report.at().plus(FRESH))
                    ? Optional.ofNullable(report.status())
                    : Optional.empty();
        }
    }

    /**
     * How a container ended.
     *
     * @param exitCode null when the pod ended without one: evicted, its node lost
     * @param termination its last words; null when it had none
     * @param message the end of its log or what the kubelet says, for want of last words
     */
    record End(Integer exitCode, String reason, Termination termination, String message) {

        /** No retry cures it. */
        boolean fatal() {
            return exitCode != null
                    && (exitCode == ExitCode.FATAL.code() || exitCode == ExitCode.USAGE.code())
                    && !"OOMKilled".equals(reason);
        }

        Cause cause() {
            if (termination != null) {
                return new Cause(termination.reason(), termination.text());
            }
            var said = message == null || message.isBlank() ? "" : ": " + message.strip();
            return new Cause(
                    reason, exitCode == null ? reason + said : reason + " (exit code " + exitCode + ")" + said);
        }
    }

    /**
     * What {@link WorkerPoll} found out about a pod or Job.
     *
     * @param status null: it has not answered yet
     * @param at when it last answered; null: never
     * @param failure why it did not answer just now; null: it did, or nobody asked
     * @param warning what Kubernetes' events say keeps it from starting; null: nothing
     */
    record Report(WorkerStatus status, Instant at, String failure, Cause warning) {
        static final Report NONE = new Report(null, null, null, null);
    }

    static Observed of(
            ClickPipe pipe,
            Collection<Job> jobs,
            Collection<Deployment> deployments,
            Collection<io.fabric8.kubernetes.api.model.Pod> pods,
            Collection<ConfigMap> configMaps,
            Map<String, Report> reports) {
        return new Observed(
                owned(pipe, jobs)
                        .map(job -> run(job, report(job, reports)))
                        .sorted(Comparator.comparingInt(run -> run.ref().attempt()))
                        .toList(),
                owned(pipe, deployments).map(Observed::deployed).findFirst(),
                pods.stream()
                        .filter(pod -> Role.of(pod).isPresent())
                        .map(pod -> pod(pod, report(pod, reports)))
                        .sorted(Comparator.comparing(Pod::createdAt))
                        .toList(),
                owned(pipe, configMaps)
                        .map(map -> map.getMetadata().getName())
                        .collect(java.util.stream.Collectors.toUnmodifiableSet()));
    }

    /** The last attempt of this role on this manifest. */
    Optional<Run> latest(Role role, String key) {
        return runs.stream()
                .filter(run -> run.ref().role() == role && run.ref().key().equals(key))
                .reduce((earlier, later) -> later);
    }

    /** How often this role was started on this manifest, as far as its Jobs are still there. */
    int attempts(Role role, String key) {
        return latest(role, key).map(run -> run.ref().attempt()).orElse(0);
    }

    /** The generation of the spec that Setup was last started for, as far as its Jobs are still there; 0: none is. */
    long setupGeneration() {
        return runs.stream()
                .filter(run -> run.ref().role() == Role.SETUP)
                .mapToLong(Run::generation)
                .max()
                .orElse(0);
    }

    /** The newest pod of a Job. */
    Optional<Pod> podOf(Run run) {
        return podsOf(run).stream().reduce((earlier, later) -> later);
    }

    /** The pods of a Job, those that ended among them, by age. */
    List<Pod> podsOf(Run run) {
        return pods.stream().filter(pod -> run.name().equals(pod.job())).toList();
    }

    /** The newest CDC pod that is as the Deployment has it and is not being deleted. */
    Optional<Pod> streamPod() {
        return pods.stream()
                .filter(pod -> pod.role() == Role.CDC && pod.live() && pod.goneBy() == null)
                .filter(pod ->
                        deployment.map(d -> d.config().equals(pod.config())).orElse(false))
                .reduce((earlier, later) -> later);
    }

    /** What the workers that are at it now say of themselves. */
    List<WorkerStatus> workers(Role role) {
        return pods.stream()
                .filter(pod -> pod.role() == role && pod.live())
                .map(pod -> pod.report().status())
                .filter(Objects::nonNull)
                .toList();
    }

    private static <T extends HasMetadata> Stream<T> owned(ClickPipe pipe, Collection<T> children) {
        var uid = pipe.getMetadata().getUid();
        return children.stream()
                .filter(child -> Role.of(child).isPresent())
                .filter(child -> child.getMetadata().getDeletionTimestamp() == null)
                .filter(child -> child.getMetadata().getOwnerReferences().stream()
                        .anyMatch(owner -> owner.getUid().equals(uid)));
    }

    private static Report report(HasMetadata object, Map<String, Report> reports) {
        return reports.getOrDefault(object.getMetadata().getUid(), Report.NONE);
    }

    private static Run run(Job job, Report report) {
        var annotations = job.getMetadata().getAnnotations();
        var ended = job.getStatus() == null
                ? Optional.<JobCondition>empty()
                : job.getStatus().getConditions().stream()
                        .filter(c -> "True".equals(c.getStatus()))
                        .filter(c ->
                                c.getType().equals("Complete") || c.getType().equals("Failed"))
                        .findFirst();
        return new Run(
                new JobRef(
                        Role.of(job).orElseThrow(),
                        annotations.getOrDefault(Worker.CONFIG, ""),
                        Integer.parseInt(annotations.getOrDefault(Worker.ATTEMPT, "1"))),
                Long.parseLong(annotations.getOrDefault(Worker.GENERATION, "0")),
                job.getMetadata().getName(),
                annotations.getOrDefault(Worker.TEMPLATE, ""),
                job.getSpec().getTemplate().getSpec().getContainers().getFirst().getImage(),
                Objects.requireNonNullElse(job.getSpec().getParallelism(), 1),
                ended.map(c -> c.getType().equals("Complete") ? Outcome.SUCCEEDED : Outcome.FAILED)
                        .orElse(Outcome.ACTIVE),
                instant(job.getStatus() == null ? null : job.getStatus().getStartTime()),
                ended.map(c -> c.getLastTransitionTime() == null ? Instant.EPOCH : instant(c.getLastTransitionTime()))
                        .orElse(null),
                report.warning());
    }

    private static Deployed deployed(Deployment deployment) {
        var failure = deployment.getStatus() == null
                ? Optional.<Cause>empty()
                : deployment.getStatus().getConditions().stream()
                        .filter(c -> c.getType().equals("ReplicaFailure") && "True".equals(c.getStatus()))
                        .map(c -> new Cause(c.getReason(), c.getMessage()))
                        .findFirst();
        return new Deployed(
                deployment.getMetadata().getName(),
                deployment
                        .getSpec()
                        .getTemplate()
                        .getMetadata()
                        .getAnnotations()
                        .getOrDefault(Worker.CONFIG, ""),
                failure.orElse(null));
    }

    private static Pod pod(io.fabric8.kubernetes.api.model.Pod pod, Report report) {
        var metadata = pod.getMetadata();
        var status = pod.getStatus();
        var container = status.getContainerStatuses().stream().findFirst();
        var state = container.map(c -> c.getState()).orElse(new ContainerState());
        var last = container.map(c -> c.getLastState()).orElse(new ContainerState());
        var ended = state.getTerminated() != null ? state.getTerminated() : last.getTerminated();
        var live = !"Succeeded".equals(status.getPhase()) && !"Failed".equals(status.getPhase());
        return new Pod(
                metadata.getName(),
                Role.of(pod).orElseThrow(),
                metadata.getLabels().get("job-name"),
                metadata.getAnnotations().getOrDefault(Worker.CONFIG, ""),
                live,
                instant(metadata.getCreationTimestamp()),
                instant(metadata.getDeletionTimestamp()),
                state.getRunning() != null,
                state.getRunning() != null
                        ? instant(state.getRunning().getStartedAt())
                        : ended != null ? instant(ended.getStartedAt()) : null,
                !live || state.getRunning() != null ? null : stuck(pod, state, report),
                ended != null ? end(ended) : live ? null : new End(null, podReason(pod), null, status.getMessage()),
                report);
    }

    private static String podReason(io.fabric8.kubernetes.api.model.Pod pod) {
        return pod.getStatus().getReason() == null
                ? "Pod" + pod.getStatus().getPhase()
                : pod.getStatus().getReason();
    }

    private static Cause stuck(io.fabric8.kubernetes.api.model.Pod pod, ContainerState state, Report report) {
        var waiting = state.getWaiting();
        if (waiting != null && waiting.getReason() != null && !ORDINARY_WAITS.contains(waiting.getReason())) {
            return new Cause(
                    waiting.getReason(),
                    "pod " + pod.getMetadata().getName() + ": "
                            + Objects.requireNonNullElse(waiting.getMessage(), waiting.getReason()));
        }
        return pod.getStatus().getConditions().stream()
                .filter(c -> c.getType().equals("PodScheduled") && "False".equals(c.getStatus()))
                .filter(c -> "Unschedulable".equals(c.getReason()))
                .map(c -> new Cause(c.getReason(), "pod " + pod.getMetadata().getName() + ": " + c.getMessage()))
                .findFirst()
                .orElse(report.warning());
    }

    private static End end(ContainerStateTerminated terminated) {
        return new End(
                terminated.getExitCode(),
                terminated.getReason() == null ? "Error" : terminated.getReason(),
                Documents.termination(terminated.getMessage()).orElse(null),
                terminated.getMessage());
    }

    private static Instant instant(String time) {
        return time == null ? null : Instant.parse(time);
    }
}
