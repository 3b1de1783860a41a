package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TableDefinition.Streaming;
import dev.clickpipe.pipe.Pipe;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The recorded definitions of the target tables, in the table {@code _clickpipe_tables} that all pipes of a database share.
 * A definition has three parts, each with one writer, so that run modes at work side by side never overwrite each other: the
 * table itself is Setup's (and whoever swaps), {@link Streaming} the stream's, {@link Loading} the load's. Thread-safe.
 */
public final class Definitions {
    public static final String TABLE = "_clickpipe_tables";

    private static final String DEFINITION = "definition";
    private static final String STREAMING = "streaming";
    private static final String LOADING = "loading";

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
                    build String COMMENT 'stands for one making of a target table',
                    part LowCardinality(String) COMMENT 'definition, streaming or loading; each has one writer',
                    source String,
                    target String,
                    content String COMMENT 'JSON',
                    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3),
                    version UInt64
                ) ENGINE = %s ORDER BY (pipe, build, part)
                """.formatted(TABLE, clickHouse.engine("ReplacingMergeTree(version)")));
    }

    /** All of this pipe, by source name; empty when nothing is recorded, also when there is no such table yet. */
    public List<TableDefinition> all() {
        if (!clickHouse.exists(TABLE)) {
            return List.of();
        }
        var parts = new HashMap<String, Map<String, String>>();
        clickHouse
                .queryState(
                        "SELECT build, part, content FROM " + TABLE + " FINAL WHERE pipe = {pipe:String}",
                        Map.of("pipe", pipe.uid()))
                .forEach(row -> parts.computeIfAbsent((String) row.get("build"), build -> new HashMap<>())
                        .put((String) row.get("part"), (String) row.get("content")));
        return parts.values().stream()
                .filter(of -> of.containsKey(DEFINITION)) // the others may come late, of a table that is forgotten
                .map(of -> read(of.get(DEFINITION), TableDefinition.class)
                        .withStreaming(read(of.get(STREAMING), Streaming.class))
                        .withLoading(read(of.get(LOADING), Loading.class)))
                .sorted(Comparator.comparing(TableDefinition::source).thenComparing(TableDefinition::target))
                .toList();
    }

    /** Targets that other pipes write to in this database, with the pipe's name. */
    public Map<String, String> targetsOfOthers() {
        var targets = new HashMap<String, String>();
        if (clickHouse.exists(TABLE)) {
            clickHouse
                    .queryState(
                            "SELECT target, pipe_name FROM " + TABLE + " FINAL WHERE pipe != {pipe:String} AND part = '"
                                    + DEFINITION + "'",
                            Map.of("pipe", pipe.uid()))
                    .forEach(row -> targets.put((String) row.get("target"), (String) row.get("pipe_name")));
        }
        return targets;
    }

    /** Records a definition, without its two other parts; it is there for every later {@link #all} when this returns. */
    public void record(TableDefinition definition) {
        write(definition, DEFINITION, definition.withStreaming(null).withLoading(null));
    }

    /** Records how the stream writes a table; likewise. */
    public TableDefinition record(TableDefinition definition, Streaming streaming) {
        write(definition, STREAMING, streaming);
        return definition.withStreaming(streaming);
    }

    /** Records how far the load is; likewise. */
    public TableDefinition record(TableDefinition definition, Loading loading) {
        write(definition, LOADING, loading);
        return definition.withLoading(loading);
    }

    /** Removes one definition, all of it. */
    public void forget(TableDefinition definition) {
        clickHouse.execute("ALTER TABLE " + TABLE + " DELETE WHERE pipe = " + literal(pipe.uid()) + " AND build = "
                + literal(definition.build()) + " SETTINGS mutations_sync = 2");
    }

    /** Removes this pipe's definitions. */
    public void forget() {
        clickHouse.forget(TABLE, pipe);
    }

    private void write(TableDefinition definition, String part, Object content) {
        // The version counts, rather than tells the time: a clock may go back.
        clickHouse.execute("""
                INSERT INTO %1$s (pipe, pipe_name, build, part, source, target, content, version)
                SELECT %2$s, %3$s, %4$s, %5$s, %6$s, %7$s, %8$s, max(version) + 1 FROM %1$s
                WHERE pipe = %2$s AND build = %4$s AND part = %5$s
                """.formatted(
                        TABLE,
                        literal(pipe.uid()),
                        literal(pipe.toString()),
                        literal(definition.build()),
                        literal(part),
                        literal(definition.source()),
                        literal(definition.target()),
                        literal(json(content))));
    }

    private static String json(Object content) {
        try {
            return JSON.writeValueAsString(content);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Null for null. */
    private static <T> T read(String json, Class<T> type) {
        try {
            return json == null ? null : JSON.readValue(json, type);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("unreadable definition in " + TABLE + ": " + json, e);
        }
    }
}
