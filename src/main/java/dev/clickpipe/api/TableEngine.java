package dev.clickpipe.api;

/** Engine family of a target table. */
public enum TableEngine {
    /** One live row per key; {@code SELECT … FINAL} equals the source table. */
    ReplacingMergeTree,
    /** Append-only: every change is a row, with its operation and commit time. */
    MergeTree;

    /** True where every change stays a row of its own, so that nothing hides a row written twice. */
    public boolean appendOnly() {
        return this == MergeTree;
    }
}
