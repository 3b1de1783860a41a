package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerProcessTest {
    private static final Problem DOWN = new Problem("CannotConnect", "postgres x", "refused", "start it");

    private final Stop stop = new Stop();
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;
    private volatile int tries;

    /** A mode that does this, and says of itself what the test sets. */
    private interface Work {
        void run(int tries) throws InterruptedException;
    }

    private Mode mode(Work work, Duration patience) {
        return new Mode() {
            @Override
            public void run(Stop ignored) throws InterruptedException {
                tries++;
                work.run(tries);
            }

            @Override
            public WorkerStatus status() {
                return new WorkerStatus("cdc", state, null, null, null, List.of());
            }

            @Override
            public Optional<Duration> patience() {
                return Optional.ofNullable(patience);
            }
        };
    }

    @Test
    void doneIsDone() {
        var outcome = new WorkerProcess(mode(tries -> {}, null), false, null, stop).run();

        assertThat(outcome.exitCode()).isEqualTo(ExitCode.OK);
        assertThat(outcome.termination().reason()).isEqualTo("Succeeded");
    }

    @Test
    void whatMayPassIsTriedAgainAndSeenUntilItWorks() throws Exception {
        var process = new WorkerProcess(
                mode(
                        tries -> {
                            if (tries == 1) {
                                throw PipeException.retryable(DOWN, null);
                            }
                            stop.await(Duration.ofMinutes(1));
                        },
                        null),
                true,
                null,
                stop);
        var run = new FutureTask<>(process::run);
        Thread.ofVirtual().start(run);

        await().until(() -> process.status().problem() != null);
        assertThat(process.status().state()).isEqualTo(WorkerStatus.State.Retrying);
        await().until(() -> tries == 2);
        assertThat(process.status().problem())
                .as("it has yet to reach its servers")
                .isEqualTo(DOWN);
        state = WorkerStatus.State.Working;
        assertThat(process.status().problem()).isNull();
        assertThat(process.status().state()).isEqualTo(WorkerStatus.State.Working);

        stop.request();
        assertThat(run.get().exitCode()).isEqualTo(ExitCode.OK);
        assertThat(process.status().state()).isEqualTo(WorkerStatus.State.Stopping);
    }

    @Test
    void whatDoesNotPassIsSaidAtOnce() {
        var outcome = new WorkerProcess(
                        mode(
                                tries -> {
                                    throw PipeException.fatal(DOWN);
                                },
                                null),
                        true,
                        null,
                        stop)
                .run();

        assertThat(outcome.exitCode()).isEqualTo(ExitCode.FATAL);
        assertThat(outcome.termination().problems()).containsExactly(DOWN);
        assertThat(outcome.termination().retryable()).isFalse();
        assertThat(tries).isEqualTo(1);
    }

    @Test
    void whatAPersonHasToMendIsTriedAgainWhereThatIsWanted() throws Exception {
        var process = new WorkerProcess(
                mode(
                        tries -> {
                            if (tries <= 2) {
                                throw tries == 1 ? PipeException.fatal(DOWN) : new IllegalStateException("oops");
                            }
                            stop.await(Duration.ofMinutes(1));
                        },
                        null),
                true,
                Duration.ofMillis(300),
                stop);
        var run = new FutureTask<>(process::run);
        Thread.ofVirtual().start(run);

        await().until(() -> process.status().problem() != null);
        assertThat(process.status().state()).isEqualTo(WorkerStatus.State.Failed);
        await().until(() -> tries == 3);
        assertThat(process.status().state())
                .as("it has yet to reach its servers")
                .isEqualTo(WorkerStatus.State.Failed);
        state = WorkerStatus.State.Working;
        assertThat(process.status().problem()).isNull();
        assertThat(process.status().state()).isEqualTo(WorkerStatus.State.Working);

        stop.request();
        assertThat(run.get().exitCode()).isEqualTo(ExitCode.OK);
    }

    @Test
    void patienceHasAnEnd() {
        var outcome = new WorkerProcess(
                        mode(
                                tries -> {
                                    throw PipeException.retryable(DOWN, null);
                                },
                                Duration.ofMillis(1)),
                        false,
                        null,
                        stop)
                .run();

        assertThat(outcome.exitCode()).isEqualTo(ExitCode.FATAL);
        assertThat(outcome.termination().retryable()).isTrue();
    }

    @Test
    void aMistakeInTheProgramIsNoEndlessLoop() {
        var outcome = new WorkerProcess(
                        mode(
                                tries -> {
                                    throw new IllegalStateException("oops");
                                },
                                null),
                        true,
                        null,
                        stop)
                .run();

        assertThat(outcome.exitCode()).isEqualTo(ExitCode.FATAL);
        assertThat(outcome.termination().reason()).isEqualTo("InternalError");
    }

    @Test
    void aJobThatIsStoppedIsNotDone() {
        stop.request();

        var outcome = new WorkerProcess(mode(tries -> {}, null), false, null, stop).run();

        assertThat(outcome.exitCode()).isEqualTo(ExitCode.RETRYABLE);
        assertThat(outcome.termination().reason()).isEqualTo("Stopped");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3, 5, 1000})
    void pausesGrowUpToTwentySeconds(int failures) {
        double expected = Math.min(20, Math.pow(2, failures));

        assertThat(WorkerProcess.pause(failures))
                .isBetween(Duration.ofMillis((long) (expected * 749)), Duration.ofMillis((long)
                        Math.min(20_000, expected * 1251)));
    }
}
