package dev.clickpipe.pipe;

/** A run mode of the worker: setup, snapshot, cdc or teardown. The runner calls {@link #run} and answers for its outcome. */
public interface Mode {

    /**
     * Does the work to its end, or returns soon after a stop was requested (Kubernetes gives the process some seconds).
     * After a retryable {@link PipeException} the runner waits and calls it again: it takes up where it was. After a fatal
     * one the worker exits.
     *
     * @throws InterruptedException the stop took too long and the runner interrupts
     */
    void run(Stop stop) throws InterruptedException;

    /** What it is doing, for {@code GET /status}; called from other threads, also before {@link #run}. */
    WorkerStatus status();
}
