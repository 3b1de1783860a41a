package dev.clickpipe.api;

/** Where a pipe is in its life, with the meanings of ClickHouse Cloud's Postgres ClickPipes. */
public enum Phase {
    /** The pipe is registered and its configuration rendered; the setup pod is being scheduled. */
    Provisioning,
    /** Source and destination are checked; target tables, publication and slot are made. */
    Setup,
    /** Tables are loaded by parallel COPY, those that were added and those that are built anew as well; changes are followed meanwhile. */
    Snapshot,
    /** Changes are replicated as they are committed. */
    Running,
    /** The workers are stopping; what they had read is in ClickHouse, or will be read again. */
    Pausing,
    /** Nothing is read; the slot stays, and the WAL it retains is shown. */
    Paused,
    /** Tables are being removed from the pipe. */
    Modifying,
    /** Tables that were built anew are taking the places of the live ones. */
    Resync,
    /** A snapshot-only pipe has finished. */
    Completed,
    /** An error that no retry cures; the message says which and what to do. */
    Failed
}
