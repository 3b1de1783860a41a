package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.operator.Attempts.Attempt;
import dev.clickpipe.operator.Attempts.Done;
import dev.clickpipe.operator.Attempts.Failed;
import dev.clickpipe.operator.Attempts.UnderWay;
import dev.clickpipe.operator.Attempts.Wanted;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Reached;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.pipe.WorkerStatus.State;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * The phase table. {@link #plan} is a pure function: what shall be follows from the spec, the status written last, what is
 * observed and the time, and from nothing else. So it may be asked again at any moment, by an operator that was just
 * started as well, and an answer that was carried out by half is completed by the next.
 *
 * <p>A pipe goes through {@code setup}, {@code snapshot}, {@code resync} and {@code stream}, and passes over those of which
 * nothing is left to do; every edit that concerns Setup begins them anew, while the stream runs on. {@code pause} and {@code
 * teardown} stop all of it at any point. What it takes from the status is {@link Reached}, the phase and which tables there
 * were: when that is lost, Setup runs again, changes nothing, and tells.
 */
record Lifecycle(Worker worker, Duration teardownTimeout) {

    private static final Duration SOON = Duration.ofSeconds(2);
    private static final Duration IDLE = Duration.ofMinutes(5);

    /** How often the slot of a paused pipe is looked at. */
    static final Duration INSPECTION = Duration.ofMinutes(5);
    /** A stream that needs a person is given so long to find out that Setup was the remedy, before a load counts as failed. */
    private static final Duration STREAM_RECOVERY = Duration.ofMinutes(1);
    /** Times in the status are whole seconds. */
    private static final Duration ROUNDING = Duration.ofSeconds(1);

    Plan plan(ClickPipe pipe, Observed observed, Instant now) {
        var round = new Round(pipe, observed, now);
        return pipe.isMarkedForDeletion()
                ? round.teardown()
                : pipe.getSpec().state() == ClickPipeSpec.State.Paused ? round.pause() : round.setup();
    }

    /** One decision and what it rests on. */
    private final class Round {
        private final ClickPipe pipe;
        private final Observed observed;
        private final Instant now;
        private final ReplicationMode mode;
        private final Attempts attempts;
        private final TableChanges tables;
        /** The last status; null when there is none. */
        private final ClickPipeStatus status;
        /** The last phase; null when there is none. */
        private final Phase phase;

        /** How far it had got when the status was written, and, in the course of the round, how far it is. */
        private Reached reached;

        private final Reached before;

        Round(ClickPipe pipe, Observed observed, Instant now) {
            this.pipe = pipe;
            this.observed = observed;
            this.now = now;
            mode = pipe.getSpec().settings().replicationMode();
            attempts = new Attempts(pipe, observed, worker, now);
            tables = TableChanges.of(pipe);
            status = pipe.getStatus();
            phase = status == null ? null : status.phase();
            before = new Reached(
                    SetupMark.read(status == null ? null : status.observedSetup())
                            .orElse(mayHaveRun() ? new SetupMark(Manifest.setupKey(pipe), 0, false, null) : null),
                    status == null ? null : status.observedResync(),
                    mode.loads() ? Conditions.load(status) : Load.NONE_WANTED);
            reached = before;
        }

        /** A paused pipe that nothing is known of was created so, or has lost its status: whoever deletes it has to look. */
        private boolean mayHaveRun() {
            return status == null
                    && pipe.getSpec().state() == ClickPipeSpec.State.Paused
                    && Worker.generation(pipe) > 1;
        }

        // ---- Provisioning, Setup, Modifying ----

        Plan setup() {
            if (accepted()) {
                return snapshot();
            }
            reached = new Reached(due(), reached.resync(), reached.load());
            var attempt = attempts.of(Role.SETUP, reached.setup().since());
            if (attempt instanceof Done done) {
                reached = new Reached(acceptedAt(done), reached.resync(), leftToLoad(done));
                return snapshot();
            }
            return unfinished(attempt, setupPhase(attempt));
        }

        /** Whether Setup accepted the spec as it is now, and was not started since. */
        private boolean accepted() {
            var mark = reached.setup();
            return mark != null
                    && mark.accepted()
                    && mark.key().equals(Manifest.setupKey(pipe))
                    && observed.setupGeneration() <= mark.since();
        }

        private SetupMark due() {
            var mark = reached.setup();
            var key = Manifest.setupKey(pipe);
            var since = mark == null
                    ? observed.setupGeneration()
                    : mark.accepted() || !mark.key().equals(key) ? Worker.generation(pipe) : mark.since();
            return new SetupMark(key, since, false, mark == null ? null : mark.stream());
        }

        private SetupMark acceptedAt(Done done) {
            var since = Math.max(reached.setup().since(), done.run().generation());
            return new SetupMark(reached.setup().key(), since, true, Manifest.streamKey(pipe));
        }

        private Load leftToLoad(Done setup) {
            if (!mode.loads()) {
                return Load.NONE_WANTED;
            }
            if (setup.load() == null) {
                return Load.INCOMPLETE; // a load finds out that there is nothing to do
            }
            var left = setup.load().tablesTotal() - setup.load().tablesDone();
            var onlyReplacements = left <= setup.load().replacements() && !tables.unloaded();
            return left > 0
                    ? onlyReplacements ? Load.REBUILDING : Load.INCOMPLETE
                    : setup.load().replacements() > 0 ? Load.SWAPPING : Load.COMPLETE;
        }

        private Phase setupPhase(Attempt attempt) {
            if (reached.setup().acceptedOnce()) {
                return !tables.removed().isEmpty()
                        ? Phase.Modifying
                        : mode.loads() && (tables.unloaded() || newResync()) ? Phase.Snapshot : Phase.Setup;
            }
            var started = attempt instanceof UnderWay run && run.started() || attempt instanceof Failed;
            return started || phase == Phase.Setup || phase == Phase.Failed ? Phase.Setup : Phase.Provisioning;
        }

        private boolean newResync() {
            var wanted = pipe.getSpec().resync();
            return wanted != null && !wanted.equals(reached.resync());
        }

        // ---- Snapshot ----

        Plan snapshot() {
            if (!reached.load().due()) {
                return resync();
            }
            var attempt = attempts.of(Role.SNAPSHOT, reached.setup().since());
            if (attempt instanceof Done done) {
                var swaps = done.load() == null
                        ? reached.load() == Load.REBUILDING || !mode.streams()
                        : done.load().replacements() > 0;
                reached = reached(swaps ? Load.SWAPPING : Load.COMPLETE);
                return resync();
            }
            return besideTheStream(unfinished(attempt, Phase.Snapshot), attempt);
        }

        /** A load may wait for the stream for ever: what keeps the stream from its work concerns the load, too. */
        private Plan besideTheStream(Plan load, Attempt attempt) {
            var pod = observed.streamPod();
            var said = pod.flatMap(p -> p.heard(now));
            var trouble = said.map(Attempts::problem).or(() -> pod.map(Pod::stuck));
            if (trouble.isEmpty() || load.standing() == Standing.STALLED) {
                return load;
            }
            var forLong = attempt instanceof UnderWay run
                    && run.since() != null
                    && now.isAfter(run.since().plus(STREAM_RECOVERY));
            if (said.isPresent() && said.get().state() == State.Failed && (forLong || phase == Phase.Failed)) {
                return load.as(Phase.Failed, Standing.STALLED, trouble.get());
            }
            return load.standing() == Standing.HINDERED
                    ? load
                    : load.as(load.phase(), Standing.HINDERED, trouble.get());
        }

        // ---- Resync ----

        Plan resync() {
            if (reached.load() != Load.SWAPPING) {
                return settled();
            }
            if (mode.streams()) {
                return swappedByTheStream() ? settled() : swapping(stream());
            }
            var attempt = attempts.of(Role.RESYNC, reached.setup().since());
            if (attempt instanceof Done) {
                reached = reached(Load.COMPLETE);
                return settled();
            }
            return unfinished(attempt, Phase.Resync);
        }

        /** The stream has said so since the load ended; what it said before is no news. */
        private boolean swappedByTheStream() {
            if (phase != Phase.Resync) {
                return false;
            }
            var since = Instant.parse(status.phaseSince()).plus(ROUNDING);
            var swapped = observed.streamPod()
                    .filter(pod ->
                            pod.report().at() != null && pod.report().at().isAfter(since))
                    .flatMap(pod -> pod.heard(now))
                    .filter(said -> said.state() == State.Working && !replaces(said))
                    .isPresent();
            if (swapped) {
                reached = reached(Load.COMPLETE);
            }
            return swapped;
        }

        private Plan swapping(Plan stream) {
            return switch (stream.standing()) {
                case READY, PROGRESSING ->
                    stream.as(Phase.Resync, Standing.PROGRESSING, progress(Phase.Resync))
                            .lookingAgain(SOON);
                case HINDERED -> stream.as(Phase.Resync, Standing.HINDERED, stream.cause());
                case STALLED -> stream;
            };
        }

        private static boolean replaces(WorkerStatus said) {
            return Attempts.tables(said).stream().anyMatch(table -> table.replaces() != null);
        }

        // ---- Running and Completed ----

        private Plan settled() {
            var replaces = observed.streamPod().flatMap(pod -> pod.heard(now)).map(Round::replaces);
            if (replaces.orElse(false)) {
                reached = reached(Load.SWAPPING); // nobody knew, for the last words of Setup or load were lost
                return swapping(stream());
            }
            var resync = pipe.getSpec().resync();
            reached = new Reached(reached.setup(), resync == null ? reached.resync() : resync, reached.load());
            if (!mode.streams()) {
                return plan(
                        Phase.Completed,
                        Standing.READY,
                        new Cause("Completed", "Loaded " + tables.count() + "."),
                        Set.of(),
                        IDLE);
            }
            return stream();
        }

        private Plan stream() {
            var pod = observed.streamPod();
            if (pod.isPresent() && pod.get().running()) {
                var said = pod.get().heard(now);
                var problem = said.map(Attempts::problem).orElse(null);
                if (said.isPresent() && said.get().state() == State.Failed) {
                    return streamFailed(
                            problem == null ? new Cause("Failed", "The worker does not say why.") : problem);
                }
                if (problem != null) {
                    // A retry of what failed has yet to show that it works.
                    return phase == Phase.Failed
                                    && failedStreaming()
                                    && said.get().state() != State.Working
                            ? streamFailed(problem)
                            : running(Standing.HINDERED, problem);
                }
                if (said.isPresent() && said.get().state() == State.Working || readyUnasked(pod.get())) {
                    return running(
                            Standing.READY, new Cause("Running", "Replicating changes of " + tables.count() + "."));
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
            if (phase == Phase.Failed && failedStreaming()) {
                return streamFailed(Conditions.readyCause(status).orElse(new Cause("Failed", status.message())));
            }
            return pod.map(Pod::stuck)
                    .or(() -> observed.deployment().filter(d -> pod.isEmpty()).map(Observed.Deployed::failure))
                    .map(obstacle -> running(Standing.HINDERED, obstacle))
                    .orElseGet(() -> running(
                            Standing.PROGRESSING,
                            new Cause("WorkerStarting", "Waiting for the cdc worker to stream.")));
        }

        /** Whether it was the stream that made the pipe Failed, rather than a Job on the way to it. */
        private boolean failedStreaming() {
            return before.setup() != null
                    && before.setup().accepted()
                    && !before.load().due();
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
            return plan(Phase.Running, standing, cause, Set.of(), Observed.FRESH);
        }

        private Plan streamFailed(Cause cause) {
            return plan(Phase.Failed, Standing.STALLED, cause, Set.of(), Observed.FRESH);
        }

        private static Cause restarting(Pod pod) {
            var cause = pod.end().cause();
            return new Cause(
                    cause.reason(),
                    "The worker, pod " + pod.name() + ", is started again. It ended with " + cause.message());
        }

        // ---- Pausing and Paused ----

        Plan pause() {
            var busy = atWork();
            if (busy.isPresent()) {
                return stopping(Phase.Pausing, "Waiting for " + busy.get() + " to stop.");
            }
            var inspection = inspection();
            var unseen = inspection
                    .flatMap(this::latestInspection)
                    .filter(run -> run.outcome() == Outcome.FAILED)
                    .flatMap(observed::podOf)
                    .map(Pod::end)
                    .map(end ->
                            " The slot could not be looked at: " + end.cause().message());
            var slot = inspection.isPresent() ? " The slot keeps WAL on the source meanwhile." : "";
            return new Plan(
                    Phase.Paused,
                    Standing.READY,
                    new Cause("Paused", "Nothing is read until spec.state is Running." + unseen.orElse(slot)),
                    reached,
                    inspection.map(Set::of).orElse(Set.of()),
                    Stream.STOP,
                    inspection.map(this::untilNextInspection).orElse(IDLE),
                    Optional.empty());
        }

        /** A worker that may still do something, or somebody who is about to start one. */
        private Optional<String> atWork() {
            return observed.pods().stream()
                    .filter(pod -> pod.role() != Role.INSPECT && attempts.waitedFor(pod))
                    .findFirst()
                    .map(pod -> "pod " + pod.name())
                    .or(() -> observed.deployment().map(d -> "deployment " + d.name()))
                    .or(() -> observed.runs().stream()
                            .filter(run ->
                                    run.outcome() == Outcome.ACTIVE && run.ref().role() != Role.INSPECT)
                            .findFirst()
                            .map(run -> "job " + run.name()));
        }

        private Plan stopping(Phase at, String message) {
            return new Plan(
                    at,
                    Standing.PROGRESSING,
                    new Cause(at.name(), message),
                    reached,
                    Set.of(),
                    Stream.STOP,
                    SOON,
                    Optional.empty());
        }

        /** The Job that looks, or looked last, at the slot; empty where there can't be one. */
        private Optional<JobRef> inspection() {
            if (!mode.streams() || reached.setup() == null || !reached.setup().acceptedOnce()) {
                return Optional.empty();
            }
            var key = Manifest.of(pipe, Role.INSPECT).key();
            var next = new JobRef(Role.INSPECT, key, 1 + observed.attempts(Role.INSPECT, key));
            return Optional.of(observed.latest(Role.INSPECT, key)
                    .filter(run -> run.outcome() == Outcome.ACTIVE
                            || phase == Phase.Paused
                                    && now.isBefore(run.finishedAt().plus(INSPECTION)))
                    .map(Run::ref)
                    .orElse(next));
        }

        private Optional<Run> latestInspection(JobRef ref) {
            return observed.runs().stream().filter(run -> run.ref().equals(ref)).findFirst();
        }

        private Duration untilNextInspection(JobRef ref) {
            return latestInspection(ref)
                    .filter(run -> run.outcome() != Outcome.ACTIVE)
                    .map(run -> Duration.between(now, run.finishedAt().plus(INSPECTION)))
                    .orElse(IDLE);
        }

        // ---- deletion ----

        Plan teardown() {
            return new Deletion(pipe, observed, attempts, reached, teardownTimeout, now).plan();
        }

        // ---- plans ----

        /** The plan while this Job has not succeeded. */
        private Plan unfinished(Attempt attempt, Phase at) {
            var ref = attempt.ref();
            var steady = plan(at, Standing.PROGRESSING, progress(at), Set.of(ref), IDLE);
            var before = failedBefore(ref);
            return switch (attempt) {
                case Wanted wanted
                when wanted.beside() != null ->
                    steady.waiting("Waiting for pod " + wanted.beside().name() + " of an earlier run to stop.")
                            .lookingAgain(SOON);
                case Failed failed when failed.fatal() -> failed(steady, failed.cause(), failed);
                case Failed failed when before.isPresent() -> failed(steady, before.get(), failed);
                case Failed failed ->
                    steady.as(at, Standing.HINDERED, failed.cause()).lookingAgain(until(failed));
                case Attempt any when before.isPresent() -> steady.as(Phase.Failed, Standing.STALLED, before.get());
                case Wanted wanted -> steady.lookingAgain(SOON);
                case UnderWay run when run.hindrance() != null -> steady.as(at, Standing.HINDERED, run.hindrance());
                case UnderWay run
                when run.shorthanded() != null ->
                    steady.as(
                            at,
                            Standing.PROGRESSING,
                            new Cause(at.name(), steady.cause().message() + " " + run.shorthanded()));
                case Attempt any -> steady;
            };
        }

        private Plan failed(Plan steady, Cause cause, Failed failed) {
            return steady.as(Phase.Failed, Standing.STALLED, cause).lookingAgain(until(failed));
        }

        private Duration until(Failed failed) {
            return failed.again() ? IDLE : Duration.between(now, failed.due());
        }

        /** Why the pipe is Failed, where a new attempt at the same thing has yet to show that it is so no longer. */
        private Optional<Cause> failedBefore(JobRef ref) {
            return phase == Phase.Failed
                            && ref.attempt() > 1
                            && Objects.equals(
                                    status.observedGeneration(),
                                    pipe.getMetadata().getGeneration())
                    ? Conditions.readyCause(status)
                    : Optional.empty();
        }

        private Plan plan(Phase at, Standing standing, Cause cause, Set<JobRef> jobs, Duration lookAgain) {
            return new Plan(at, standing, cause, reached, jobs, streamBeside(), lookAgain, Optional.empty());
        }

        /**
         * The stream runs from the first Setup on, whatever else there is to do; but it is not led to another slot or database
         * before Setup has been there.
         */
        private Stream streamBeside() {
            if (reached.setup().accepted() && !mode.streams()) {
                return Stream.STOP;
            }
            return mode.streams() && Manifest.streamKey(pipe).equals(reached.setup().stream())
                    ? Stream.APPLY
                    : Stream.KEEP;
        }

        private Reached reached(Load load) {
            return new Reached(reached.setup(), reached.resync(), load);
        }

        private Cause progress(Phase at) {
            return new Cause(
                    at.name(),
                    switch (at) {
                        case Provisioning -> "Waiting for the setup pod to start.";
                        case Modifying -> "Removing " + tables.removedNames() + ".";
                        case Resync -> "Putting the tables built anew in the places of the live ones.";
                        case Snapshot ->
                            !reached.setup().accepted()
                                    ? "Preparing the load: checking source and destination; making what is new."
                                    : reached.load() == Load.REBUILDING
                                            ? "Building tables anew, beside the live ones."
                                            : "Loading " + tables.unloadedCount() + ".";
                        default -> "Checking source and destination; making target tables, publication and slot.";
                    });
        }
    }
}
