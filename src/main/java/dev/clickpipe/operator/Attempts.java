package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.operator.Observed.End;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.JobRef;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** A Job that has to succeed once: how it is doing, and when it is tried again. */
record Attempts(ClickPipe pipe, Observed observed, Worker worker, Instant now) {

    static final Duration PAUSE = Duration.ofSeconds(5);

    /** How long a pod may overstay its deletion before nobody waits for it any more: its node is lost. */
    private static final Duration OVERSTAY = Duration.ofSeconds(30);
    /** A Job's end may be heard of before its pod's, whose last words say more. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(2);

    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);
    private static final Duration PAUSE_AFTER_FATAL = Duration.ofSeconds(15);

    sealed interface Attempt {
        /** The run that shall be there. */
        JobRef ref();
    }

    record Done(Run run, Optional<Termination> words) implements Attempt {
        @Override
        public JobRef ref() {
            return run.ref();
        }

        /** What it said of the load; null when it said nothing, or its pod is gone. */
        WorkerStatus.Load load() {
            return words.map(Termination::load).orElse(null);
        }
    }

    /** @param beside a pod of another run that has to stop first; null: there is none */
    record Wanted(JobRef ref, Pod beside) implements Attempt {}

    /**
     * @param hindrance what keeps it from getting on; null: nothing
     * @param shorthanded what keeps some of its pods from work while others get on; null: nothing
     */
    record UnderWay(JobRef ref, boolean started, Instant since, Cause hindrance, String shorthanded)
            implements Attempt {}

    /** It failed. @param due when it is tried again; {@code ref} is the new run when that is now */
    record Failed(JobRef ref, Cause cause, boolean fatal, boolean again, Instant due) implements Attempt {}

    /** @param since the generation of the spec from which on a run counts */
    Attempt of(Role role, long since) {
        var key = Manifest.of(pipe, role).key();
        var next = new JobRef(role, key, 1 + observed.attempts(role, key));
        return observed.latest(role, key)
                .filter(run -> run.generation() >= since)
                .map(run -> of(run, next))
                .orElseGet(() -> wanted(next));
    }

    private Attempt of(Run run, JobRef next) {
        var changed = !run.template().equals(worker.template(pipe, run.ref().role()));
        return switch (run.outcome()) {
            case SUCCEEDED ->
                words(run).isEmpty() && now.isBefore(run.finishedAt().plus(LAST_WORDS))
                        ? underWay(run)
                        : new Done(run, words(run));
            case ACTIVE -> changed || outdated(run) ? wanted(next) : active(run);
            case FAILED -> failed(run, next, changed);
        };
    }

    private Wanted wanted(JobRef ref) {
        var name = Worker.name(ref, pipe);
        var beside = observed.pods().stream()
                .filter(pod -> pod.role() != Role.CDC && pod.role() != Role.INSPECT)
                .filter(pod -> !name.equals(pod.job()))
                .filter(this::waitedFor)
                .findFirst();
        return new Wanted(ref, beside.orElse(null));
    }

    /** Where several pods share it, Kubernetes replaces one that ended, for a while: also one that no retry cures. */
    private Attempt active(Run run) {
        var refused = run.workers() == 1 ? Optional.<End>empty() : ends(run).filter(End::fatal);
        return refused.isPresent()
                ? new Failed(run.ref(), refused.get().cause(), true, false, now.plus(PAUSE_AFTER_FATAL))
                : underWay(run);
    }

    private UnderWay underWay(Run run) {
        var started = observed.podsOf(run).stream().anyMatch(Pod::started);
        return new UnderWay(
                run.ref(),
                started,
                run.startedAt(),
                hindrance(run).orElse(null),
                shorthanded(run).orElse(null));
    }

    private Attempt failed(Run run, JobRef next, boolean changed) {
        var end = ends(run);
        if (end.isEmpty() && now.isBefore(run.finishedAt().plus(LAST_WORDS))) {
            return underWay(run);
        }
        var fatal = end.map(End::fatal).orElse(false);
        var cause = end.map(End::cause)
                .orElse(new Cause(
                        "PodLost", "the pod of job " + run.name() + " is gone without a word; it is run again"));
        var due = run.finishedAt()
                .plus(pause(fatal ? PAUSE_AFTER_FATAL : PAUSE, run.ref().attempt()));
        var again = changed || !now.isBefore(due);
        return new Failed(again ? next : run.ref(), cause, fatal, again, due);
    }

    /** What keeps a Job that has not ended from getting on. */
    Optional<Cause> hindrance(Run run) {
        var pods = observed.podsOf(run).stream().filter(Pod::live).toList();
        return pods.stream().anyMatch(Attempts::works)
                ? Optional.empty()
                : pods.stream()
                        .map(Attempts::trouble)
                        .filter(Objects::nonNull)
                        .min(Comparator.comparing(Attempts::isWait))
                        .or(() -> Optional.ofNullable(run.warning()));
    }

    /** Where some of its pods get on, what keeps the others from it. */
    private Optional<String> shorthanded(Run run) {
        var pods = observed.podsOf(run);
        var live = pods.stream().filter(Pod::live).toList();
        long atWork = live.stream().filter(Attempts::works).count();
        boolean ends =
                pods.stream().map(Pod::end).filter(Objects::nonNull).anyMatch(end -> Objects.equals(end.exitCode(), 0));
        if (run.workers() == 1 || atWork == 0 || ends) {
            return Optional.empty();
        }
        return live.stream()
                .map(Attempts::trouble)
                .filter(cause -> cause != null && !isWait(cause))
                .findFirst()
                .or(() -> live.size() < run.workers() ? ends(run).map(End::cause) : Optional.empty())
                .map(cause -> atWork + " of " + run.workers() + " pods are at work: " + cause.message());
    }

    private static boolean works(Pod pod) {
        return pod.running() && trouble(pod) == null;
    }

    private static Cause trouble(Pod pod) {
        return pod.stuck() != null ? pod.stuck() : problem(pod.report().status());
    }

    /** What other pods are at is no trouble, as long as they are. */
    private static boolean isWait(Cause cause) {
        return cause.reason().equals(Problem.ANOTHER_LOAD_RUNS);
    }

    /** How a run's pods ended, in one: what no retry cures first, then what was not just told to stop, then the last. */
    private Optional<End> ends(Run run) {
        return observed.podsOf(run).stream()
                .map(Pod::end)
                .filter(Objects::nonNull)
                .max(Comparator.comparing(End::fatal)
                        .thenComparing(end -> end.termination() == null
                                || !end.termination().reason().equals(Termination.STOPPED)));
    }

    /** It may still be at work. One that overstays its deletion is not waited for. */
    boolean waitedFor(Pod pod) {
        return pod.live() && (pod.goneBy() == null || now.isBefore(pod.goneBy().plus(OVERSTAY)));
    }

    private Optional<Termination> words(Run run) {
        return observed.podsOf(run).stream()
                .map(Pod::end)
                .filter(end -> end != null && Objects.equals(end.exitCode(), 0))
                .flatMap(end -> Stream.ofNullable(end.termination()))
                .reduce((earlier, later) -> later);
    }

    /** The pod can't start with the image that the run was made with, and the operator now has another. */
    private boolean outdated(Run run) {
        return !run.image().equals(worker.settings().image())
                && observed.podsOf(run).stream().noneMatch(Pod::started);
    }

    /** Doubles with every attempt, up to five minutes. */
    private static Duration pause(Duration first, int attempt) {
        var pause = first.multipliedBy(1L << Math.min(attempt - 1, 10));
        return pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
    }

    /** What a worker says is wrong; null when nothing is, or it said nothing. */
    static Cause problem(WorkerStatus said) {
        if (said == null) {
            return null;
        }
        if (said.problem() != null) {
            return Cause.of(said.problem());
        }
        var ill = tables(said).stream().filter(table -> table.problem() != null).toList();
        if (ill.isEmpty()) {
            return null;
        }
        var first = Cause.of(ill.getFirst().problem());
        return ill.size() == 1
                ? first
                : new Cause(first.reason(), first.message() + " (and " + (ill.size() - 1) + " more tables)");
    }

    static List<WorkerStatus.Table> tables(WorkerStatus said) {
        return said.tables() == null ? List.of() : said.tables();
    }
}
