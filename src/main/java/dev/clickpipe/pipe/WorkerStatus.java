package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.time.Instant;
import java.util.List;

/**
 * What a worker says of itself at {@code GET /status}, polled by the operator.
 *
 * @param mode setup, snapshot, cdc, resync, inspect or teardown
 * @param state what it is doing now
 * @param problem what keeps it from its work at the moment; null when nothing does
 * @param load progress of the initial load; null in other modes
 * @param replication position of change data capture; null in other modes
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record WorkerStatus(
        String mode, State state, Problem problem, Load load, Replication replication, List<Table> tables) {

    public enum State {
        Starting,
        Working,
        /** Something transient is wrong, see the problem; it retries for ever. */
        Retrying,
        /** Asked to stop, finishing. */
        Stopping,
        /** Something is wrong that a person has to mend, see the problem; it looks again now and then whether it is. */
        Failed
    }

    /**
     * @param replacements tables among them that are built beside a live one, and then swapped
     * @param bytes bytes of heap read so far
     * @param bytesTotal bytes of heap there were when the load was planned
     * @param rowsPerSecond over the last seconds
     * @param secondsLeft estimated; null while unknown
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Load(
            int tablesDone,
            int tablesTotal,
            int replacements,
            long rows,
            long bytes,
            long bytesTotal,
            int percent,
            long rowsPerSecond,
            Long secondsLeft) {}

    /**
     * @param confirmedLsn all commits up to here are in ClickHouse and acknowledged to Postgres; {@code X/Y}
     * @param currentLsn the source's write position when last seen
     * @param lagBytes WAL between the two
     * @param lagSeconds age of the oldest commit read but not yet in ClickHouse; 0 when caught up
     * @param retainedWalBytes WAL the slot keeps the source from recycling; null when unknown
     * @param safeWalBytes WAL that may still be written before the slot may be lost; null when unlimited or unknown
     * @param walStatus of the slot (PostgreSQL documentation, 54.19 pg_replication_slots); null when unknown
     * @param changes row changes replicated since this worker started
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Replication(
            String slot,
            String publication,
            String confirmedLsn,
            String currentLsn,
            long lagBytes,
            long lagSeconds,
            Long retainedWalBytes,
            Long safeWalBytes,
            String walStatus,
            Instant lastCommitAt,
            long changes) {}

    /**
     * @param replaces the live table whose place this target takes when it is loaded; null for a live one
     * @param problem why it is not replicated; null when it is
     * @param note what to know of it though it is replicated; null: nothing
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Table(
            String source,
            String target,
            int chunksDone,
            int chunksTotal,
            long rows,
            boolean loaded,
            String replaces,
            Problem problem,
            String note) {

        public Table(
                String source,
                String target,
                int chunksDone,
                int chunksTotal,
                long rows,
                boolean loaded,
                String replaces,
                Problem problem) {
            this(source, target, chunksDone, chunksTotal, rows, loaded, replaces, problem, null);
        }
    }
}
