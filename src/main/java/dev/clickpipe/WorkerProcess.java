package dev.clickpipe;

import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a mode to its outcome: retries what may pass, and turns the rest into an exit code and last words. Pauses between tries
 * double from one second to twenty, give or take a quarter, and end at once on a stop.
 */
final class WorkerProcess {
    private static final Logger LOG = LoggerFactory.getLogger(WorkerProcess.class);

    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(20);
    static final Duration UNTIL_MENDED = LONGEST_PAUSE;
    private static final double JITTER = 0.25;

    /** After working so long, a failure is a new one, and the pauses begin again with the shortest. */
    private static final Duration RECOVERED = Duration.ofMinutes(1);

    private final Mode mode;
    private final boolean endless;
    private final Duration keepTrying;
    private final Stop stop;
    private volatile Trouble trouble;
    private volatile boolean pausing;

    /** What the last try ended with. */
    private record Trouble(Problem problem, WorkerStatus.State state) {}

    /**
     * @param endless whether the mode's work has no end, so that being stopped is a good one
     * @param keepTrying pause after which what a person has to mend is tried again too, for ever, so that the work goes on when
     *     it is mended; null: it ends the process
     */
    WorkerProcess(Mode mode, boolean endless, Duration keepTrying, Stop stop) {
        this.mode = mode;
        this.endless = endless;
        this.keepTrying = keepTrying;
        this.stop = stop;
    }

    record Outcome(ExitCode exitCode, Termination termination) {}

    /** What the mode says of itself; until a retry is at work again, what made it necessary. */
    WorkerStatus status() {
        var status = mode.status();
        var last = trouble;
        boolean retrying = last != null && (pausing || status.state() == WorkerStatus.State.Starting);
        if (!retrying && !stop.requested()) {
            return status;
        }
        return new WorkerStatus(
                status.mode(),
                stop.requested() ? WorkerStatus.State.Stopping : last.state(),
                retrying ? last.problem() : status.problem(),
                status.load(),
                status.replication(),
                status.tables());
    }

    /** Blocks until the mode has come to its end, one way or the other. */
    Outcome run() {
        var givingUpAt = mode.patience().map(patience -> System.nanoTime() + patience.toNanos());
        for (int failures = 0; ; failures++) {
            long began = System.nanoTime();
            try {
                mode.run(stop);
                return stop.requested() ? stopped() : done();
            } catch (PipeException e) {
                if (stop.requested()) {
                    return stopped();
                }
                boolean patient = givingUpAt.map(at -> System.nanoTime() < at).orElse(true);
                if (!e.retryable() && keepTrying != null) {
                    if (pause(e.problems(), keepTrying, WorkerStatus.State.Failed)) {
                        return stopped();
                    }
                    continue;
                }
                if (!e.retryable() || !patient) {
                    return failed(e.problems(), e.retryable());
                }
                if (System.nanoTime() - began > RECOVERED.toNanos()) {
                    failures = 0;
                }
                if (pause(e.problems(), pause(failures), WorkerStatus.State.Retrying)) {
                    return stopped();
                }
            } catch (InterruptedException e) {
                return stopped();
            } catch (RuntimeException e) {
                LOG.error("unexpected failure", e);
                var problem = new Problem(
                        "InternalError",
                        "clickpipe " + mode.status().mode(),
                        e.toString(),
                        "This is a mistake in the program: report it with the stack trace in the log");
                if (keepTrying == null) {
                    return failed(List.of(problem), false);
                }
                if (pause(List.of(problem), keepTrying, WorkerStatus.State.Failed)) {
                    return stopped();
                }
            }
        }
    }

    /** @return true when stopped meanwhile */
    private boolean pause(List<Problem> problems, Duration pause, WorkerStatus.State state) {
        problems.forEach(each -> LOG.warn("{}: {}", each.reason(), each.sentence()));
        LOG.info("next try in {} s", "%.1f".formatted(pause.toMillis() / 1000.0));
        trouble = new Trouble(problems.getFirst(), state);
        pausing = true;
        try {
            return stop.await(pause);
        } catch (InterruptedException interrupted) {
            return true;
        } finally {
            pausing = false;
        }
    }

    static Duration pause(int failures) {
        double seconds = Math.min(LONGEST_PAUSE.toSeconds(), FIRST_PAUSE.toSeconds() * Math.pow(2, failures));
        double jitter = ThreadLocalRandom.current().nextDouble(1 - JITTER, 1 + JITTER);
        return Duration.ofMillis((long) Math.min(LONGEST_PAUSE.toMillis(), seconds * jitter * 1000));
    }

    private Outcome done() {
        var status = mode.status();
        return new Outcome(
                ExitCode.OK,
                status.replication() == null
                        ? Termination.succeeded(status.load())
                        : Termination.seen(status.replication()));
    }

    private Outcome stopped() {
        LOG.info("stopped");
        // A Job that is stopped, by an eviction say, is not done; were it to end well, nobody would run it again.
        return new Outcome(
                endless ? ExitCode.OK : ExitCode.RETRYABLE,
                endless ? Termination.succeeded(mode.status().load()) : Termination.stopped());
    }

    private Outcome failed(List<Problem> problems, boolean retryable) {
        for (var each : problems) {
            LOG.error("{}: {}", each.reason(), each.sentence());
        }
        return new Outcome(
                ExitCode.FATAL,
                Termination.failed(problems, retryable, mode.status().load()));
    }
}
