package dev.clickpipe.scenario;

import dev.clickpipe.testbed.Postgres;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.PGConnection;

/** The application's session with Postgres: a script's statements as psql would send them. */
final class Session implements AutoCloseable {
    private final Connection connection;
    private final Statement statement;

    /** @param schema in which unqualified names are found */
    Session(Postgres postgres, String schema) {
        try {
            connection = postgres.connect();
            statement = connection.createStatement();
            statement.execute("SET search_path = " + Names.postgres(schema));
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** @throws IllegalStateException with the server's message */
    void execute(String sql) {
        try {
            run(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql + ": " + e.getMessage(), e);
        }
    }

    /** Does it, unless Postgres refuses it. */
    void attempt(String sql) {
        try {
            run(sql);
        } catch (SQLException e) {
            // as an application's statement that fails
        }
    }

    /** The lines behind {@code COPY … FROM STDIN} are its data. */
    private void run(String sql) throws SQLException {
        int data = sql.indexOf('\n');
        if (sql.startsWith("COPY ") && data > 0) {
            try {
                connection
                        .unwrap(PGConnection.class)
                        .getCopyAPI()
                        .copyIn(sql.substring(0, data), new StringReader(sql.substring(data + 1)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        } else {
            statement.execute(sql);
        }
    }

    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
