package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.ServerException;
import com.clickhouse.client.api.data_formats.ClickHouseBinaryFormatReader;
import com.clickhouse.client.api.data_formats.RowBinaryFormatWriter;
import com.clickhouse.client.api.insert.InsertResponse;
import com.clickhouse.client.api.insert.InsertSettings;
import com.clickhouse.client.api.query.QueryResponse;
import com.clickhouse.client.api.query.QuerySettings;
import com.clickhouse.data.ClickHouseFormat;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.FieldSource;

/** client-v2 with every combination of compression. */
@ParameterizedClass
@FieldSource("MODES")
@SuppressWarnings("try") // the closing of its responses is declared to throw any Exception
class ClickHouseClientsIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private static final int ROWS = 50_000;

    static final List<Compression> MODES = List.of(
            new Compression(false, false, false),
            new Compression(false, true, false),
            new Compression(true, false, false),
            new Compression(true, true, false),
            new Compression(false, true, true),
            new Compression(true, false, true),
            new Compression(true, true, true));

    /** @param http HTTP's content encoding instead of ClickHouse's blocks */
    record Compression(boolean response, boolean request, boolean http) {}

    @Parameter
    Compression compression;

    @BeforeEach
    void createTable() {
        CLICKHOUSE.client().query("""
                CREATE OR REPLACE TABLE visits (id Int32, page String, seconds Float64, at DateTime)
                ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100""");
    }

    private Client client() {
        ClickHouse server = CLICKHOUSE.client();
        return new Client.Builder()
                .addEndpoint(server.url().toString())
                .setUsername(server.user())
                .setPassword(server.password())
                .setDefaultDatabase(server.database())
                .compressServerResponse(compression.response())
                .compressClientRequest(compression.request())
                .useHttpCompression(compression.http())
                .build();
    }

    /** A row as the client maps it to columns by its getters. */
    public static final class Visit {
        private final int id;

        Visit(int id) {
            this.id = id;
        }

        public int getId() {
            return id;
        }

        public String getPage() {
            return "/" + id;
        }

        public double getSeconds() {
            return id / 2.0;
        }

        public LocalDateTime getAt() {
            return LocalDateTime.of(2026, 1, 1, 0, 0).plusSeconds(id);
        }
    }

    @Test
    void insertsObjectsAndReadsRows() throws Exception {
        try (Client client = client()) {
            assertThat(client.ping()).isTrue();
            client.register(Visit.class, client.getTableSchema("visits"));
            var visits = IntStream.range(0, ROWS).mapToObj(Visit::new).toList();
            try (InsertResponse response = client.insert("visits", visits).get()) {
                assertThat(response.getWrittenRows()).isEqualTo(ROWS);
            }
            var settings = new QuerySettings().setFormat(ClickHouseFormat.RowBinaryWithNamesAndTypes);
            try (QueryResponse response = client.query("SELECT * FROM visits ORDER BY id", settings)
                            .get();
                    ClickHouseBinaryFormatReader reader = client.newBinaryFormatReader(response)) {
                assertThat(sumOfIds(reader)).isEqualTo(ROWS * (ROWS - 1L) / 2);
            }
        }
    }

    @Test
    void readsAnEmptyResultWithItsColumns() throws Exception {
        try (Client client = client();
                QueryResponse response = client.query("SELECT * FROM visits").get();
                ClickHouseBinaryFormatReader reader = client.newBinaryFormatReader(response)) {
            assertThat(reader.hasNext()).isFalse();
            assertThat(reader.getSchema().getColumns()).hasSize(4);
        }
    }

    @Test
    void insertsAStreamOfText() throws Exception {
        String rows = IntStream.range(0, ROWS)
                .mapToObj(id -> id + "\ta\\tb\t1.5\t2026-01-01 00:00:00\n")
                .collect(Collectors.joining());
        try (Client client = client();
                InsertResponse response = client.insert("visits", stream(rows), ClickHouseFormat.TabSeparated)
                        .get()) {
            assertThat(response.getWrittenRows()).isEqualTo(ROWS);
        }
        assertThat(CLICKHOUSE.client().query("SELECT count(), any(page) FROM visits"))
                .isEqualTo(ROWS + "\ta\\tb");
    }

    @Test
    void insertsWhatAWriterWrites() throws Exception {
        try (Client client = client()) {
            var schema = client.getTableSchema("visits");
            try (InsertResponse response = client.insert(
                            "visits",
                            out -> {
                                var writer = new RowBinaryFormatWriter(out, schema, ClickHouseFormat.RowBinary);
                                for (int id = 0; id < 10; id++) {
                                    writer.setInteger("id", id);
                                    writer.setString("page", "/");
                                    writer.setDouble("seconds", 1);
                                    writer.setDateTime("at", LocalDateTime.of(2026, 1, 1, 0, 0));
                                    writer.commitRow();
                                }
                            },
                            ClickHouseFormat.RowBinary,
                            new InsertSettings())
                    .get()) {
                assertThat(response.getWrittenRows()).isEqualTo(10);
            }
        }
    }

    @Test
    void insertsABatchWithTheSameTokenOnce() throws Exception {
        try (Client client = client()) {
            for (int attempt = 0; attempt < 2; attempt++) {
                var settings = new InsertSettings().setDeduplicationToken("batch-1");
                client.insert("visits", stream("1\t/\t1\t2026-01-01 00:00:00\n"), ClickHouseFormat.TSV, settings)
                        .get()
                        .close();
            }
        }
        assertThat(CLICKHOUSE.client().count("visits")).isEqualTo(1);
    }

    @Test
    void passesParametersAndSettings() {
        try (Client client = client()) {
            var rows = client.queryAll(
                    "SELECT {id:Int32} AS id, getSetting('max_threads') AS threads",
                    Map.of("id", 7),
                    new QuerySettings().serverSetting("max_threads", "1"));
            assertThat(rows).singleElement().satisfies(row -> {
                assertThat(row.getInteger("id")).isEqualTo(7);
                assertThat(row.getString("threads")).isEqualTo("1");
            });
        }
    }

    @Test
    void tellsServerErrors() {
        try (Client client = client()) {
            assertThatThrownBy(() -> client.insert("visits", stream("x\ty\n"), ClickHouseFormat.TSV)
                            .get()
                            .close())
                    .satisfies(e -> assertThat(serverError(e).getCode()).isEqualTo(27));
            assertThatThrownBy(() -> client.query("SELECT * FROM nosuch").get().close())
                    .satisfies(e -> assertThat(serverError(e).getCode()).isEqualTo(60));
        }
    }

    @Test
    void anErrorInsideAStreamedResultIsNotTheEndOfTheRows() {
        var settings = new QuerySettings().setFormat(ClickHouseFormat.RowBinaryWithNamesAndTypes);
        String sql = "SELECT number AS id, throwIf(number = 3000000) FROM numbers(10000000)";
        try (Client client = client()) {
            assertThatThrownBy(() -> {
                        try (QueryResponse response =
                                        client.query(sql, settings).get();
                                ClickHouseBinaryFormatReader reader = client.newBinaryFormatReader(response)) {
                            sumOfIds(reader);
                        }
                    })
                    .isInstanceOf(Exception.class);
        }
    }

    private static long sumOfIds(ClickHouseBinaryFormatReader reader) {
        long sum = 0;
        while (reader.hasNext()) {
            reader.next();
            sum += reader.getLong("id");
        }
        return sum;
    }

    private static ServerException serverError(Throwable failure) {
        Throwable cause = failure;
        while (cause != null && !(cause instanceof ServerException)) {
            cause = cause.getCause();
        }
        assertThat(cause).as("%s", failure).isNotNull();
        return (ServerException) cause;
    }

    private static InputStream stream(String text) {
        return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
    }
}
