package dev.clickpipe.api;

/** Engine family of a target table. */
public enum TableEngine {
    /** One live row per key; {@code SELECT … FINAL} equals the source table. */
    ReplacingMergeTree,
    /** Append-only: every change is a row, with its operation and commit time. */
    MergeTree,
    /** As MergeTree, but nothing is stored: the rows go through materialized views. */
    Null;

    /** True where every change is a row of its own, so that nothing hides a row written twice. */
    public boolean appendOnly() {
        return this != ReplacingMergeTree;
    }

    /** False where a row that was written is nowhere to be found, and can't be taken back. */
    public boolean stores() {
        return this != Null;
    }
}
