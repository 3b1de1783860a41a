package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Release;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;

/**
 * The phase table. {@link #plan} is a pure function: what shall be follows from the spec, the status written last, what is
 * observed and the time, and from nothing else. So it may be asked again at any moment, by an operator that was just
 * started as well, and an answer that was carried out by half is completed by the next.
 *
 * <p>What it takes from the status, and finds out again when the status is lost: the phase, what Setup accepted, and
 * whether the load is complete.
 */
record Lifecycle(Worker worker, Duration teardownTimeout) {

    /** How long a pod may overstay its deletion before nobody waits for it any more: its node is lost. */
    private static final Duration OVERSTAY = Duration.ofSeconds(30);
    /** A Job's end may be heard of before its pod's, whose last words say more. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(2);

    private static final Duration SOON = Duration.ofSeconds(2);
    private static final Duration IDLE = Duration.ofMinutes(5);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);
    private static final Duration PAUSE = Duration.ofSeconds(5);
    private static final Duration PAUSE_AFTER_FATAL = Duration.ofSeconds(15);

    /** What became of a Setup that was never accepted is at most a torso; its teardown is not worth a long wait. */
    private static final int SHORTER_WITHOUT_SETUP = 6;

    Plan plan(ClickPipe pipe, Observed observed, Instant now) {
        var round = new Round(pipe, observed, now);
        return pipe.isMarkedForDeletion() ? round.teardown() : round.live();
    }

    /** One decision and what it rests on. */
    private final class Round {
        private final ClickPipe pipe;
        private final Observed observed;
        private final Instant now;
        private final ReplicationMode mode;
        private final int tables;
        /** The last status; null when there is none. */
        private final ClickPipeStatus status;
        /** The last phase; null when there is none. */
        private final Phase phase;

        private final String setupKey;
        private final boolean accepted;
        private final boolean loaded;

        Round(ClickPipe pipe, Observed observed, Instant now) {
            this.pipe = pipe;
            this.observed = observed;
            this.now = now;
            mode = pipe.getSpec().settings().replicationMode();
            tables = pipe.getSpec().tableMappings().size();
            status = pipe.getStatus();
            phase = status == null ? null : status.phase();
            setupKey = Manifest.setupKey(pipe);
            accepted = status != null && setupKey.equals(status.observedSetup());
            loaded = accepted && Conditions.isTrue(status, Conditions.INITIAL_LOAD_COMPLETE);
        }

        Plan live() {
            if (!accepted) {
                var setup = run(Role.SETUP);
                if (setup.isPresent()) {
                    return setup.get();
                }
            }
            if (mode.loads() && !loaded) {
                var snapshot = run(Role.SNAPSHOT);
                if (snapshot.isPresent()) {
                    return snapshot.get();
                }
            }
            return mode.streams() ? stream() : completed();
        }

        // ---- Setup and Snapshot: a Job that has to succeed once ----

        /** The plan while this Job has not succeeded; empty when it has. */
        private Optional<Plan> run(Role role) {
            var key = Manifest.of(pipe, role).key();
            var latest = observed.latest(role, key);
            if (latest.isEmpty()) {
                return Optional.of(start(new JobRef(role, key, 1)));
            }
            var run = latest.get();
            var next = new JobRef(role, key, run.ref().attempt() + 1);
            var changed = !run.template().equals(worker.template(pipe, role));
            return switch (run.outcome()) {
                case SUCCEEDED -> Optional.empty();
                case ACTIVE -> Optional.of(changed || outdated(run) ? start(next) : active(run));
                case FAILED -> Optional.of(failed(run, next, changed));
            };
        }

        private Plan start(JobRef ref) {
            var at = steadyPhase(ref, false);
            var steady = job(at, Standing.PROGRESSING, progress(at), ref, SOON);
            return livePodBeside(ref)
                    .map(pod -> steady.waiting("Waiting for pod " + pod.name() + " of an earlier run to stop."))
                    .or(() -> failedBefore(ref).map(cause -> stillFailed(cause, ref, IDLE)))
                    .orElse(steady);
        }

