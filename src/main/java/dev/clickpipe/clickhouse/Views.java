package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The materialized views behind a table. */
public final class Views {
    private static final String NAME = "(`(?:[^`\\\\]|\\\\.)*`|\\w+)";

    private static final Pattern TO =
            Pattern.compile("^CREATE MATERIALIZED VIEW " + NAME + "\\." + NAME + "[^(]*? TO " + NAME + "\\." + NAME);

    private Views() {}

    /** A table by database and name. */
    private record Table(String database, String name) {
        String sql() {
            return "(" + literal(database) + ", " + literal(name) + ")";
        }

        @Override
        public String toString() {
            return identifier(database) + "." + identifier(name);
        }
    }

    /**
     * Tables that views behind this one write to, and that do not know an insert again by its token: what is sent again after a
     * crash counts twice there. Those that this user may not see are not among them, nor what is behind further views.
     */
    public static List<String> countingTwice(ClickHouseClient clickHouse, String table) {
        var written = clickHouse.query("""
                        SELECT database, name, toString(uuid) AS uuid, create_table_query FROM system.tables
                        WHERE engine = 'MaterializedView' AND (database, name) IN (
                            SELECT arrayJoin(arrayZip(dependencies_database, dependencies_table)) FROM system.tables
                            WHERE database = {database:String} AND name = {table:String})
                        """, Map.of("database", clickHouse.database(), "table", table)).stream()
                .map(view -> writtenBy((String) view.get("database"), (String) view.get("uuid"), (String)
                        view.get("create_table_query")))
                .flatMap(Optional::stream)
                .distinct()
                .toList();
        if (written.isEmpty()) {
            return List.of();
        }
        return clickHouse
                .query(
                        "SELECT database, name, engine_full FROM system.tables WHERE (database, name) IN ("
                                + written.stream().map(Table::sql).collect(Collectors.joining(", "))
                                + ") ORDER BY 1, 2",
                        Map.of())
                .stream()
                .filter(row -> !countsOnce((String) row.get("engine_full")))
                .map(row -> new Table((String) row.get("database"), (String) row.get("name")).toString())
                .toList();
    }

    /** Two rows that are the same in all are one in a ReplacingMergeTree, as it is read. */
    private static boolean countsOnce(String engine) {
        return TargetTable.deduplicates(engine) || engine.contains("ReplacingMergeTree");
    }

    /** Empty for a view that is refreshed from time to time. */
    private static Optional<Table> writtenBy(String database, String uuid, String definition) {
        var to = TO.matcher(definition);
        if (!to.find()) {
            return Optional.of(new Table(database, ".inner_id." + uuid));
        }
        return to.group().contains(" REFRESH ")
                ? Optional.empty()
                : Optional.of(new Table(unquoted(to.group(3)), unquoted(to.group(4))));
    }

    private static String unquoted(String name) {
        return name.startsWith("`") ? name.substring(1, name.length() - 1).replaceAll("\\\\(.)", "$1") : name;
    }
}
