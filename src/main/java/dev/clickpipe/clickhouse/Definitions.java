package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.clickpipe.pipe.Pipe;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The recorded definitions of the replicated tables, in the table {@code _clickpipe_tables} that all pipes of a database
 * share. A definition recorded again replaces the former one. Thread-safe; one worker at a time records a given table.
 */
public final class Definitions {
    public static final String TABLE = "_clickpipe_tables";

    private static final ObjectMapper JSON = JsonMapper.builder()
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    private final ClickHouseClient clickHouse;
    private final Pipe pipe;

    public Definitions(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
    }

    /** Creates the table where it is absent. */
    public void create() {
        clickHouse.execute("""
                CREATE TABLE IF NOT EXISTS %s (
                    pipe String COMMENT 'uid of the ClickPipe',
                    pipe_name String,
                    source_schema String,
                    source_table String,
                    target String,
                    definition String COMMENT 'JSON',
                    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3),
                    version UInt64
                ) ENGINE = %s ORDER BY (pipe, source_schema, source_table)
                """.formatted(TABLE, clickHouse.engine("ReplacingMergeTree(version)")));
    }

    /** All tables of this pipe, by source name; empty when nothing is recorded, also when there is no such table yet. */
    public List<TableDefinition> all() {
        if (!exists()) {
            return List.of();
        }
        return clickHouse
                .query(
                        "SELECT definition FROM " + TABLE
                                + " FINAL WHERE pipe = {pipe:String} ORDER BY source_schema, source_table",
                        Map.of("pipe", pipe.uid()))
                .stream()
                .map(row -> read((String) row.get("definition")))
                .toList();
    }

    /** Targets that other pipes write to in this database, with the pipe's name. */
    public Map<String, String> targetsOfOthers() {
        var targets = new HashMap<String, String>();
        if (exists()) {
            clickHouse
                    .query(
                            "SELECT target, pipe_name FROM " + TABLE + " FINAL WHERE pipe != {pipe:String}",
                            Map.of("pipe", pipe.uid()))
                    .forEach(row -> targets.put((String) row.get("target"), (String) row.get("pipe_name")));
        }
        return targets;
    }

    /** Records a definition; it is there for every later {@link #all} when this returns. */
    public void record(TableDefinition definition) {
        // The version counts, rather than tells the time: a clock may go back.
        clickHouse.execute(
                "INSERT INTO %1$s (pipe, pipe_name, source_schema, source_table, target, definition, version) SELECT %2$s, %3$s, %4$s, %5$s, %6$s, %7$s, max(version) + 1 FROM %1$s WHERE pipe = %2$s AND source_schema = %4$s AND source_table = %5$s"
                        .formatted(
                                TABLE,
                                literal(pipe.uid()),
                                literal(pipe.toString()),
                                literal(definition.sourceSchema()),
                                literal(definition.sourceTable()),
                                literal(definition.target()),
                                literal(write(definition))));
    }

    /** Removes one definition. */
    public void forget(TableDefinition definition) {
        clickHouse.execute("ALTER TABLE " + TABLE + " DELETE WHERE pipe = " + literal(pipe.uid())
                + " AND source_schema = " + literal(definition.sourceSchema())
                + " AND source_table = " + literal(definition.sourceTable())
                + " SETTINGS mutations_sync = 2");
    }

    /** Removes this pipe's definitions. */
    public void forget() {
        clickHouse.forget(TABLE, pipe);
    }

    private boolean exists() {
        return clickHouse.exists(TABLE);
    }

    private static String write(TableDefinition definition) {
        try {
            return JSON.writeValueAsString(definition);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static TableDefinition read(String json) {
        try {
            return JSON.readValue(json, TableDefinition.class);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("unreadable definition in " + TABLE + ": " + json, e);
        }
    }
}
