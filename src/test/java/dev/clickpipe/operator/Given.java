package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Observed.Deployed;
import dev.clickpipe.operator.Observed.End;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Report;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/** A situation that the phase table is asked about, put together in words. Immutable; {@link #NOW} is its time. */
record Given(ClickPipe pipe, Observed observed) {
    static final Instant NOW = Pipes.BORN.plusSeconds(3600);
    static final Worker WORKER = new Worker(Pipes.SETTINGS);

    static Given cdc() {
        return mode("cdc");
    }

    static Given mode(String mode) {
        return new Given(Pipes.withMode(mode), Observed.NOTHING);
    }

    /** A pipe whose changes are replicated, and all is well. */
    static Given live() {
        return cdc().accepted(Phase.Running, true).deployment().streamPod(running(), says(WorkerStatus.State.Working));
    }

    Plan plan() {
        return plan(NOW);
    }

    Plan plan(Instant now) {
        return new Lifecycle(WORKER, Pipes.SETTINGS.teardownTimeout()).plan(pipe, observed, now);
    }

    // ---- status ----

    /** The last status, of a pipe whose Setup was started and never accepted. */
    Given phase(Phase phase) {
        var mark = new SetupMark(Manifest.setupKey(pipe), Worker.generation(pipe), false, null);
        return status(phase, mark, Load.INCOMPLETE, new Cause(phase.name(), ""));
    }

    /** The last status of a pipe whose Setup was accepted for this spec. */
    Given accepted(Phase phase, boolean loaded) {
        return accepted(phase, loaded ? Load.COMPLETE : Load.INCOMPLETE);
    }

    Given accepted(Phase phase, Load load) {
        var mark = new SetupMark(Manifest.setupKey(pipe), Worker.generation(pipe), true, Manifest.streamKey(pipe));
        return status(phase, mark, load, new Cause(phase.name(), ""));
    }

    /** The last status of a pipe that was accepted once, while Setup is under way for the spec as it is now. */
    Given due(Phase phase) {
        var mark = new SetupMark(Manifest.setupKey(pipe), Worker.generation(pipe), false, Manifest.streamKey(pipe));
        return new Given(
                Pipes.with(
                        pipe,
                        phase,
                        mark,
                        Load.COMPLETE,
                        new Cause(phase.name(), ""),
                        pipe.getStatus().tables()),
                observed);
    }

    Given failedWith(String message) {
        var status = pipe.getStatus();
        var first = new SetupMark(Manifest.setupKey(pipe), Worker.generation(pipe), false, null);
        return status(
                Phase.Failed,
                SetupMark.read(status == null ? null : status.observedSetup()).orElse(first),
                Conditions.load(status),
                new Cause("Refused", message));
    }

    private Given status(Phase phase, SetupMark setup, Load load, Cause ready) {
        return new Given(Pipes.with(pipe, phase, setup, load, ready), observed);
    }

    /** As the API server counts it. */
    Given edited(String from, String to) {
        return with(Pipes.edited(pipe, from, to));
    }

    /** The spec of this one, a generation later. */
    Given with(ClickPipe edited) {
        edited.getMetadata().setGeneration(Worker.generation(pipe) + 1);
        return new Given(edited, observed);
    }

    Given lostItsStatus() {
        var copy = Pipes.copy(pipe);
        copy.setStatus(null);
        return new Given(copy, observed);
    }

    Given deletedAt(Instant time) {
        var copy = Pipes.copy(pipe);
        copy.getMetadata().setDeletionTimestamp(Status.time(time));
        copy.getMetadata().setFinalizers(List.of(ClickPipeReconciler.FINALIZER));
        return new Given(copy, observed);
    }

    // ---- children ----

    /** A Job, made from the pipe as it is at this point of the description. */
    Given job(Role role, int attempt, Outcome outcome) {
        return job(role, attempt, outcome, NOW.minusSeconds(10), Pipes.SETTINGS.image());
    }

    Given job(Role role, int attempt, Outcome outcome, Instant finishedAt, String image) {
        var ref = new JobRef(role, Manifest.of(pipe, role).key(), attempt);
        var run = new Run(
                ref,
                Worker.generation(pipe),
                Worker.name(ref, pipe),
                WORKER.template(pipe, role),
                image,
                Worker.pods(pipe, role),
                outcome,
                NOW.minusSeconds(60),
                outcome == Outcome.ACTIVE ? null : finishedAt,
                null);
        var runs = new ArrayList<>(observed.runs());
        runs.add(run);
        return new Given(pipe, new Observed(runs, observed.deployment(), observed.pods(), observed.configMaps()));
    }

    Given endedAt(Instant time) {
        var runs = new ArrayList<>(observed.runs());
        var last = runs.removeLast();
        runs.add(new Run(
                last.ref(),
                last.generation(),
                last.name(),
                last.template(),
                last.image(),
                last.workers(),
                last.outcome(),
                last.startedAt(),
                time,
                last.warning()));
        return new Given(pipe, new Observed(runs, observed.deployment(), observed.pods(), observed.configMaps()));
    }

    Given jobWarning(String reason, String message) {
        var runs = new ArrayList<>(observed.runs());
        var last = runs.removeLast();
        runs.add(new Run(
                last.ref(),
                last.generation(),
                last.name(),
                last.template(),
                last.image(),
                last.workers(),
                last.outcome(),
                last.startedAt(),
                last.finishedAt(),
                new Cause(reason, message)));
        return new Given(pipe, new Observed(runs, observed.deployment(), observed.pods(), observed.configMaps()));
    }

    /** The CDC Deployment, with the pipe's file as it is at this point of the description. */
    Given deployment() {
        var deployed = new Deployed("orders-cdc", Manifest.of(pipe, Role.CDC).key(), null);
        return new Given(
                pipe, new Observed(observed.runs(), Optional.of(deployed), observed.pods(), observed.configMaps()));
    }

