package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.replication.PGReplicationStream;

class PostgresServerIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    static final List<Integer> VERSIONS = PostgresServer.VERSIONS;

    @ParameterizedTest
    @FieldSource("VERSIONS")
    void everyVersionStreamsChanges(int version) throws Exception {
        try (var server = PostgresServer.create(version)) {
            Postgres postgres = server.createDatabase("shop");
            assertThat(postgres.query("SHOW server_version")).startsWith(version + ".");
            postgres.execute(
                    "CREATE EXTENSION hstore",
                    "CREATE TABLE t (id int PRIMARY KEY, name text)",
                    "CREATE PUBLICATION p FOR TABLE t",
                    "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
                    "INSERT INTO t VALUES (1, 'streamed')");
            assertThat(readUntilInsert(postgres)).contains("streamed");
        }
    }

    @Test
    void refusesAWrongPassword() {
        Postgres postgres = POSTGRES.client();
        var stranger = new Postgres(postgres.host(), postgres.port(), postgres.user(), "wrong", postgres.database());
        assertThatThrownBy(stranger::connect)
                .isInstanceOfSatisfying(
                        SQLException.class, e -> assertThat(e.getSQLState()).isEqualTo("28P01"));
    }

    @Test
    void keepsDataAndSlotsOverStopsAndKills() {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION, Map.of("max_connections", "33"))) {
            Postgres postgres = server.client("postgres");
            assertThat(postgres.query("SHOW max_connections")).isEqualTo("33");
            postgres.execute("CREATE TABLE t (id int)", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')");

            postgres.execute("INSERT INTO t VALUES (1)");
            server.kill();
            assertThatThrownBy(postgres::connect).isInstanceOf(SQLException.class);
            server.start();

            postgres.execute("INSERT INTO t VALUES (2)");
            server.stop(PostgresServer.StopMode.IMMEDIATE);
            server.start();

            postgres.execute("INSERT INTO t VALUES (3)");
            server.restart();
            assertThat(postgres.count("t")).isEqualTo(3);
            assertThat(postgres.query("SELECT slot_name FROM pg_replication_slots"))
                    .isEqualTo("s");
            assertThat(server.logText()).contains("database system is ready");
        }
    }

    @Test
    void answersPostgresText() {
        assertThat(POSTGRES.client().rows("SELECT true, NULL, ARRAY[1, NULL], 1.50::numeric, '\\x00ff'::bytea"))
                .singleElement()
                .satisfies(row -> assertThat(row).containsExactly("t", null, "{1,NULL}", "1.50", "\\x00ff"));
    }

    /** What the slot sends, as Latin-1 text. */
    private static String readUntilInsert(Postgres postgres) throws SQLException {
        var properties = postgres.jdbcProperties();
        PGProperty.REPLICATION.set(properties, "database");
        PGProperty.ASSUME_MIN_SERVER_VERSION.set(properties, "14");
        PGProperty.PREFER_QUERY_MODE.set(properties, "simple");
        try (var connection = DriverManager.getConnection(postgres.jdbcUrl(), properties);
                PGReplicationStream stream = connection
                        .unwrap(PGConnection.class)
                        .getReplicationAPI()
                        .replicationStream()
                        .logical()
                        .withSlotName("s")
                        .withSlotOption("proto_version", 1)
                        .withSlotOption("publication_names", "p")
                        .start()) {
            return await().until(() -> text(stream.readPending()), message -> message.startsWith("I"));
        }
    }

    private static String text(ByteBuffer message) {
        return message == null
                ? ""
                : StandardCharsets.ISO_8859_1.decode(message).toString();
    }
}
