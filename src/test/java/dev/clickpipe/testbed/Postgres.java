package dev.clickpipe.testbed;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Properties;

/**
 * A Postgres database to talk to, and the few ways in which tests do: SQL in, Postgres' own text out.
 *
 * @param sessions used again from statement to statement; null where each has one of its own
 */
public record Postgres(String host, int port, String user, String password, String database, Sessions sessions) {
    public Postgres(String host, int port, String user, String password, String database) {
        this(host, port, user, password, database, null);
    }

    public String jdbcUrl() {
        return "jdbc:postgresql://%s:%d/%s".formatted(host, port, database);
    }

    /** User and password for {@link DriverManager}. */
    public Properties jdbcProperties() {
        var properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        return properties;
    }

    /** A session of its own, the caller's to close. */
    public Connection connect() throws SQLException {
        return DriverManager.getConnection(jdbcUrl(), jdbcProperties());
    }

    public Postgres withDatabase(String name) {
        return new Postgres(host, port, user, password, name);
    }

    Postgres with(Sessions others) {
        return new Postgres(host, port, user, password, database, others);
    }

    <T> T use(Sessions.Work<T> work) throws SQLException {
        if (sessions != null) {
            return sessions.use(this, work);
        }
        try (var connection = session()) {
            return work.on(connection);
        }
    }

    /** By the simple protocol, which answers text for every type. */
    Connection session() throws SQLException {
        return DriverManager.getConnection(jdbcUrl() + "?preferQueryMode=simple", jdbcProperties());
    }

    /** Each on its own: a statement that fails leaves the ones before it committed. */
    public void execute(String... statements) {
        try {
            use(connection -> {
                executeAll(connection, statements);
                return null;
            });
        } catch (SQLException e) {
            throw failed(String.join("; ", statements), e);
        }
    }

    /** All in one transaction. */
    public void transaction(String... statements) {
        try {
            use(connection -> {
                connection.setAutoCommit(false);
                executeAll(connection, statements);
                connection.commit();
                connection.setAutoCommit(true);
                return null;
            });
        } catch (SQLException e) {
            throw failed(String.join("; ", statements), e);
        }
    }

    private static void executeAll(Connection connection, String... statements) throws SQLException {
        try (var statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
    }

    /** The first column of the first row, as Postgres' text; null for NULL. */
    public String query(String sql) {
        return rows(sql).getFirst().getFirst();
    }

    /** All rows, their values as Postgres' text and null for NULL. */
    public List<List<String>> rows(String sql) {
        try {
            return use(connection -> {
                try (var statement = connection.createStatement();
                        var result = statement.executeQuery(sql)) {
                    return texts(result);
                }
            });
        } catch (SQLException e) {
            throw failed(sql, e);
        }
    }

    public long count(String table) {
        return Long.parseLong(query("SELECT count(*) FROM " + table));
    }

    private static List<List<String>> texts(ResultSet result) throws SQLException {
        var rows = new ArrayList<List<String>>();
        var row = new String[result.getMetaData().getColumnCount()];
        while (result.next()) {
            for (int i = 0; i < row.length; i++) {
                row[i] = result.getString(i + 1);
            }
            rows.add(Collections.unmodifiableList(Arrays.asList(row.clone())));
        }
        return rows;
    }

    private static IllegalStateException failed(String sql, SQLException e) {
        return new IllegalStateException("%s: %s".formatted(sql, e.getMessage()), e);
    }
}
