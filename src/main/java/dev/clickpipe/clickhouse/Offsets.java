package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.postgres.Lsn;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How far the change stream has come, in the table {@code _clickpipe_offsets} that all pipes of a database share. The offset
 * is recorded after the rows are stored and before Postgres is told, so that it is never behind the slot: a slot ahead of it was
 * moved or made again by someone else, and what it skipped is missing. Thread-safe; one worker at a time records.
 */
public final class Offsets {
    public static final String TABLE = "_clickpipe_offsets";

    private final ClickHouseClient clickHouse;
    private final Pipe pipe;

    /**
     * @param slot the replication slot it was read from
     * @param systemIdentifier the source's identity (PostgreSQL documentation, 54.4, IDENTIFY_SYSTEM)
     * @param timeline of the source's WAL that the LSN belongs to; empty when not known
     * @param lsn all commits before this are in ClickHouse
     */
    public record Offset(String slot, String systemIdentifier, String timeline, Lsn lsn) {
        /** The same, when the stream has come as far as this. */
        public Offset at(Lsn later) {
            return new Offset(slot, systemIdentifier, timeline, later);
        }
    }

    public Offsets(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
    }

    /** Creates the table where it is absent. */
    public void create() {
        clickHouse.execute("""
                CREATE TABLE IF NOT EXISTS %s (
                    pipe String COMMENT 'uid of the ClickPipe',
                    pipe_name String,
                    slot String,
                    system_identifier String,
                    timeline String COMMENT 'of the source, number@begin; empty: not known',
                    lsn String COMMENT 'all commits before this are in ClickHouse',
                    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3),
                    position UInt64 COMMENT 'lsn as a number'
                ) ENGINE = %s ORDER BY pipe
                """.formatted(TABLE, clickHouse.engine("ReplacingMergeTree(position)")));
        if (!hasTimeline()) { // a table of an earlier version
            clickHouse.execute(
                    "ALTER TABLE " + TABLE
                            + " ADD COLUMN IF NOT EXISTS timeline String COMMENT 'of the source, number@begin; empty: not known'");
        }
    }

    private boolean hasTimeline() {
        return !clickHouse
                .queryState(
                        "SELECT 1 FROM system.columns WHERE database = currentDatabase() AND table = {table:String} AND name = 'timeline'",
                        Map.of("table", TABLE))
                .isEmpty();
    }

    /** What was recorded last; empty when nothing is, also when there is no such table yet. */
    public Optional<Offset> read() {
        if (!clickHouse.exists(TABLE)) {
            return Optional.empty();
        }
        return clickHouse
                .queryState(
                        "SELECT slot, system_identifier, " + (hasTimeline() ? "" : "'' AS ") + "timeline, lsn FROM "
                                + TABLE + " FINAL WHERE pipe = {pipe:String}",
                        Map.of("pipe", pipe.uid()))
                .stream()
                .map(row -> new Offset(
                        (String) row.get("slot"),
                        (String) row.get("system_identifier"),
                        (String) row.get("timeline"),
                        Lsn.parse((String) row.get("lsn"))))
                .findFirst();
    }

    /**
     * Records an offset; it is there for every later {@link #read} when this returns, unless a greater one is recorded already; of
     * equal ones the last counts.
     * To go back, {@link #forget} first.
     */
    public void record(Offset offset) {
        clickHouse.execute(
                "INSERT INTO %s (pipe, pipe_name, slot, system_identifier, timeline, lsn, position) VALUES (%s, %s, %s, %s, %s, %s, %s)"
                        .formatted(
                                TABLE,
                                literal(pipe.uid()),
                                literal(pipe.toString()),
                                literal(offset.slot()),
                                literal(offset.systemIdentifier()),
                                literal(offset.timeline()),
                                literal(offset.lsn().toString()),
                                Long.toUnsignedString(offset.lsn().value())));
    }

    /**
     * Behind the last commit of which rows are stored, as its change or as part of a load: an insert may have been confirmed and its
     * offset not recorded. Reads a column of each target.
     */
    public Lsn stored(List<TableDefinition> builds) {
        return builds.stream()
                .filter(build -> clickHouse.exists(build.target()))
                .map(build -> clickHouse
                        .query(
                                "SELECT toString(toUInt64(bitShiftRight(max(" + SystemColumns.VERSION
                                        + "), 64))) AS lsn FROM " + ClickHouseClient.identifier(build.target()),
                                Map.of())
                        .getFirst()
                        .get("lsn"))
                .map(lsn -> new Lsn(Long.parseUnsignedLong((String) lsn) + 1))
                .max(Comparator.naturalOrder())
                .orElse(Lsn.ZERO);
    }

    /** Removes this pipe's offset. */
    public void forget() {
        clickHouse.forget(TABLE, pipe);
    }
}
