package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.FieldSource;

/** clickhouse-jdbc, with and without compression. */
@ParameterizedClass
@FieldSource("MODES")
class ClickHouseJdbcIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    static final List<Map<String, String>> MODES = List.of(
            Map.of(),
            Map.of("compress", "false"),
            Map.of("decompress", "true"),
            Map.of("client.use_http_compression", "true", "decompress", "true"));

    private static final UUID UUID_VALUE = UUID.fromString("61f0c404-5cb3-11e7-907b-a6006ad3dba0");

    @Parameter
    Map<String, String> mode;

    private Connection connection;

    @BeforeEach
    void connect() throws SQLException {
        connection = connect(Map.of());
    }

    @AfterEach
    void disconnect() throws SQLException {
        connection.close();
    }

    private Connection connect(Map<String, String> more) throws SQLException {
        var properties = CLICKHOUSE.client().jdbcProperties();
        properties.putAll(mode);
        properties.putAll(more);
        return DriverManager.getConnection(CLICKHOUSE.client().jdbcUrl(), properties);
    }

    @Test
    void describesTheServerAndItsTables() throws SQLException {
        execute("CREATE OR REPLACE TABLE described (a Int32, b String) ENGINE = Memory");
        assertThat(connection.isValid(5)).isTrue();
        var metadata = connection.getMetaData();
        assertThat(metadata.getDatabaseProductName()).isEqualTo("ClickHouse");
        assertThat(metadata.getDatabaseMajorVersion()).isGreaterThanOrEqualTo(25);
        try (ResultSet columns = metadata.getColumns(null, CLICKHOUSE.client().database(), "described", "%")) {
            assertThat(values(columns, "COLUMN_NAME")).containsExactly("a", "b");
        }
    }

    @Test
    void writesAndReadsEveryKindOfColumn() throws SQLException {
        execute("""
                CREATE OR REPLACE TABLE kinds (
                  id UInt32, name String, ratio Float64, at DateTime64(3, 'UTC'), perhaps Nullable(Int64),
                  price Decimal(18, 4), tags Array(String), counts Map(String, Int32), token UUID, yes Bool, day Date)
                ENGINE = MergeTree ORDER BY id""");
        String insert = "INSERT INTO kinds (id, name, ratio, at, perhaps, price, tags, counts, token, yes, day)"
                + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        Instant start = Instant.parse("2026-01-01T00:00:00.123Z");
        try (PreparedStatement statement = connection.prepareStatement(insert)) {
            for (int id = 0; id < 1000; id++) {
                statement.setInt(1, id);
                statement.setString(2, "it's \\ \n" + id);
                statement.setDouble(3, id / 4.0);
                statement.setTimestamp(4, Timestamp.from(start.plusSeconds(id)));
                if (id % 2 == 0) {
                    statement.setNull(5, Types.BIGINT);
                } else {
                    statement.setLong(5, id);
                }
                statement.setBigDecimal(6, new BigDecimal("12.5"));
                statement.setObject(7, List.of("a", "b'"));
                statement.setObject(8, Map.of("k", id));
                statement.setObject(9, UUID_VALUE);
                statement.setBoolean(10, true);
                statement.setObject(11, LocalDate.of(2026, 2, 3));
                statement.addBatch();
            }
            assertThat(statement.executeBatch()).hasSize(1000);
        }
        try (PreparedStatement statement = connection.prepareStatement(
                "SELECT * FROM kinds WHERE id BETWEEN ? AND ? AND name LIKE ? ORDER BY id")) {
            statement.setInt(1, 4);
            statement.setInt(2, 6);
            statement.setString(3, "it's%");
            try (ResultSet row = statement.executeQuery()) {
                assertThat(row.next()).isTrue();
                assertThat(row.getString("name")).isEqualTo("it's \\ \n4");
                assertThat(row.getDouble("ratio")).isEqualTo(1.0);
                assertThat(row.getTimestamp("at").toInstant()).isEqualTo(start.plusSeconds(4));
                assertThat(row.getObject("perhaps")).isNull();
                assertThat(row.getBigDecimal("price")).isEqualByComparingTo("12.5");
                assertThat((Object[]) row.getArray("tags").getArray()).containsExactly("a", "b'");
                assertThat(row.getObject("counts")).isEqualTo(Map.of("k", 4));
                assertThat(row.getObject("token")).isEqualTo(UUID_VALUE);
                assertThat(row.getBoolean("yes")).isTrue();
                assertThat(row.getObject("day", LocalDate.class)).isEqualTo("2026-02-03");
                assertThat(row.next() && row.next()).isTrue();
                assertThat(row.next()).isFalse();
            }
        }
    }

    @Test
    void readsTheNewKinds() throws SQLException {
        execute("CREATE OR REPLACE TABLE loose (j JSON, v Variant(UInt64, String), d Dynamic) ENGINE = Memory");
        execute("""
                INSERT INTO loose VALUES ('{"a": {"b": 1}}', 5, 'x')""");
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT * FROM loose")) {
            assertThat(row.next()).isTrue();
            assertThat(row.getObject(1)).isNotNull();
            assertThat(row.getObject(2)).hasToString("5");
            assertThat(row.getObject(3)).hasToString("x");
        }
    }

    @Test
    void readsALargeResultAndAnEmptyOne() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            long sum = 0;
            try (ResultSet rows = statement.executeQuery("SELECT number, toString(number) FROM numbers(1000000)")) {
                while (rows.next()) {
                    sum += rows.getLong(1);
                }
            }
            assertThat(sum).isEqualTo(499_999_500_000L);
            try (ResultSet rows = statement.executeQuery("SELECT number AS n FROM numbers(0)")) {
                assertThat(rows.getMetaData().getColumnName(1)).isEqualTo("n");
                assertThat(rows.next()).isFalse();
            }
        }
    }

    @Test
    void alters() throws SQLException {
        execute("CREATE OR REPLACE TABLE altered (id Int32) ENGINE = MergeTree ORDER BY id");
        execute("INSERT INTO altered SELECT number FROM numbers(10)");
        execute("ALTER TABLE altered ADD COLUMN extra String DEFAULT 'e'");
        execute("DELETE FROM altered WHERE id < 5");
        execute("OPTIMIZE TABLE altered FINAL");
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT count(), any(extra) FROM altered")) {
            assertThat(row.next()).isTrue();
            assertThat(row.getLong(1)).isEqualTo(5);
            assertThat(row.getString(2)).isEqualTo("e");
        }
    }

    @Test
    void passesSettings() throws SQLException {
        try (Connection tuned = connect(Map.of("clickhouse_setting_max_threads", "1"));
                Statement statement = tuned.createStatement();
                ResultSet row = statement.executeQuery("SELECT getSetting('max_threads')")) {
            assertThat(row.next()).isTrue();
            assertThat(row.getString(1)).isEqualTo("1");
        }
    }

    @Test
    void tellsServerErrors() throws SQLException {
        assertThatThrownBy(() -> execute("SELECT * FROM nosuch"))
                .satisfies(e -> assertThat(code(e)).isEqualTo(60));
        try (Connection stranger = connect(Map.of("password", "wrong"));
                Statement statement = stranger.createStatement()) {
            assertThatThrownBy(() -> statement.executeQuery("SELECT 1"))
                    .satisfies(e -> assertThat(code(e)).isEqualTo(516));
        }
    }

    @Test
    void anErrorInsideAStreamedResultIsNotTheEndOfTheRows() throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows =
                        statement.executeQuery("SELECT throwIf(number = 3000000), number FROM numbers(10000000)")) {
            assertThatThrownBy(() -> {
                        while (rows.next()) {
                            rows.getLong(2);
                        }
                    })
                    .isInstanceOf(Exception.class);
        }
    }

    @Test
    void cancelsAQuery() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            CompletableFuture.runAsync(
                    () -> {
                        try {
                            statement.cancel();
                        } catch (SQLException e) {
                            throw new IllegalStateException(e);
                        }
                    },
                    CompletableFuture.delayedExecutor(500, TimeUnit.MILLISECONDS));
            assertThatThrownBy(() -> statement.executeQuery(
                            "SELECT count() FROM numbers(1000000000000) SETTINGS max_execution_time = 20"))
                    .satisfies(e -> assertThat(code(e)).isEqualTo(394));
        }
    }

    private void execute(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static int code(Throwable failure) {
        return failure instanceof SQLException e ? e.getErrorCode() : -1;
    }

    private static List<String> values(ResultSet rows, String column) throws SQLException {
        var values = new ArrayList<String>();
        while (rows.next()) {
            values.add(rows.getString(column));
        }
        return values;
    }
}
