package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.crd.generator.annotation.PrinterColumn;
import io.fabric8.crd.generator.annotation.SelectableField;
import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;

/** What is. Derived, and rebuilt by the operator when lost. Times are RFC 3339 in UTC, whole seconds. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ClickPipeStatus(
        // A phase that only a newer operator knows reads as null here, so that its status is rebuilt after a downgrade.
        @PrinterColumn(name = "Phase")
        @SelectableField
        @JsonFormat(with = JsonFormat.Feature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
        @JsonPropertyDescription("Where the pipe is in its life: see docs/lifecycle.md.")
        Phase phase,

        @JsonPropertyDescription("When the phase last changed.")
        String phaseSince,

        @PrinterColumn(name = "Message", priority = 1)
        @JsonPropertyDescription("One sentence for people: what is going on, or what is wrong and what to do.")
        String message,

        @JsonPropertyDescription("The generation of the spec that this status describes.")
        Long observedGeneration,

        @JsonPropertyDescription(
                "Stands for the part of the spec that Setup was started for last, and whether it accepted it. When it is not that of the spec any more, Setup is due.")
        String observedSetup,

        @JsonPropertyDescription(
                "The last spec.resync that was carried out to its end; the one that the pipe was created with counts.")
        String observedResync,

        @JsonPropertyDescription(
                "Ready: the pipe does what it is for. Reconciling: it is on its way there. Stalled: it waits for a person. InitialLoadComplete: every table has been loaded. SlotAtRisk: Postgres is about to drop WAL that the slot still needs.")
        List<Condition> conditions,

        @PrinterColumn(name = "Source", priority = 1) @JsonPropertyDescription("host:port/database")
        String source,

        @PrinterColumn(name = "Destination", priority = 1) @JsonPropertyDescription("host:port/database")
        String destination,

        @JsonPropertyDescription("Progress of the initial load; kept when it is done.")
        InitialLoad initialLoad,

        @JsonPropertyDescription("Where each table is.") List<Table> tables,

        @JsonPropertyDescription("Where change data capture is.")
        Replication replication) {

    /** Progress of the initial load; kept when it is done. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record InitialLoad(
            @JsonPropertyDescription("Tables to load.") Integer tablesTotal,
            @JsonPropertyDescription("Tables loaded.") Integer tablesDone,

            @PrinterColumn(name = "Tables") @JsonPropertyDescription("tablesDone/tablesTotal, for kubectl get.")
            String tables,

            @JsonPropertyDescription("Rows loaded so far.") Long rows,

            @JsonPropertyDescription("Bytes of heap read so far.")
            Long bytes,

            @JsonPropertyDescription("Bytes read so far of the bytes there were when the load was planned, in percent.")
            Integer percent,

            @PrinterColumn(name = "Progress")
            @JsonPropertyDescription("Percent, and while loading the rate and the time left, for kubectl get.")
            String progress,

            @JsonPropertyDescription("When the load began.") String startedAt,

            @JsonPropertyDescription("When the last table was loaded.")
            String completedAt) {}

    /** Where one table is. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Table(
            @JsonPropertyDescription("schema.table") String source,
            @JsonPropertyDescription("The target table.") String target,

            @JsonPropertyDescription("Pending, Snapshot, Running, Completed or Failed.")
            @JsonFormat(with = JsonFormat.Feature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
            TablePhase phase,

            @JsonPropertyDescription("Chunks of the initial load that are in ClickHouse.")
            Integer partitionsDone,

            @JsonPropertyDescription("Chunks of the initial load.")
            Integer partitionsTotal,

            @JsonPropertyDescription("Rows of the initial load.")
            Long rows,

            @JsonPropertyDescription(
                    "What is wrong with this table and what to do, or what to know of it; absent when there is nothing.")
            String message) {}

    public enum TablePhase {
        Pending,
        Snapshot,
        Running,
        Completed,
        Failed
    }

    /** Where change data capture is. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Replication(
            @JsonPropertyDescription("The replication slot that is read.")
            String slot,

            @JsonPropertyDescription("The publication that is read.")
            String publication,

            @JsonPropertyDescription("All commits up to here are in ClickHouse and acknowledged to Postgres.")
            String confirmedLsn,

            @JsonPropertyDescription("WAL bytes between confirmedLsn and the source's current position.")
            Long lagBytes,

            @JsonPropertyDescription("Age of the oldest commit read but not yet confirmed; 0 when caught up.")
            Long lagSeconds,

            @PrinterColumn(name = "Lag") @JsonPropertyDescription("Lag as people read it, for kubectl get.")
            String lag,

            @JsonPropertyDescription("WAL bytes the slot keeps the source from recycling.")
            Long retainedWalBytes,

            @JsonPropertyDescription(
                    "WAL bytes that may still be written before the slot is at risk of being lost, by max_slot_wal_keep_size; absent when that is unlimited.")
            Long safeWalBytes,

            @JsonPropertyDescription("The slot's wal_status: reserved, extended, unreserved or lost.")
            String walStatus,

            @JsonPropertyDescription("Commit time of the last transaction that is in ClickHouse.")
            String lastCommitAt,

            @JsonPropertyDescription("Row changes replicated since the worker started.")
            Long rows) {}
}
