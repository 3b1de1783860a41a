package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.ClampedValues;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Lsn;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;

/** Where change data capture is, for status and metrics. Thread-safe; outlives the runs that transient errors end. */
final class Progress {
    private final Pipe pipe;
    private final MeterRegistry meters;
    private final Clock clock;
    private final LongAdder changes = new LongAdder();
    private final Map<String, LongAdder> tables = new ConcurrentHashMap<>();
    private final AtomicReference<WorkerStatus.State> state = new AtomicReference<>(WorkerStatus.State.Starting);
    private final Timer batchTime;
    private final ClampedValues clamped;

    private volatile List<TableDefinition> definitions = List.of();
    private volatile Source source = Source.UNKNOWN;
    private volatile SourceTables sourceTables = SourceTables.UNKNOWN;
    /** By build. */
    private volatile Map<String, Problem> partitions = Map.of();

    private volatile Lsn confirmed = Lsn.ZERO;
    private volatile Lsn awaited = Lsn.ZERO;
    private volatile Instant pendingSince;
    private volatile Instant lastCommitAt;

    /**
     * What the source says of itself and the slot.
     *
     * @param current its write position
     * @param retained WAL that the slot holds back, in bytes; null when unknown
     * @param safe WAL that may be written before the slot may be lost, in bytes; null when unlimited or unknown
     * @param walStatus of the slot; null when unknown
     */
    record Source(Lsn current, Long retained, Long safe, String walStatus) {
        static final Source UNKNOWN = new Source(Lsn.ZERO, null, null, null);
    }

    Progress(Pipe pipe, MeterRegistry meters, Clock clock) {
        this.pipe = pipe;
        this.meters = meters;
        this.clock = clock;
        this.clamped = new ClampedValues(meters);
        gauge(
                "clickpipe.cdc.lag.bytes",
                "WAL bytes between the confirmed and the source's current position",
                this::lagBytes);
        gauge("clickpipe.cdc.lag.seconds", "Age of the oldest commit read but not yet in ClickHouse", this::lagSeconds);
        gauge(
                "clickpipe.cdc.retained.wal.bytes",
                "WAL bytes that the slot keeps the source from recycling",
                () -> source.retained() == null ? Double.NaN : source.retained());
        batchTime = Timer.builder("clickpipe.cdc.batch")
                .description("Bringing a batch to ClickHouse")
                .register(meters);
    }

    private void gauge(String name, String description, Supplier<Number> value) {
        Gauge.builder(name, value).description(description).register(meters);
    }

    /** A run begins. */
    void starting() {
        state.set(WorkerStatus.State.Starting);
    }

    /** What is recorded. */
    void tables(List<TableDefinition> recorded) {
        definitions = recorded;
    }

    /** A connection is at work. */
    void started(Lsn from) {
        confirmed = from;
        state.set(WorkerStatus.State.Working);
    }

    void stopping() {
        state.set(WorkerStatus.State.Stopping);
    }

    void source(Source seen) {
        source = seen;
    }

    void source(SourceTables seen) {
        sourceTables = seen;
    }

    /** What DDL on partitions has done, by build. */
    void partitions(Map<String, Problem> noticed) {
        partitions = noticed;
    }

    /** @param lsn something is due when everything before it is confirmed; {@link Lsn#ZERO} when nothing is waited for */
    void awaited(Lsn lsn) {
        awaited = lsn;
    }

    /** Whether something is due as soon as a greater position is confirmed. */
    boolean isAwaiting() {
        return awaited.compareTo(confirmed) > 0;
    }

    /** A change of a mapped table was read. */
    void changed(Target target) {
        changes.increment();
        table(target.build()).increment();
    }

    /** Dates and times of these columns became the nearest end of the target's range. */
    void clamped(Target target, Collection<String> columns, long values) {
        clamped.add(target.source(), columns, values);
    }

    /** A commit was read, of whatever tables. */
    void committed(Instant at) {
        lastCommitAt = at;
    }

    /**
     * @param lsn all commits before this are in ClickHouse, and Postgres was told
     * @param oldestPending when the oldest commit that was read but is not in ClickHouse was made; null when there is none
     */
    void confirmed(Lsn lsn, Instant oldestPending) {
        confirmed = lsn;
        pendingSince = oldestPending;
    }

    void pending(Instant oldestPending) {
        pendingSince = oldestPending;
    }

    Lsn confirmed() {
        return confirmed;
    }

    /** Whether something was read that is not in ClickHouse yet. */
    boolean isPending() {
        return pendingSince != null;
    }

    void applied(Batch batch, Duration took) {
        batchTime.record(took);
        meters.counter("clickpipe.cdc.rows").increment(batch.rows());
        meters.counter("clickpipe.cdc.bytes").increment(batch.bytes());
    }

    /** Values that Postgres had left out were found there, or nowhere. */
    void unchanged(String where, long values) {
        if (values > 0) {
            meters.counter("clickpipe.cdc.unchanged.values", "found", where).increment(values);
        }
    }

    private long lagBytes() {
        return source.current().since(confirmed);
    }

    private long lagSeconds() {
        var since = pendingSince;
        return since == null
                ? 0
                : Math.max(0, Duration.between(since, clock.instant()).toSeconds());
    }

    private LongAdder table(String build) {
        return tables.computeIfAbsent(build, name -> new LongAdder());
    }

    WorkerStatus status() {
        return new WorkerStatus(
                "cdc",
                state.get(),
                null,
                null,
                new WorkerStatus.Replication(
                        pipe.slot(),
                        pipe.publication(),
                        confirmed.equals(Lsn.ZERO) ? null : confirmed.toString(),
                        source.current().equals(Lsn.ZERO)
                                ? null
                                : source.current().toString(),
                        lagBytes(),
                        lagSeconds(),
                        source.retained(),
                        source.safe(),
                        source.walStatus(),
                        lastCommitAt,
                        changes.sum()),
                definitions.stream().map(this::status).toList());
    }

    private WorkerStatus.Table status(TableDefinition definition) {
        return new WorkerStatus.Table(
                definition.source(),
                definition.target(),
                0,
                0,
                table(definition.build()).sum(),
                definition.loaded() || !pipe.settings().replicationMode().loads(),
                definition.replaces() ? definition.replacement().live() : null,
                definition.failure(),
                note(definition));
    }

    private String note(TableDefinition definition) {
        var notes = new ArrayList<String>();
        var renamed = sourceTables.warnings().get(definition.build());
        if (renamed != null) {
            notes.add(renamed.sentence());
        }
        var moved = partitions.get(definition.build());
        if (moved != null) {
            notes.add(moved.sentence());
        }
        if (definition.publishing() != null
                && definition.publishing().publication().equals(pipe.insertOnlyPublication())) {
            notes.add(
                    "It has no replica identity: only INSERT and TRUNCATE are replicated, UPDATE and DELETE are not.");
        }
        var beyond = clamped.note(definition.source());
        if (beyond != null) {
            notes.add(beyond);
        }
        return notes.isEmpty() ? null : String.join(" ", notes);
    }
}
