package dev.clickpipe.postgres;

import dev.clickpipe.postgres.SourceTable.ReplicaIdentity;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** Reads the source's catalogue (PostgreSQL documentation, chapter 51 "System Catalogs"). */
public final class Catalogue {

    private record Type(
            String name,
            char type,
            char category,
            long element,
            long base,
            int typmod,
            int dimensions,
            char delimiter) {}

    private record Identity(ReplicaIdentity kind, List<String> columns) {}

    private final Connection connection;
    private final Map<Long, Type> types = new HashMap<>();

    private Catalogue(Connection connection) {
        this.connection = connection;
    }

    /**
     * The table of that name, ordinary or partitioned; empty when there is none, also when it is a view or the like.
     *
     * @throws dev.clickpipe.pipe.PipeException classified
     */
    public static Optional<SourceTable> table(Connection connection, String schema, String name) {
        try {
            return new Catalogue(connection).read(schema, name);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "table " + schema + "." + name);
        }
    }

    /** The table with that OID, whatever it is called; likewise. */
    public static Optional<SourceTable> table(Connection connection, long relid) {
        try (var query = connection.prepareStatement(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ?")) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                return rows.next() ? table(connection, rows.getString(1), rows.getString(2)) : Optional.empty();
            }
        } catch (SQLException e) {
            throw PostgresErrors.of(e, "table with OID " + relid);
        }
    }

    private Optional<SourceTable> read(String schema, String name) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = ? AND c.relname = ? AND c.relkind IN ('r', 'p')
                """)) {
            query.setString(1, schema);
            query.setString(2, name);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    return Optional.empty();
                }
                long relid = rows.getLong(1);
                var kind = rows.getString(2).charAt(0);
                readTypes(relid);
                var columns = columns(relid);
                var identity = identity(relid, kind, columns);
                return Optional.of(new SourceTable(
                        relid, schema, name, kind, identity.kind(), primaryKey(relid), identity.columns(), columns));
            }
        }
    }

    private List<SourceColumn> columns(long relid) throws SQLException {
        var columns = new ArrayList<SourceColumn>();
        // A NOT NULL constraint that is NOT VALID, possible from Postgres 18 on, leaves NULLs in the rows there are.
        try (var query = connection.prepareStatement("""
                SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, a.attndims, a.attgenerated <> '',
                       a.attnotnull AND NOT EXISTS (
                           SELECT FROM pg_constraint k
                           WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated AND a.attnum = ANY (k.conkey))
                FROM pg_attribute a
                WHERE a.attrelid = ? AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum
                """)) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    columns.add(new SourceColumn(
                            rows.getInt(1),
                            rows.getString(2),
                            type(rows.getLong(3), rows.getInt(4)),
                            dimensions(rows.getLong(3), rows.getInt(5)),
                            rows.getBoolean(7),
                            rows.getBoolean(6)));
                }
            }
        }
        return columns;
    }

    /** The types of the table's columns and those they are made of. */
    private void readTypes(long relid) throws SQLException {
        try (var query = connection.prepareStatement("""
                WITH RECURSIVE needed (oid) AS (
                    SELECT a.atttypid FROM pg_attribute a
                    WHERE a.attrelid = ? AND a.attnum > 0 AND NOT a.attisdropped
                    UNION
                    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
                    FROM needed JOIN pg_type t ON t.oid = needed.oid
                    WHERE t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0
                )
                SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typelem, t.typbasetype, t.typtypmod, t.typndims, t.typdelim
                FROM needed JOIN pg_type t ON t.oid = needed.oid
                """)) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    types.put(
                            rows.getLong(1),
                            new Type(
                                    rows.getString(2),
                                    rows.getString(3).charAt(0),
                                    rows.getString(4).charAt(0),
                                    rows.getLong(5),
                                    rows.getLong(6),
                                    rows.getInt(7),
                                    rows.getInt(8),
                                    rows.getString(9).charAt(0)));
                }
            }
        }
    }

    /** Those of the column, or of the domain that has them. */
    private int dimensions(long oid, int declared) {
        var type = types.get(oid);
        return declared > 0 || type.type() != 'd' ? declared : dimensions(type.base(), type.dimensions());
    }

    private PgType type(long oid, int typmod) {
        var type = types.get(oid);
        boolean array = type.type() == 'b' && type.category() == 'A' && type.element() != 0;
        return switch (type.type()) {
            case 'd' -> type(type, oid, PgType.Kind.DOMAIN, type.typmod(), type(type.base(), -1));
            case 'e' -> type(type, oid, PgType.Kind.ENUM, typmod, null);
            case 'b' ->
                array
                        ? type(type, oid, PgType.Kind.ARRAY, typmod, type(type.element(), -1))
                        : type(type, oid, PgType.Kind.SCALAR, typmod, null);
            default -> type(type, oid, PgType.Kind.OTHER, typmod, null);
        };
    }

    private static PgType type(Type type, long oid, PgType.Kind kind, int typmod, PgType base) {
        return new PgType(oid, type.name(), kind, typmod, base, type.delimiter());
    }

    private List<String> primaryKey(long relid) throws SQLException {
        try (var query =
                connection.prepareStatement("SELECT " + INDEX_COLUMNS.formatted("i.indrelid = ? AND i.indisprimary"))) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                rows.next();
                return strings(rows.getArray(1));
            }
        }
    }

    /** Names of an index' key columns, in order; an empty array when there is no such index. */
    private static final String INDEX_COLUMNS = """
            ARRAY(
                SELECT a.attname::text
                FROM pg_index i
                CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                WHERE k.position <= i.indnkeyatts AND %s
                ORDER BY k.position)
            """;

    /**
     * The replica identity as UPDATE and DELETE meet it. A partitioned table has none itself: its leaves have, and they may
     * differ, so that only what all of them carry counts. A deferrable primary key is no replica identity.
     */
    private Identity identity(long relid, char kind, List<SourceColumn> columns) throws SQLException {
        var all = columns.stream()
                .filter(column -> !column.generated())
                .map(SourceColumn::name)
                .toList();
        var identities = new ArrayList<Identity>();
        try (var query = connection.prepareStatement("SELECT c.relreplident, "
                + INDEX_COLUMNS.formatted("""
                        i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
                            AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
                        """)
                + (kind == 'p'
                        ? "FROM pg_partition_tree(?::oid::regclass) p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf OR p.level = 0 ORDER BY p.level DESC"
                        : "FROM pg_class c WHERE c.oid = ?"))) {
            query.setLong(1, relid);
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    identities.add(
                            switch (rows.getString(1)) {
                                case "f" -> new Identity(ReplicaIdentity.FULL, all);
                                case "n" -> new Identity(ReplicaIdentity.NOTHING, List.of());
                                case "i" -> new Identity(ReplicaIdentity.INDEX, strings(rows.getArray(2)));
                                default -> new Identity(ReplicaIdentity.DEFAULT, strings(rows.getArray(2)));
                            });
                }
            }
        }
        if (identities.size() > 1) {
            identities.removeLast(); // the root, which counts only as long as it has no partitions
        }
        Predicate<String> everywhere = column ->
                identities.stream().allMatch(identity -> identity.columns().contains(column));
        var kinds = identities.stream().map(Identity::kind).distinct().toList();
        var first = identities.getFirst();
        return new Identity(
                kinds.size() == 1 ? first.kind() : ReplicaIdentity.DEFAULT,
                // Of a leaf with FULL and one with a key, the key's columns in the key's order.
                identities.stream()
                        .filter(identity -> identity.kind() != ReplicaIdentity.FULL)
                        .findFirst()
                        .orElse(first)
                        .columns()
                        .stream()
                        .filter(everywhere)
                        .toList());
    }

    private static List<String> strings(java.sql.Array array) throws SQLException {
        return List.of((String[]) array.getArray());
    }
}
