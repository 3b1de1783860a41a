package dev.clickpipe.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import dev.clickpipe.scenario.Oracle.Change;
import dev.clickpipe.scenario.Oracle.Told;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.TableComparison;
import java.util.List;
import java.util.stream.Collectors;

/** An append-only target: every change once, in its order, and what they add up to is the table. */
final class History {
    private static final String VERSION = "_clickpipe_version";
    private static final String OPERATION = "_clickpipe_operation";

    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final String source;
    private final String target;

    /** @param source quoted */
    History(Postgres postgres, ClickHouse clickHouse, String source, String target) {
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.source = source;
        this.target = target;
    }

    /**
     * @param oracle which tells what was changed
     * @param boundary commits before this LSN are in the load
     * @param ignored what is not told; then it does not add up to the table
     * @param again whether changes from before may be there too
     */
    void assertTold(Oracle oracle, String schema, String table, long boundary, Ignored ignored, boolean again) {
        var key = key();
        var name = Names.clickHouse(target);
        var told = clickHouse
                .rows("SELECT toString(bitShiftRight(" + VERSION + ", 64)), " + OPERATION + " FROM " + name + " WHERE "
                        + OPERATION + " != 'snapshot' ORDER BY " + VERSION)
                .stream()
                .map(row -> new Told(Long.parseUnsignedLong(row.get(0)), row.get(1)))
                .filter(one -> !again || Long.compareUnsigned(one.commit(), boundary) >= 0)
                .toList();
        assertThat(told)
                .as("changes told of " + source)
                .containsExactlyElementsOf(oracle.changes(schema, table, key).stream()
                        .filter(change -> Long.compareUnsigned(change.commit(), boundary) >= 0)
                        .filter(change -> !(ignored.deletes() && change.isDelete())
                                && !(ignored.truncates() && change.operation().equals("truncate")))
                        .map(Change::told)
                        .toList());
        if (!key.isEmpty() && ignored.equals(Ignored.NOTHING)) {
            assertAddsUp(name, key);
        }
    }

    /** The primary key's columns; without one, those of REPLICA IDENTITY USING INDEX. */
    private List<String> key() {
        var primaryKey = columns("indisprimary");
        return primaryKey.isEmpty() ? columns("indisreplident") : primaryKey;
    }

    private List<String> columns(String index) {
        return postgres
                .rows("SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) k JOIN pg_attribute a"
                        + " ON a.attrelid = i.indrelid AND a.attnum = k WHERE i." + index + " AND i.indrelid = "
                        + Names.literal(source) + "::regclass")
                .stream()
                .map(List::getFirst)
                .toList();
    }

    /** The last row of each key, unless it was deleted, moved away from or truncated since. */
    private void assertAddsUp(String name, List<String> key) {
        var columns = key.stream().map(Names::clickHouse).collect(Collectors.joining(", "));
        var view = Names.clickHouse("adds up to " + target);
        clickHouse.query("CREATE OR REPLACE VIEW " + view + " AS SELECT * FROM (SELECT * FROM " + name + " WHERE "
                + VERSION + " > (SELECT maxIf(" + VERSION + ", " + OPERATION + " = 'truncate') FROM " + name
                + ") ORDER BY " + VERSION + " DESC LIMIT 1 BY " + columns + ") WHERE NOT _clickpipe_is_deleted");
        TableComparison.between(postgres, source, clickHouse, view).assertEqual();
    }
}
