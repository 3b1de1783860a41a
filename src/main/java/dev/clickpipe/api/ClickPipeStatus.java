package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.crd.generator.annotation.PrinterColumn;
import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;

/** What is. Derived, and rebuilt by the operator when lost. Times are RFC 3339 in UTC, whole seconds. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ClickPipeStatus(
        // A phase that only a newer operator knows reads as null here, so that its status is rebuilt after a downgrade.
        @PrinterColumn(name = "Phase") @JsonFormat(with = JsonFormat.Feature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
        Phase phase,

        @JsonPropertyDescription("When the phase last changed.")
        String phaseSince,

        @PrinterColumn(name = "Message", priority = 1)
        @JsonPropertyDescription("One sentence for people: what is going on, or what is wrong and what to do.")
        String message,

        @JsonPropertyDescription("The generation of the spec that this status describes.")
        Long observedGeneration,

        @JsonPropertyDescription(
                "Stands for the part of the spec that Setup last accepted. Another value than the spec's own means that Setup is due.")
        String observedSetup,

        List<Condition> conditions,

        @PrinterColumn(name = "Source", priority = 1) @JsonPropertyDescription("host:port/database")
        String source,

        @PrinterColumn(name = "Destination", priority = 1) @JsonPropertyDescription("host:port/database")
        String destination,

        InitialLoad initialLoad,
        List<Table> tables,
        Replication replication) {

    /** Progress of the initial load; kept when it is done. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record InitialLoad(
            Integer tablesTotal,
            Integer tablesDone,

            @PrinterColumn(name = "Tables") @JsonPropertyDescription("tablesDone/tablesTotal, for kubectl get.")
            String tables,

            Long rows,

            @JsonPropertyDescription("Bytes of heap read so far.")
            Long bytes,

            Integer percent,

            @PrinterColumn(name = "Progress")
            @JsonPropertyDescription("Percent, and while loading the rate and the time left, for kubectl get.")
            String progress,

            String startedAt,
            String completedAt) {}

    /** Where one table is. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Table(
            @JsonPropertyDescription("schema.table") String source,
            String target,

            @JsonPropertyDescription("Pending, Snapshot, Running, Completed or Failed.")
            @JsonFormat(with = JsonFormat.Feature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
            TablePhase phase,

            Integer partitionsDone,
            Integer partitionsTotal,

            @JsonPropertyDescription("Rows of the initial load.")
            Long rows,

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
            String slot,
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

            String lastCommitAt,

            @JsonPropertyDescription("Row changes replicated since the worker started.")
            Long rows) {}
}
