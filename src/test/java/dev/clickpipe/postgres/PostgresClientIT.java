package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedPostgres;
import java.net.URI;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class PostgresClientIT {
    private static final ClickHouse NONE = new ClickHouse(URI.create("http://127.0.0.1:1"), "u", "p", "d");

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @TempDir
    Path directory;

    private TestPipe pipe(Postgres postgres) {
        return new TestPipe(directory, postgres, NONE).map("public.t");
    }

    private static String one(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement();
                var rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    @Test
    void everySessionPrintsValuesInOneFormWhateverRoleAndDatabaseAreSetTo() throws SQLException {
        var database = POSTGRES.client().database();
        var settings = Map.of(
                "DateStyle", "'SQL, DMY'",
                "IntervalStyle", "sql_standard",
                "bytea_output", "escape",
                "TimeZone", "'Asia/Tokyo'",
                "extra_float_digits", "-5",
                "statement_timeout", "'7s'",
                "idle_in_transaction_session_timeout", "'7s'");
        settings.forEach((name, value) ->
                POSTGRES.client().execute("ALTER DATABASE " + database + " SET " + name + " = " + value));
        var client = pipe(POSTGRES.client()).postgresClient();

        try (var ordinary = client.connect("checks");
                var replication = client.connectReplication("checks")) {
            for (var connection : List.of(ordinary, replication)) {
                assertThat(
                                one(
                                        connection,
                                        "SELECT concat_ws(' | ', timestamptz '2024-02-03 04:05:06Z', date '2024-02-03', interval '1 month 2 days', bytea '\\xff', float8 '0.1', current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'))"))
                        .isEqualTo("2024-02-03 04:05:06+00 | 2024-02-03 | 1 mon 2 days | \\xff | 0.1 | 0 | 0");
                assertThat(one(connection, "SELECT current_setting('application_name')"))
                        .isEqualTo("clickpipe test/shop checks");
                assertThat(one(connection, "SELECT current_database()")).isEqualTo(database);
            }
            assertThat(one(replication, "IDENTIFY_SYSTEM")).isNotBlank();
        }
    }

    @Test
    void aDatabaseOfAnyNameIsFound() throws SQLException {
        var name = "it's a %41/\"db\"? ü";
        POSTGRES.client().execute("CREATE DATABASE " + Publications.identifier(name));
        try (var connection =
                pipe(POSTGRES.client().withDatabase(name)).postgresClient().connect("checks")) {
            assertThat(one(connection, "SELECT current_database()")).isEqualTo(name);
        } finally {
            POSTGRES.client().execute("DROP DATABASE " + Publications.identifier(name));
        }
    }

    @Test
    void aNewPasswordIsUsedAtTheNextConnection() throws SQLException {
        var pipe = pipe(POSTGRES.client());
        var client = pipe.postgresClient();
        pipe.write("postgres/password", "hush-wrong");

        var refused = catchThrowableOfType(PipeException.class, () -> client.connect("checks"));

        assertThat(refused.retryable()).isTrue();
        assertThat(refused.problems()).extracting(Problem::reason).containsExactly("LoginRefused");
        assertThat(refused)
                .hasMessageContaining("password authentication failed for user \"clickpipe\". Correct")
                .hasMessageNotContaining("hush-wrong");
        pipe.write("postgres/password", POSTGRES.client().password());
        client.connect("checks").close();
    }

    @Test
    void rowsThatAPolicyHidesAreAnErrorNotAnEmptyTable() throws SQLException {
        POSTGRES.client()
                .execute(
                        "CREATE ROLE watched LOGIN PASSWORD 'w'",
                        "CREATE TABLE hidden (id int)",
                        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
                        "GRANT SELECT ON hidden TO watched");
        var watched = POSTGRES.client();
        try (var connection = pipe(new Postgres(watched.host(), watched.port(), "watched", "w", watched.database()))
                .postgresClient()
                .connect("checks")) {
            assertThatThrownBy(() -> one(connection, "SELECT count(*) FROM hidden"))
                    .hasMessageContaining("row-level security");
        } finally {
            POSTGRES.client().execute("DROP TABLE hidden", "DROP ROLE watched");
        }
    }

    @Test
    void tlsThatIsDemandedIsNotDispensedWith() {
        var pipe = pipe(POSTGRES.client());
        var yaml = pipe.pipeFile();
        var spec = dev.clickpipe.pipe.PipeFile.read(pipe.write(
                "tls.yaml", read(yaml).replace("      settings:", "      tls: {mode: require}\n      settings:")));

        var refused = catchThrowableOfType(PipeException.class, () -> new PostgresClient(
                        spec, new dev.clickpipe.pipe.CredentialFiles(pipe.credentialsDirectory()))
                .connect("checks"));

        assertThat(refused.problems()).extracting(Problem::reason).containsExactly("TlsFailed");
    }

    private static String read(Path file) {
        try {
            return java.nio.file.Files.readString(file);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