    Given deploymentFailure(String reason, String message) {
        var deployed = new Deployed("orders-cdc", Manifest.of(pipe, Role.CDC).key(), new Cause(reason, message));
        return new Given(
                pipe, new Observed(observed.runs(), Optional.of(deployed), observed.pods(), observed.configMaps()));
    }

    /** A pod of the Job described last. */
    Given pod(PodState... state) {
        var run = observed.runs().getLast();
        return pod(run.ref().role(), run.name(), run.ref().key(), state);
    }

    Given streamPod(PodState... state) {
        return pod(Role.CDC, null, Manifest.of(pipe, Role.CDC).key(), state);
    }

    private Given pod(Role role, String job, String config, PodState... state) {
        var draft = new Draft();
        for (var change : state) {
            change.accept(draft);
        }
        var pods = new ArrayList<>(observed.pods());
        pods.add(new Pod(
                (job == null ? "orders-cdc" : job) + "-" + pods.size(),
                role,
                job,
                config,
                draft.live,
                NOW.minusSeconds(50),
                draft.goneBy,
                draft.running,
                draft.startedAt,
                draft.stuck,
                draft.end,
                draft.report));
        return new Given(pipe, new Observed(observed.runs(), observed.deployment(), pods, observed.configMaps()));
    }

    /** The stream's pod is so; not where there is none. */
    Given streamIs(PodState... state) {
        if (observed.pods().stream().noneMatch(pod -> pod.role() == Role.CDC)) {
            throw new IllegalArgumentException("no stream");
        }
        var config = observed.pods().stream()
                .filter(pod -> pod.role() == Role.CDC)
                .map(Pod::config)
                .findFirst()
                .orElseThrow();
        var others =
                observed.pods().stream().filter(pod -> pod.role() != Role.CDC).toList();
        return new Given(pipe, new Observed(observed.runs(), observed.deployment(), others, observed.configMaps()))
                .pod(Role.CDC, null, config, state);
    }

    /** The last Job's pod is evicted; not where no Job is under way. */
    Given jobEvicted() {
        if (observed.runs().isEmpty() || observed.runs().getLast().outcome() != Outcome.ACTIVE) {
            throw new IllegalArgumentException("no Job");
        }
        var run = observed.runs().getLast();
        var others = observed.pods().stream()
                .filter(pod -> !run.name().equals(pod.job()))
                .toList();
        var failed = new Run(
                run.ref(),
                run.generation(),
                run.name(),
                run.template(),
                run.image(),
                run.workers(),
                Outcome.FAILED,
                run.startedAt(),
                NOW.minusSeconds(1),
                null);
        return new Given(pipe, new Observed(List.of(failed), observed.deployment(), others, observed.configMaps()))
                .pod(run.ref().role(), run.name(), run.ref().key(), ended(evicted()));
    }

    /** Somebody deleted the Jobs, or their time was up. */
    Given jobsGone() {
        return new Given(pipe, new Observed(List.of(), observed.deployment(), observed.pods(), Set.of()));
    }

    // ---- states of a pod ----

    /** Of a pod that was just made, if nothing is said of it. */
    static final class Draft {
        private boolean live = true;
        private Instant goneBy;
        private boolean running;
        private Instant startedAt;
        private Cause stuck;
        private End end;
        private Report report = Report.NONE;
    }

    interface PodState extends Consumer<Draft> {}

    static PodState running() {
        return runningFor(40);
    }

    static PodState runningFor(int seconds) {
        return pod -> {
            pod.running = true;
            pod.startedAt = NOW.minusSeconds(seconds);
        };
    }

    static PodState stuck(String reason, String message) {
        return pod -> pod.stuck = new Cause(reason, message);
    }

    /** Being deleted, and gone by then. */
    static PodState goneBy(Instant time) {
        return pod -> pod.goneBy = time;
    }

    /** Its container ended and is not started again. */
    static PodState ended(End end) {
        return pod -> {
            crashed(end).accept(pod);
            pod.live = false;
        };
    }

    /** Its container ended and waits to be started again. */
    static PodState crashed(End end) {
        return pod -> {
            pod.startedAt = NOW.minusSeconds(40);
            pod.end = end;
        };
    }

    /** It was restarted: the container before it ended so. */
    static PodState restartedAfter(End end) {
        return pod -> {
            runningFor(5).accept(pod);
            pod.end = end;
        };
    }

    static PodState says(WorkerStatus.State state) {
        return says(state, null, 1);
    }

    static PodState says(WorkerStatus.State state, Problem problem, int secondsAgo) {
        var said = new WorkerStatus("cdc", state, problem, null, null, List.of());
        return report(new Report(said, NOW.minusSeconds(secondsAgo), null, null));
    }

    static PodState report(Report report) {
        return pod -> pod.report = report;
    }

    // ---- ends ----

    static End fatal(String message) {
        return new End(10, "Error", new Termination("Refused", message, null, false, List.of(), null, null), null);
    }

    static End succeeded() {
        return new End(
                0,
                "Completed",
                new Termination(Termination.SUCCEEDED, "done", null, false, List.of(), null, null),
                null);
    }

    /** Setup's or a load's last words. */
    static End loaded(int done, int total, int replacements) {
        var load = new WorkerStatus.Load(done, total, replacements, 0, 0, 0, 0, 0, null);
        return new End(
                0,
                "Completed",
                new Termination(Termination.SUCCEEDED, "done", null, false, List.of(), load, null),
                null);
    }

    static End killed(int exitCode, String reason) {
        return new End(exitCode, reason, null, null);
    }

    static End evicted() {
        return new End(null, "Evicted", null, "The node was low on resource: memory.");
    }
}
