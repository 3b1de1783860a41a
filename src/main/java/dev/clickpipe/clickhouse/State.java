package dev.clickpipe.clickhouse;

import dev.clickpipe.pipe.Pipe;
import java.util.Map;

/**
 * What the pipes of a database know: tables named {@code _clickpipe_*}, shared by all of them, each with a column {@code pipe}
 * that holds the pipe's uid.
 */
public final class State {
    public static final String PREFIX = "_clickpipe_";

    private State() {}

    /** Removes all that a pipe knows, and every table of state in which no other pipe has a row. */
    public static void forget(ClickHouseClient clickHouse, Pipe pipe) {
        clickHouse
                .query("""
                        SELECT table FROM system.columns
                        WHERE database = {database:String} AND startsWith(table, {prefix:String}) AND name = 'pipe'
                        """, Map.of("database", clickHouse.database(), "prefix", PREFIX))
                .forEach(row -> clickHouse.forget((String) row.get("table"), pipe));
    }
}