        private Plan active(Run run) {
            var ref = run.ref();
            var before = failedBefore(ref);
            if (before.isPresent()) {
                return stillFailed(before.get(), ref, IDLE);
            }
            var pod = observed.podOf(run);
            var at = steadyPhase(ref, pod.map(Pod::started).orElse(false));
            return hindrance(run)
                    .map(obstacle -> job(at, Standing.HINDERED, obstacle, ref, IDLE))
                    .orElseGet(() -> job(at, Standing.PROGRESSING, progress(at), ref, IDLE));
        }

        /** What keeps a Job that has not ended from getting on. */
        private Optional<Cause> hindrance(Run run) {
            return observed.podOf(run)
                    .map(pod -> pod.stuck() != null
                            ? pod.stuck()
                            : problem(pod.report().status()))
                    .or(() -> Optional.ofNullable(run.warning()));
        }

        private Plan failed(Run run, JobRef next, boolean changed) {
            var end = observed.podOf(run).map(Pod::end);
            if (end.isEmpty() && now.isBefore(run.finishedAt().plus(LAST_WORDS))) {
                return active(run);
            }
            var fatal = end.map(Observed.End::fatal).orElse(false);
            var cause = end.map(Observed.End::cause)
                    .orElse(new Cause(
                            "PodLost", "the pod of job " + run.name() + " is gone without a word; it is run again"));
            var due = run.finishedAt()
                    .plus(pause(fatal ? PAUSE_AFTER_FATAL : PAUSE, run.ref().attempt()));
            var again = changed || !now.isBefore(due);
            var ref = again ? next : run.ref();
            var lookAgain = again ? IDLE : Duration.between(now, due);
            if (fatal) {
                return stillFailed(cause, ref, lookAgain);
            }
            return failedBefore(ref)
                    .map(before -> stillFailed(before, ref, lookAgain))
                    .orElseGet(() -> job(steadyPhase(ref, true), Standing.HINDERED, cause, ref, lookAgain));
        }

        /** The pod can't start with the image that the run was made with, and the operator now has another. */
        private boolean outdated(Run run) {
            return !run.image().equals(worker.settings().image())
                    && !observed.podOf(run).map(Pod::started).orElse(false);
        }

        /**
         * A pod that another run left and that still works: two at once would get into each other's way. One that overstays
         * its deletion is not waited for.
         */
        private Optional<Pod> livePodBeside(JobRef ref) {
            var name = Worker.name(ref, pipe);
            return observed.pods().stream()
                    .filter(Pod::live)
                    .filter(pod -> pod.role() == Role.CDC
                            ? ref.role() == Role.SNAPSHOT
                                    && !pod.config()
                                            .equals(Manifest.of(pipe, Role.CDC).key())
                            : !name.equals(pod.job()))
                    .filter(this::waitedFor)
                    .findFirst();
        }

        private boolean waitedFor(Pod pod) {
            return pod.goneBy() == null || now.isBefore(pod.goneBy().plus(OVERSTAY));
        }

        /** Why the pipe is Failed, where a new attempt at the same thing has yet to show that it is so no longer. */
        private Optional<Cause> failedBefore(JobRef ref) {
            return phase == Phase.Failed && ref.attempt() > 1 ? Conditions.readyCause(status) : Optional.empty();
        }

        private Phase steadyPhase(JobRef ref, boolean started) {
            if (ref.role() == Role.SNAPSHOT) {
                return Phase.Snapshot;
            }
            return started || phase != null && phase != Phase.Provisioning ? Phase.Setup : Phase.Provisioning;
        }

        private Plan stillFailed(Cause cause, JobRef ref, Duration lookAgain) {
            return job(Phase.Failed, Standing.STALLED, cause, ref, lookAgain);
        }

        private Plan job(Phase at, Standing standing, Cause cause, JobRef ref, Duration lookAgain) {
            var setupDone = ref.role() == Role.SNAPSHOT;
            return new Plan(
                    at,
                    standing,
                    cause,
                    setupDone ? setupKey : status == null ? null : status.observedSetup(),
                    load(!setupDone && Conditions.isTrue(status, Conditions.INITIAL_LOAD_COMPLETE)),
                    Set.of(ref),
                    // A stream that runs already is never stopped for what comes beside it. It learns of new tables
                    // before they are loaded, so that no change of theirs is passed over.
                    !mode.streams() && setupDone
                            ? Stream.STOP
                            : setupDone && observed.deployment().isPresent() ? Stream.APPLY : Stream.KEEP,
                    lookAgain,
                    Optional.empty());
        }

