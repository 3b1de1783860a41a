package dev.clickpipe.postgres;

import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import java.sql.Array;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** Publications (PostgreSQL documentation, 29.1 "Publication"). */
public final class Publications {
    private static final int COLUMN_LISTS_SINCE = 15;

    private Publications() {}

    /** What is published of the tables. */
    public enum Operations {
        ALL("insert, update, delete, truncate"),
        /** For tables without a replica identity, whose UPDATE and DELETE would fail for the application otherwise. */
        INSERT_ONLY("insert, truncate");

        private final String publish;

        Operations(String publish) {
            this.publish = publish;
        }
    }

    /**
     * A publication as it is.
     *
     * @param owned whether the session's role may alter it
     * @param viaRoot changes of partitions are published as the root's
     */
    public record Publication(
            String name,
            boolean owned,
            boolean allTables,
            boolean insert,
            boolean update,
            boolean delete,
            boolean viaRoot,
            List<Published> tables) {

        public Optional<Published> table(String schema, String table) {
            return tables.stream()
                    .filter(published -> published.schema().equals(schema)
                            && published.table().equals(table))
                    .findFirst();
        }
    }

    /** @param columns what is published; empty: all, as on servers without column lists */
    public record Published(String schema, String table, List<String> columns) {
        public Name name() {
            return new Name(schema, table);
        }
    }

    /** A table's name, unquoted. */
    public record Name(String schema, String table) {
        /** An ordinary table's mapping means its own rows: ONLY leaves tables that inherit from it out. */
        private String sql() {
            return "ONLY " + identifier(schema) + "." + identifier(table);
        }

        @Override
        public String toString() {
            return schema + "." + table;
        }
    }

    public static Optional<Publication> find(Connection connection, String name) throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT puballtables, pubinsert, pubupdate, pubdelete, pubviaroot, pg_has_role(pubowner, 'USAGE')
                FROM pg_publication WHERE pubname = ?
                """)) {
            query.setString(1, name);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    return Optional.empty();
                }
                return Optional.of(new Publication(
                        name,
                        rows.getBoolean(6),
                        rows.getBoolean(1),
                        rows.getBoolean(2),
                        rows.getBoolean(3),
                        rows.getBoolean(4),
                        rows.getBoolean(5),
                        tables(connection, name)));
            }
        }
    }

    /** Unlike {@link #find} it does not wait for whoever holds an exclusive lock on one of its tables. */
    public static boolean exists(Connection connection, String name) throws SQLException {
        try (var query = connection.prepareStatement("SELECT FROM pg_publication WHERE pubname = ?")) {
            query.setString(1, name);
            try (var rows = query.executeQuery()) {
                return rows.next();
            }
        }
    }

    private static List<Published> tables(Connection connection, String name) throws SQLException {
        boolean lists = connection.getMetaData().getDatabaseMajorVersion() >= COLUMN_LISTS_SINCE;
        try (var query = connection.prepareStatement("SELECT schemaname, tablename, "
                + (lists ? "attnames::text[]" : "NULL::text[]")
                + " FROM pg_publication_tables WHERE pubname = ?")) {
            query.setString(1, name);
            var tables = new ArrayList<Published>();
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    Array columns = rows.getArray(3);
                    tables.add(new Published(
                            rows.getString(1),
                            rows.getString(2),
                            columns == null ? List.of() : List.of((String[]) columns.getArray())));
                }
            }
            return tables;
        }
    }

    /**
     * Creates a publication of exactly these tables. It takes a lock that other DDL and VACUUM on them conflict with, reads and
     * writes don't.
     *
     * @param waiting told every few seconds on whom it waits
     * @return false when stopped
     */
    public static boolean create(
            PostgresClient client,
            String name,
            Collection<Name> tables,
            Operations operations,
            Consumer<Problem> waiting,
            Stop stop)
            throws SQLException, InterruptedException {
        return alter(
                client,
                "CREATE PUBLICATION " + identifier(name) + " FOR TABLE " + list(tables) + " WITH (publish = '"
                        + operations.publish + "', publish_via_partition_root = true)",
                name,
                waiting,
                stop);
    }

    /** Publishes these tables as well, which must not be published yet; otherwise as {@link #create}. */
    public static boolean add(
            PostgresClient client, String name, Collection<Name> tables, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        return alter(
                client, "ALTER PUBLICATION " + identifier(name) + " ADD TABLE " + list(tables), name, waiting, stop);
    }

    /** Publishes these tables no more, which must be published; otherwise as {@link #create}. */
    public static boolean remove(
            PostgresClient client, String name, Collection<Name> tables, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        return alter(
                client, "ALTER PUBLICATION " + identifier(name) + " DROP TABLE " + list(tables), name, waiting, stop);
    }

    public static void drop(Connection connection, String name) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute("DROP PUBLICATION IF EXISTS " + identifier(name));
        }
    }

    private static boolean alter(PostgresClient client, String sql, String name, Consumer<Problem> waiting, Stop stop)
            throws SQLException, InterruptedException {
        try (var connection = client.connect("makes the publication");
                var statement = connection.createStatement()) {
            return Blocked.whileRunning(
                            client, statement, "publication " + name, () -> statement.execute(sql), waiting, stop)
                    .isPresent();
        }
    }

    private static String list(Collection<Name> tables) {
        return tables.stream().map(Name::sql).collect(Collectors.joining(", "));
    }

    /** A name as Postgres reads it back unchanged, in double quotes. */
    public static String identifier(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }
}
