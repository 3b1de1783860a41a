package dev.clickpipe.api;

/** Where a pipe is in its life, with the meanings of ClickHouse Cloud's Postgres ClickPipes. */
public enum Phase {
    /** The pipe is registered and its configuration rendered; the setup pod is being scheduled. */
    Provisioning,
    /** Source and destination are checked; target tables, publication and slot are made. */
    Setup,
    /** The initial load runs: parallel COPY, no logical decoding. */
    Snapshot,
    /** Changes are replicated as they are committed. */
    Running,
    /** A snapshot-only pipe has finished. */
    Completed,
    /** An error that no retry cures; the message says which and what to do. */
    Failed
}
