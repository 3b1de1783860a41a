package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** How the source is read. Names and meanings are those of ClickHouse Cloud's API. */
@ValidationRule(
        value =
                "!has(self.replicationSlotName) || self.replicationSlotName == '' || self.replicationMode == 'cdc_only'",
        fieldPath = ".replicationSlotName",
        message =
                "a slot of yours needs replicationMode cdc_only: an initial load must begin with a slot the pipe makes itself")
public record PostgresSettings(
        @Default("cdc")
        @JsonPropertyDescription(
                "cdc: initial load, then changes. snapshot: initial load only. cdc_only: changes only, from the slot's position on; what was there before is not read.")
        ReplicationMode replicationMode,

        @Size(max = 63)
        @JsonPropertyDescription(
                "A publication of yours that contains every mapped table; the pipe never alters or drops it. Empty: the pipe makes its own, and drops it when the pipe is deleted.")
        String publicationName,

        @Size(max = 63)
        @Pattern("^[a-z0-9_]*$")
        @JsonPropertyDescription(
                "A slot of yours with plugin pgoutput, for cdc_only; the pipe never drops it. Empty: the pipe makes its own, and drops it when the pipe is deleted.")
        String replicationSlotName,

        @Default("5")
        @Min(0)
        @Max(86400)
        @JsonPropertyDescription(
                "A batch is sent to ClickHouse at the latest this many seconds after its first change was read. 0: at once, which makes many small inserts.")
        Integer syncIntervalSeconds,

        @Default("100000")
        @Min(1)
        @Max(10000000)
        @JsonPropertyDescription("A batch is sent when it holds this many changes.")
        Integer pullBatchSize,

        @Default("4")
        @Min(1)
        @Max(64)
        @JsonPropertyDescription("Connections that read one table at the same time in the initial load.")
        Integer initialLoadParallelism,

        @Default("100000")
        @Min(1000)
        @Max(100000000)
        @JsonPropertyDescription(
                "Rows in one chunk of the initial load, estimated from the table's statistics. A chunk is what is read again after a crash.")
        Integer snapshotNumRowsPerPartition,

        @Default("1")
        @Min(1)
        @Max(64)
        @JsonPropertyDescription(
                "Tables read at the same time in the initial load. Multiplies with initialLoadParallelism.")
        Integer snapshotNumberOfParallelTables,

        @Default("true")
        @JsonPropertyDescription(
                "true: NULL stays NULL in Nullable columns. false: NULL becomes the type's default value.")
        Boolean allowNullableColumns,

        @Default("true")
        @JsonPropertyDescription(
                "true: FINAL hides deleted rows and merges may remove them. false: they stay, with _clickpipe_is_deleted = 1.")
        Boolean deleteOnMerge,

        @Default("true")
        @JsonPropertyDescription(
                "Make the slot a failover slot where the server can (Postgres 17 and later, not on a standby).")
        Boolean enableFailoverSlots) {

    public static final PostgresSettings DEFAULT =
            new PostgresSettings(null, null, null, null, null, null, null, null, null, null, null);

    public PostgresSettings {
        replicationMode = replicationMode == null ? ReplicationMode.CDC : replicationMode;
        publicationName = publicationName == null ? "" : publicationName;
        replicationSlotName = replicationSlotName == null ? "" : replicationSlotName;
        syncIntervalSeconds = syncIntervalSeconds == null ? 5 : syncIntervalSeconds;
        pullBatchSize = pullBatchSize == null ? 100_000 : pullBatchSize;
        initialLoadParallelism = initialLoadParallelism == null ? 4 : initialLoadParallelism;
        snapshotNumRowsPerPartition = snapshotNumRowsPerPartition == null ? 100_000 : snapshotNumRowsPerPartition;
        snapshotNumberOfParallelTables = snapshotNumberOfParallelTables == null ? 1 : snapshotNumberOfParallelTables;
        allowNullableColumns = allowNullableColumns == null || allowNullableColumns;
        deleteOnMerge = deleteOnMerge == null || deleteOnMerge;
        enableFailoverSlots = enableFailoverSlots == null || enableFailoverSlots;
    }

    /** False where the user named a publication: it is theirs, the pipe neither alters nor drops it. */
    public boolean ownsPublication() {
        return publicationName.isEmpty();
    }

    /** False where the user named a slot: it is theirs, the pipe never drops it. */
    public boolean ownsSlot() {
        return replicationSlotName.isEmpty();
    }
}
