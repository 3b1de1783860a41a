package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Problem;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notices rows of partitioned tables that come or go by DDL on their partitions, which the log of a published root does not tell:
 * one that has rows is attached, detached, dropped, or truncated by itself. It compares what the catalogue says now with what it
 * said at the last look, so that it knows nothing of what is done while no worker runs. For one thread.
 */
final class PartitionWatch {
    private static final Logger LOG = LoggerFactory.getLogger(PartitionWatch.class);

    /** PostgreSQL documentation, appendix A. */
    private static final String INSUFFICIENT_PRIVILEGE = "42501";

    /** Not by pg_partition_tree(), which locks all of them. */
    private static final String LEAVES = """
            WITH RECURSIVE tree (build, relid) AS (
                SELECT wanted.build, c.oid FROM unnest(?::text[], ?::bigint[]) AS wanted (build, relid)
                JOIN pg_class c ON c.oid = wanted.relid::oid AND c.relkind = 'p'
                UNION ALL
                SELECT tree.build, i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
            SELECT tree.build, c.oid, c.oid::regclass::text, c.relfilenode, pg_relation_size(c.oid) = 0
            FROM tree JOIN pg_class c ON c.oid = tree.relid WHERE c.relkind = 'r'
            """;

    /** @param name quoted */
    private record Leaf(String name, long filenode, boolean empty) {}

    /** By build, then by OID. */
    private Map<String, Map<Long, Leaf>> before = Map.of();

    private final Map<String, Problem> noticed = new HashMap<>();

    /** @return what was noticed last, by build */
    Map<String, Problem> look(Connection connection, List<TableDefinition> builds) throws SQLException {
        var now = leaves(connection, builds);
        for (var build : builds) {
            var former = before.get(build.build());
            if (former != null) {
                compare(connection, former, now.getOrDefault(build.build(), Map.of()))
                        .ifPresent(what -> notice(build, what));
            }
        }
        before = now;
        noticed.keySet().retainAll(builds.stream().map(TableDefinition::build).toList());
        return Map.copyOf(noticed);
    }

    private void notice(TableDefinition build, String what) {
        var problem = new Problem(
                "PartitionsChanged",
                "table " + build.source(),
                what + ", which the log of the partitioned table does not tell",
                "Set the mapping's resync to a new value if these rows matter");
        LOG.warn("{}", problem.sentence());
        noticed.put(build.build(), problem);
    }

    private static Map<String, Map<Long, Leaf>> leaves(Connection connection, List<TableDefinition> builds)
            throws SQLException {
        var leaves = new HashMap<String, Map<Long, Leaf>>();
        builds.forEach(build -> leaves.put(build.build(), new LinkedHashMap<>()));
        try (var query = connection.prepareStatement(LEAVES)) {
            query.setArray(
                    1,
                    connection.createArrayOf(
                            "text", builds.stream().map(TableDefinition::build).toArray()));
            query.setArray(
                    2,
                    connection.createArrayOf(
                            "bigint",
                            builds.stream().map(TableDefinition::relid).toArray()));
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    leaves.get(rows.getString(1))
                            .put(rows.getLong(2), new Leaf(rows.getString(3), rows.getLong(4), rows.getBoolean(5)));
                }
            }
        }
        return leaves;
    }

    private static Optional<String> compare(Connection connection, Map<Long, Leaf> before, Map<Long, Leaf> now)
            throws SQLException {
        for (var leaf : now.entrySet()) {
            var name = leaf.getValue().name();
            // Rows that are older than its being a partition came with it.
            if (!before.containsKey(leaf.getKey())
                    && !leaf.getValue().empty()
                    && hasRowsBefore(
                            connection,
                            name,
                            "(SELECT xmin FROM pg_inherits WHERE inhrelid = ?::oid LIMIT 1)",
                            leaf.getKey())) {
                return Optional.of("partition " + name + " was attached with rows in it");
            }
        }
        for (var leaf : before.entrySet()) {
            if (!now.containsKey(leaf.getKey()) && !leaf.getValue().empty()) {
                return Optional.of("partition " + leaf.getValue().name() + " was detached or dropped with its rows");
            }
        }
        var rewritten = now.entrySet().stream()
                .filter(leaf -> before.containsKey(leaf.getKey())
                        && !before.get(leaf.getKey()).empty()
                        && before.get(leaf.getKey()).filenode()
                                != leaf.getValue().filenode())
                .toList();
        long filled = before.values().stream().filter(leaf -> !leaf.empty()).count();
        // All of them: it was a TRUNCATE of the partitioned table, which is in the log.
        if (rewritten.size() < filled) {
            for (var leaf : rewritten) {
                var name = leaf.getValue().name();
                // VACUUM FULL and the like keep the rows, and who wrote them.
                if (leaf.getValue().empty()
                        || !hasRowsBefore(
                                connection, name, "(SELECT xmin FROM pg_class WHERE oid = ?::oid)", leaf.getKey())) {
                    return Optional.of("partition " + name + " was truncated by itself");
                }
            }
        }
        return Optional.empty();
    }

    private static boolean hasRowsBefore(Connection connection, String table, String transaction, long relid)
            throws SQLException {
        try (var query = connection.prepareStatement(
                "SELECT EXISTS (SELECT FROM ONLY " + table + " t WHERE age(t.xmin) > age(" + transaction + "))")) {
            query.setLong(1, relid);
            try (var row = query.executeQuery()) {
                return row.next() && row.getBoolean(1);
            }
        } catch (SQLException e) {
            if (INSUFFICIENT_PRIVILEGE.equals(e.getSQLState())) {
                return true;
            }
            throw e;
        }
    }
}
