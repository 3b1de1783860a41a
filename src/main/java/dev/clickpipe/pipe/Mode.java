package dev.clickpipe.pipe;

import java.time.Duration;
import java.util.Optional;

/** A run mode of the worker, such as setup or cdc. The runner calls {@link #run} and answers for its outcome. */
public interface Mode {

    /**
     * Does the work to its end, or returns soon after a stop was requested (Kubernetes gives the process some seconds).
     * After a retryable {@link PipeException} the runner waits and calls it again: it takes up where it was. After a fatal
     * one the worker exits.
     *
     * @throws InterruptedException the stop took too long and the runner interrupts
     */
    void run(Stop stop) throws InterruptedException;

    /** How long retryable failures are retried before the worker gives up; empty: for ever. */
    default Optional<Duration> patience() {
        return Optional.empty();
    }

    /**
     * What it is doing, for {@code GET /status}; called from other threads, also before {@link #run}. {@code Starting} from the
     * beginning of a run until it has what it needs of both servers, then {@code Working}: that ends the report of a problem
     * which made the runner call it again.
     */
    WorkerStatus status();
}
