package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What of a source table decides how its rows are read and written, as the catalogue has it at one moment: two that are equal mean
 * that nothing has to be followed.
 *
 * @param kind 'r' ordinary, 'p' partitioned ({@code pg_class.relkind})
 * @param attributes the highest {@code attnum} that was ever given, of dropped columns too
 * @param columns those that are there, by number
 * @param identity {@code pg_class.relreplident}
 * @param primaryKey numbers of its columns, in key order; empty for none
 * @param identityIndex numbers of the columns of REPLICA IDENTITY USING INDEX, likewise
 */
public record SourceShape(
        char kind,
        int attributes,
        List<Column> columns,
        char identity,
        List<Integer> primaryKey,
        List<Integer> identityIndex) {

    /**
     * @param number {@code attnum}: stays with the column whatever it is called, and is never given again
     * @param type OID
     * @param notNull whether no row has NULL
     * @param generated GENERATED ALWAYS AS
     * @param published whether the stream's rows have it
     */
    public record Column(
            int number, String name, long type, int typmod, boolean notNull, boolean generated, boolean published) {}

    public SourceShape {
        columns = List.copyOf(columns);
        primaryKey = List.copyOf(primaryKey);
        identityIndex = List.copyOf(identityIndex);
    }

    public Optional<Column> column(int number) {
        return columns.stream().filter(column -> column.number() == number).findFirst();
    }

    /** Publications have column lists from Postgres 15 on, and generated columns from 18 on. */
    private static final String QUERY =
            """
            SELECT c.oid, c.relkind, c.relnatts, c.relreplident, %s, %s,
                   a.attnum, a.attname, a.atttypid, a.atttypmod,
                   a.attnotnull AND NOT EXISTS (
                       SELECT FROM pg_constraint k
                       WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated AND a.attnum = ANY (k.conkey)),
                   a.attgenerated <> '',
                   coalesce(a.attnum = ANY (published.columns),
                       a.attgenerated = '' OR a.attgenerated = 's' AND coalesce(published.generated = 's', false))
            FROM unnest(?::bigint[], ?::text[]) AS wanted (relid, publication)
            JOIN pg_class c ON c.oid = wanted.relid::oid
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN LATERAL (
                SELECT string_to_array(translate(to_jsonb(r) ->> 'prattrs', '[] ', ''), ',')::int[] AS columns,
                       to_jsonb(p) ->> 'pubgencols' AS generated
                FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
                WHERE p.pubname = wanted.publication) published ON true
            ORDER BY c.oid, a.attnum
            """.formatted(index("i.indisprimary"), index("i.indisreplident AND i.indisvalid AND i.indimmediate"));

    private static String index(String condition) {
        return """
                ARRAY(
                    SELECT k.attnum::int FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
                    WHERE i.indrelid = c.oid AND k.position <= i.indnkeyatts AND %s ORDER BY k.position)
                """.formatted(condition);
    }

    /**
     * @param publications by OID of the table in which publication its changes are; an empty name where none counts
     * @return those that exist, by OID
     */
    public static Map<Long, SourceShape> read(Connection connection, Map<Long, String> publications)
            throws SQLException {
        var shapes = new HashMap<Long, SourceShape>();
        var columns = new HashMap<Long, List<Column>>();
        try (var query = connection.prepareStatement(QUERY)) {
            var relids = publications.keySet().toArray(Long[]::new);
            var names = new ArrayList<String>();
            for (var relid : relids) {
                names.add(publications.get(relid));
            }
            query.setArray(1, connection.createArrayOf("bigint", relids));
            query.setArray(2, connection.createArrayOf("text", names.toArray()));
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    long relid = rows.getLong(1);
                    var of = columns.computeIfAbsent(relid, none -> new ArrayList<>());
                    if (rows.getInt(7) > 0) {
                        of.add(new Column(
                                rows.getInt(7),
                                rows.getString(8),
                                rows.getLong(9),
                                rows.getInt(10),
                                rows.getBoolean(11),
                                rows.getBoolean(12),
                                rows.getBoolean(13)));
                    }
                    shapes.put(
                            relid,
                            new SourceShape(
                                    rows.getString(2).charAt(0),
                                    rows.getInt(3),
                                    of,
                                    rows.getString(4).charAt(0),
                                    List.of((Integer[]) rows.getArray(5).getArray()),
                                    List.of((Integer[]) rows.getArray(6).getArray())));
                }
            }
        }
        return shapes;
    }
}
