package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.operator.Plan.Reached;
import dev.clickpipe.operator.Plan.Release;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * What is still to be done for a pipe that is being deleted, from whichever phase: its workers stop, one Job cleans up the source,
 * and the pipe is released, at the latest when the time for it is over.
 */
record Deletion(ClickPipe pipe, Observed observed, Attempts attempts, Reached reached, Duration timeout, Instant now) {

    private static final Duration LOOK_AGAIN = Duration.ofSeconds(2);

    /** What became of a Setup that was never accepted is at most a torso; its teardown is not worth a long wait. */
    private static final int SHORTER_WITHOUT_SETUP = 6;

    Plan plan() {
        if (!reachedTheSource()) {
            return step(new Cause("Deleting", "Nothing was made on the source."), Set.of(), new Release(null));
        }
        var ref = new JobRef(Role.TEARDOWN, Manifest.of(pipe, Role.TEARDOWN).key(), 1);
        var latest = observed.latest(ref.role(), ref.key());
        if (latest.map(run -> run.outcome() == Outcome.SUCCEEDED).orElse(false)) {
            return step(new Cause("Deleting", "The source is clean."), Set.of(), new Release(null));
        }
        var obstacle = latest.flatMap(this::whatHinders);
        var deadline = deadline();
        if (!now.isBefore(deadline)) {
            var why = obstacle.or(() -> Conditions.readyCause(pipe.getStatus()))
                    .map(Cause::message)
                    .orElse("teardown did not end");
            return step(new Cause("Deleting", why), Set.of(), new Release(Leftovers.of(pipe, why)));
        }
        var other = observed.pods().stream()
                .filter(pod -> pod.role() != Role.TEARDOWN && attempts.waitedFor(pod))
                .findFirst();
        if (other.isPresent() && latest.isEmpty()) {
            return step(new Cause("Deleting", "Waiting for pod " + other.get().name() + " to stop."), Set.of(), null);
        }
        var again = latest.filter(run -> run.outcome() == Outcome.FAILED)
                .filter(run -> !now.isBefore(run.finishedAt().plus(Attempts.PAUSE)));
        var wanted = again.map(
                        run -> new JobRef(ref.role(), ref.key(), run.ref().attempt() + 1))
                .or(() -> latest.map(Run::ref))
                .orElse(ref);
        return step(
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
        if (observed.deployment().isPresent()
                || observed.runs().size() > setups.size()
                || reached.setup() != null && reached.setup().acceptedOnce()) {
            return true;
        }
        // The status says that Setup was started when its Job has been made.
        return setups.isEmpty()
                ? reached.setup() != null
                : phase() == Phase.Setup
                        || phase() == Phase.Failed
                        || setups.stream()
                                .anyMatch(run -> run.outcome() == Outcome.SUCCEEDED
                                        || observed.podOf(run)
                                                .map(Pod::started)
                                                .orElse(run.outcome() == Outcome.FAILED));
    }

    private Instant deadline() {
        var setupAccepted = reached.setup() != null && reached.setup().acceptedOnce()
                || observed.runs().stream()
                        .anyMatch(run -> run.ref().role() != Role.SETUP || run.outcome() == Outcome.SUCCEEDED);
        return Instant.parse(pipe.getMetadata().getDeletionTimestamp())
                .plus(setupAccepted ? timeout : timeout.dividedBy(SHORTER_WITHOUT_SETUP));
    }

    private Optional<Cause> whatHinders(Run run) {
        return run.outcome() == Outcome.FAILED
                ? observed.podOf(run).map(Pod::end).map(Observed.End::cause)
                : attempts.hindrance(run);
    }

    private Plan step(Cause cause, Set<JobRef> jobs, Release release) {
        return new Plan(
                Objects.requireNonNullElse(phase(), Phase.Provisioning),
                Standing.PROGRESSING,
                cause,
                reached,
                jobs,
                Stream.STOP,
                LOOK_AGAIN,
                Optional.ofNullable(release));
    }

    /** The last one; null when there is none. */
    private Phase phase() {
        return pipe.getStatus() == null ? null : pipe.getStatus().phase();
    }
}
