package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What a pipe does over its life. */
public enum ReplicationMode {
    /** Initial load, then change data capture. */
    @JsonProperty("cdc")
    CDC,
    /** Initial load only; the pipe ends in {@link Phase#Completed}. */
    @JsonProperty("snapshot")
    SNAPSHOT,
    /** Changes only, from the slot's position; what was there before is not read. */
    @JsonProperty("cdc_only")
    CDC_ONLY;

    public boolean loads() {
        return this != CDC_ONLY;
    }

    public boolean streams() {
        return this != SNAPSHOT;
    }
}