        private Load load(boolean complete) {
            return !mode.loads() ? Load.NONE_WANTED : complete ? Load.COMPLETE : Load.INCOMPLETE;
        }

        private Cause progress(Phase at) {
            return new Cause(
                    at.name(),
                    switch (at) {
                        case Provisioning -> "Waiting for the setup pod to start.";
                        case Setup -> "Checking source and destination; making target tables, publication and slot.";
                        default -> "Loading " + tables() + ".";
                    });
        }

        // ---- Running and Completed ----

        private Plan stream() {
            var pod = observed.streamPod();
            if (pod.isPresent() && pod.get().running()) {
                var said = pod.get().heard(now);
                if (said.isPresent() && problem(said.get()) != null) {
                    return running(Standing.HINDERED, problem(said.get()));
                }
                if (said.isPresent() && said.get().state() == WorkerStatus.State.Working || readyUnasked(pod.get())) {
                    return running(Standing.READY, new Cause("Running", "Replicating changes of " + tables() + "."));
                }
                if (said.isEmpty() && unreachable(pod.get())) {
                    return running(
                            Standing.HINDERED,
                            new Cause(
                                    "WorkerUnreachable",
                                    "The worker, pod " + pod.get().name() + ", does not answer the operator: "
                                            + pod.get().report().failure()));
                }
            }
            var end = pod.map(Pod::end);
            if (end.isPresent()) {
                return end.get().fatal()
                        ? streamFailed(end.get().cause())
                        : running(Standing.HINDERED, restarting(pod.get()));
            }
            // It failed while streaming and has yet to show that it works again.
            if (phase == Phase.Failed && accepted && (loaded || !mode.loads())) {
                return streamFailed(Conditions.readyCause(status).orElse(new Cause("Failed", status.message())));
            }
            return pod.map(Pod::stuck)
                    .or(() -> observed.deployment().filter(d -> pod.isEmpty()).map(Observed.Deployed::failure))
                    .map(obstacle -> running(Standing.HINDERED, obstacle))
                    .orElseGet(() -> running(
                            Standing.PROGRESSING,
                            new Cause("WorkerStarting", "Waiting for the cdc worker to stream.")));
        }

        /** An operator that was just started has not asked this worker yet, but the one before it had found it at work. */
        private boolean readyUnasked(Pod pod) {
            return phase == Phase.Running
                    && pod.unasked()
                    && Conditions.readySince(status)
                            .map(since -> !pod.startedAt().isAfter(since))
                            .orElse(false);
        }

        private boolean unreachable(Pod pod) {
            return pod.report().failure() != null
                    && !now.isBefore(pod.startedAt().plus(Observed.FRESH));
        }

        private Plan running(Standing standing, Cause cause) {
            return settled(Phase.Running, standing, cause, Stream.APPLY, Observed.FRESH);
        }

        private Plan streamFailed(Cause cause) {
            return settled(Phase.Failed, Standing.STALLED, cause, Stream.APPLY, Observed.FRESH);
        }

        private Plan completed() {
            return settled(
                    Phase.Completed,
                    Standing.READY,
                    new Cause("Completed", "Loaded " + tables() + "."),
                    Stream.STOP,
                    IDLE);
        }

        private Plan settled(Phase at, Standing standing, Cause cause, Stream stream, Duration lookAgain) {
            return new Plan(at, standing, cause, setupKey, load(true), Set.of(), stream, lookAgain, Optional.empty());
        }

        private Cause restarting(Pod pod) {
            var cause = pod.end().cause();
            return new Cause(
                    cause.reason(),
                    "The worker, pod " + pod.name() + ", is started again. It ended with " + cause.message());
        }

        // ---- deletion ----

