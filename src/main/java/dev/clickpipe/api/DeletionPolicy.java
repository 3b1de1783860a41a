package dev.clickpipe.api;

/** What becomes of the target tables when the pipe is deleted. A slot and publication the pipe made always go. */
public enum DeletionPolicy {
    Retain,
    Delete
}
