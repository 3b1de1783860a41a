package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * What the rows that a table had when a column was added read in it. Postgres keeps a constant default of ADD COLUMN beside the
 * table, and keeps it when the default is changed later (PostgreSQL documentation, 53.7 "pg_attribute", {@code attmissingval}); any
 * other default rewrites the table.
 *
 * @param values by column number, as Postgres prints the value; absent where they read NULL, or there were none
 * @param unknown numbers of the columns that have a default of which nothing is kept: either the table was rewritten with it, or
 *     the default was set later
 * @param filenode stands for the table's files: it changes when they are rewritten; 0 for a partitioned table
 */
public record MissingValues(Map<Integer, String> values, Set<Integer> unknown, long filenode) {

    public MissingValues {
        values = Map.copyOf(values);
        unknown = Set.copyOf(unknown);
    }

    /** The partitions of a partitioned table have the values; their columns have other numbers. */
    private static final String QUERY = """
            SELECT a.attnum, part.atthasmissing, (part.attmissingval::text::text[])[1],
                   part.atthasdef OR part.attidentity <> '' OR a.attidentity <> '' OR EXISTS (
                       WITH RECURSIVE of (type, base, value) AS (
                           SELECT typtype, typbasetype, typdefault FROM pg_type WHERE oid = a.atttypid
                           UNION ALL
                           SELECT t.typtype, t.typbasetype, t.typdefault FROM of JOIN pg_type t ON t.oid = of.base WHERE of.type = 'd')
                       SELECT FROM of WHERE type = 'd' AND value IS NOT NULL)
            FROM pg_attribute a
            CROSS JOIN LATERAL (
                SELECT c.oid FROM pg_class c WHERE c.oid = a.attrelid AND c.relkind = 'r'
                UNION
                SELECT relid FROM pg_partition_tree(a.attrelid::regclass) WHERE isleaf AND level > 0) files
            JOIN pg_attribute part ON part.attrelid = files.oid AND part.attname = a.attname AND NOT part.attisdropped
            WHERE a.attrelid = ?::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            """;

    public static MissingValues read(Connection connection, long relid) throws SQLException {
        var values = new HashMap<Integer, String>();
        var unknown = new HashSet<Integer>();
        try (var query = connection.prepareStatement(QUERY)) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    int number = rows.getInt(1);
                    if (!rows.getBoolean(2)) {
                        if (rows.getBoolean(4)) {
                            unknown.add(number);
                        }
                        continue;
                    }
                    var other = values.putIfAbsent(number, rows.getString(3));
                    if (other != null && !other.equals(rows.getString(3))) {
                        unknown.add(number); // partitions that do not agree
                    }
                }
            }
        }
        values.keySet().removeAll(unknown);
        try (var query =
                connection.prepareStatement("SELECT coalesce(pg_relation_filenode(?::oid::regclass), 0)::bigint")) {
            query.setLong(1, relid);
            try (var row = query.executeQuery()) {
                row.next();
                return new MissingValues(values, unknown, row.getLong(1));
            }
        }
    }
}