        private Plan teardown() {
            if (!reachedTheSource()) {
                return deletion(new Cause("Deleting", "Nothing was made on the source."), Set.of(), new Release(null));
            }
            var ref = new JobRef(Role.TEARDOWN, Manifest.of(pipe, Role.TEARDOWN).key(), 1);
            var latest = observed.latest(ref.role(), ref.key());
            if (latest.map(run -> run.outcome() == Outcome.SUCCEEDED).orElse(false)) {
                return deletion(new Cause("Deleting", "The source is clean."), Set.of(), new Release(null));
            }
            var obstacle = latest.flatMap(this::whatHinders);
            var deadline = deadline();
            if (!now.isBefore(deadline)) {
                var why = obstacle.or(() -> Conditions.readyCause(status))
                        .map(Cause::message)
                        .orElse("teardown did not end");
                return deletion(new Cause("Deleting", why), Set.of(), new Release(Leftovers.of(pipe, why)));
            }
            var other = observed.pods().stream()
                    .filter(pod -> pod.live() && pod.role() != Role.TEARDOWN && waitedFor(pod))
                    .findFirst();
            if (other.isPresent() && latest.isEmpty()) {
                return deletion(
                        new Cause("Deleting", "Waiting for pod " + other.get().name() + " to stop."), Set.of(), null);
            }
            var again = latest.filter(run -> run.outcome() == Outcome.FAILED)
                    .filter(run -> !now.isBefore(run.finishedAt().plus(PAUSE)));
            var wanted = again.map(
                            run -> new JobRef(ref.role(), ref.key(), run.ref().attempt() + 1))
                    .or(() -> latest.map(Run::ref))
                    .orElse(ref);
            return deletion(
                    obstacle.map(cause -> new Cause(
                                    "Deleting",
                                    "Cleaning up the source, until " + deadline + " at the latest: " + cause.message()))
                            .orElse(new Cause("Deleting", "Cleaning up the source.")),
                    Set.of(wanted),
                    null);
        }

        /** False as long as it is certain that no worker ever ran. */
        private boolean reachedTheSource() {
            var setups = observed.runs().stream()
                    .filter(run -> run.ref().role() == Role.SETUP)
                    .toList();
            var others = observed.deployment().isPresent() || observed.runs().size() > setups.size();
            if (others || phase != null && phase != Phase.Provisioning) {
                return true;
            }
            // Provisioning without a setup Job: there was one, for it is made before the phase is written.
            return setups.isEmpty()
                    ? phase != null
                    : setups.stream()
                            .anyMatch(run -> run.outcome() == Outcome.SUCCEEDED
                                    || observed.podOf(run).map(Pod::started).orElse(run.outcome() == Outcome.FAILED));
        }

        private Instant deadline() {
            var setupAccepted = status != null && status.observedSetup() != null
                    || observed.runs().stream()
                            .anyMatch(run -> run.ref().role() != Role.SETUP || run.outcome() == Outcome.SUCCEEDED);
            return Instant.parse(pipe.getMetadata().getDeletionTimestamp())
                    .plus(setupAccepted ? teardownTimeout : teardownTimeout.dividedBy(SHORTER_WITHOUT_SETUP));
        }

        private Optional<Cause> whatHinders(Run run) {
            return run.outcome() == Outcome.FAILED
                    ? observed.podOf(run).map(Pod::end).map(Observed.End::cause)
                    : hindrance(run);
        }

        private Plan deletion(Cause cause, Set<JobRef> jobs, Release release) {
            return new Plan(
                    phase == null ? Phase.Provisioning : phase,
                    Standing.PROGRESSING,
                    cause,
                    status == null ? null : status.observedSetup(),
                    load(loaded),
                    jobs,
                    Stream.STOP,
                    SOON,
                    Optional.ofNullable(release));
        }

        // ---- words ----

        /** What a worker says is wrong; null when nothing is, or it said nothing. */
        private static Cause problem(WorkerStatus said) {
            if (said == null) {
                return null;
            }
            if (said.problem() != null) {
                return Cause.of(said.problem());
            }
            var ill = said.tables() == null
                    ? java.util.List.<WorkerStatus.Table>of()
                    : said.tables().stream()
                            .filter(table -> table.problem() != null)
                            .toList();
            if (ill.isEmpty()) {
                return null;
            }
            var first = Cause.of(ill.getFirst().problem());
            return ill.size() == 1
                    ? first
                    : new Cause(first.reason(), first.message() + " (and " + (ill.size() - 1) + " more tables)");
        }

        private String tables() {
            return tables == 1 ? "1 table" : tables + " tables";
        }
    }

    /** Doubles with every attempt, up to five minutes. */
    private static Duration pause(Duration first, int attempt) {
        var pause = first.multipliedBy(1L << Math.min(attempt - 1, 10));
        return pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
    }
}
