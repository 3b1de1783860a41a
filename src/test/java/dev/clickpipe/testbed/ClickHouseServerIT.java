package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The protocol, seen with a plain HTTP client; {@link ClickHouseClientsIT} does it with the official ones. */
class ClickHouseServerIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private final HttpClient http = HttpClient.newHttpClient();
    private ClickHouse clickhouse;

    @BeforeEach
    void createTable() {
        clickhouse = CLICKHOUSE.client();
        clickhouse.query("CREATE OR REPLACE TABLE t (a Int64, b String) ENGINE = MergeTree ORDER BY a");
    }

    @Test
    void answersPing() throws Exception {
        var request = HttpRequest.newBuilder(clickhouse.url().resolve("/ping")).build();
        assertThat(http.send(request, BodyHandlers.ofString()).body()).isEqualTo("Ok.\n");
    }

    @Test
    void refusesAWrongPassword() {
        var stranger = new ClickHouse(clickhouse.url(), clickhouse.user(), "wrong", "system");
        assertError(() -> stranger.query("SELECT 1"), 516);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    SELEC 1                   | 62  | 400
                    SELECT 1; SELECT 2        | 62  | 400
                    SELECT * FROM nosuch      | 60  | 404
                    SELECT nosuch FROM t      | 47  | 404
                    SELECT * FROM nosuch.t    | 81  | 404
                    SELECT throwIf(1)         | 395 | 500
                    INSERT INTO t VALUES (x1) | 62  | 400
                    """)
    void answersErrorsWithTheirCodeAndStatus(String sql, int code, int status) throws Exception {
        var response = post("", sql);
        assertThat(response.headers().firstValue("X-ClickHouse-Exception-Code")).hasValue(String.valueOf(code));
        assertThat(response.statusCode()).isEqualTo(status);
        assertThat(response.body()).startsWith("Code: %d. DB::Exception: ".formatted(code));
    }

    @Test
    void getReadsOnly() throws Exception {
        var select = get("SELECT count() FROM t");
        assertThat(select.body()).isEqualTo("0\n");
        assertThat(get("INSERT INTO t SELECT 1, 'x'").statusCode()).isEqualTo(500);
        assertThat(clickhouse.count("t")).isZero();
    }

    @Test
    void takesDataAfterTheStatementInTheBody() throws Exception {
        post("", "INSERT INTO t FORMAT TSV\n1\tone\n2\ttwo\n");
        post("", "INSERT INTO t VALUES (3, 'it''s'), (4, 'FORMAT')");
        assertThat(clickhouse.rows("SELECT a, b FROM t ORDER BY a"))
                .containsExactly(
                        List.of("1", "one"), List.of("2", "two"), List.of("3", "it\\'s"), List.of("4", "FORMAT"));
    }

    @Test
    void countsWhatAnInsertWrote() throws Exception {
        var response = post("&query=" + encode("INSERT INTO t FORMAT TSV"), "1\tone\n2\ttwo\n");
        assertThat(response.headers().firstValue("X-ClickHouse-Summary"))
                .hasValueSatisfying(summary -> assertThat(summary)
                        .contains("\"written_rows\":\"2\"", "\"read_rows\":\"2\"", "\"result_rows\":\"2\""));
    }

    @Test
    void insertsThroughInput() throws Exception {
        String sql =
                "INSERT INTO t SELECT x + 1, upper(y) FROM input('x Int64, y String') WHERE x > {least:Int64} FORMAT TSV";
        var response = post("&param_least=1&query=" + encode(sql), "1\tä\n2\tb\n3\tc\n");
        assertThat(response.body()).isEmpty();
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(clickhouse.rows("SELECT a, b FROM t ORDER BY a"))
                .containsExactly(List.of("3", "B"), List.of("4", "C"));
    }

    @Test
    void takesSettingsFromTheUrlForThisRequestOnly() throws Exception {
        String session = "&session_id=settings";
        assertThat(post(session + "&max_block_size=1234", "SELECT getSetting('max_block_size')")
                        .body())
                .isEqualTo("1234\n");
        assertThat(post(session, "SELECT getSetting('max_block_size')").body()).isNotEqualTo("1234\n");
        assertThat(post("&no_such_setting=1", "SELECT 1").headers().firstValue("X-ClickHouse-Exception-Code"))
                .hasValue("115");
    }

    @Test
    void sessionsKeepTemporaryTables() throws Exception {
        assertThat(post("&session_id=unknown&session_check=1", "SELECT 1").body())
                .contains("SESSION_NOT_FOUND");
        post("&session_id=temporary", "CREATE TEMPORARY TABLE mine (x Int8)");
        post("&session_id=temporary", "INSERT INTO mine VALUES (7)");
        assertThat(post("&session_id=temporary&session_check=1", "SELECT x FROM mine")
                        .body())
                .isEqualTo("7\n");
        assertThat(post("", "SELECT x FROM mine").statusCode()).isEqualTo(404);
    }

    @ParameterizedTest
    @ValueSource(strings = {"TSV", "JSONEachRow", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes"})
    void streamsAResultAsOneDocument(String format) throws Exception {
        String sql = "SELECT number AS n, toString(number) AS s FROM numbers(%s) FORMAT " + format;
        long header = length(sql.formatted("0"));
        long one = length(sql.formatted("5, 1")) - header;
        // ten thousand rows of equally long numbers, in blocks of a hundred
        long many = length(sql.formatted("10000, 10000") + " SETTINGS max_block_size = 100");
        long digits = format.startsWith("RowBinary") ? 4 : 8;
        assertThat(many).isEqualTo(header + 10_000 * (one + digits));
    }

    @Test
    void anErrorInsideAStreamedResultBreaksTheBody() {
        assertThatThrownBy(() -> post("", "SELECT throwIf(number = 5000000), number FROM numbers(10000000)"))
                .isInstanceOf(IOException.class);
    }

    @Test
    void killsAQueryByTheIdOfItsRequest() {
        var slow = CompletableFuture.supplyAsync(() -> {
            try {
                return post("&query_id=slow-one&max_execution_time=30", "SELECT count() FROM numbers(1000000000000)");
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        await().until(
                        () -> clickhouse.query(
                                "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000)%' AND query NOT LIKE '%LIKE%'"),
                        "1"::equals);
        clickhouse.query("KILL QUERY WHERE query_id = 'slow-one' SYNC");
        assertThat(slow.join().body()).contains("QUERY_WAS_CANCELLED");
    }

    @Test
    void anInsertWhoseClientDiesIsNotCommitted() throws Exception {
        try (var socket = new Socket(clickhouse.host(), clickhouse.port())) {
            socket.getOutputStream().write("""
                            POST /?database=%s&user=%s&password=%s&query=%s HTTP/1.1
                            Host: test
                            Transfer-Encoding: chunked

                            6
                            1\tone

                            """.formatted(
                            clickhouse.database(),
                            clickhouse.user(),
                            encode(clickhouse.password()),
                            encode("INSERT INTO t FORMAT TSV"))
                    .replace("\n", "\r\n")
                    .replace("\tone\r\n", "\tone\n")
                    .getBytes(StandardCharsets.UTF_8));
            await().until(
                            () -> clickhouse.query(
                                    "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t %'"),
                            "1"::equals);
        }
        await().until(
                        () -> clickhouse.query(
                                "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t %'"),
                        "0"::equals);
        assertThat(clickhouse.count("t")).isZero();
    }

    @Test
    void refusesOnceWhenATestAsks() {
        CLICKHOUSE.failNext("INSERT INTO t", Fault.Refuse.tooManyParts());
        assertError(() -> clickhouse.insert("INSERT INTO t FORMAT TSV", bytes("1\tone\n")), 252);
        clickhouse.insert("INSERT INTO t FORMAT TSV", bytes("1\tone\n"));
        assertThat(clickhouse.count("t")).isEqualTo(1);
    }

    @Test
    void losesAnAnswerWhenATestAsks() {
        CLICKHOUSE.failNext("INSERT INTO t", new Fault.LoseAnswer());
        assertThatThrownBy(() -> clickhouse.insert("INSERT INTO t FORMAT TSV", bytes("1\tone\n")))
                .isInstanceOf(UncheckedIOException.class);
        assertThat(clickhouse.count("t")).isEqualTo(1);
    }

    @Test
    void disconnectsWhenATestAsks() {
        CLICKHOUSE.failNext("INSERT INTO t", new Fault.Disconnect());
        assertThatThrownBy(() -> clickhouse.insert("INSERT INTO t FORMAT TSV", bytes("1\tone\n")))
                .isInstanceOf(UncheckedIOException.class);
        assertThat(clickhouse.count("t")).isZero();
    }

    private static void assertError(Runnable statement, int code) {
        assertThatThrownBy(statement::run)
                .isInstanceOfSatisfying(
                        ClickHouse.QueryFailed.class, e -> assertThat(e.code()).isEqualTo(code));
    }

    private long length(String sql) throws Exception {
        return http.send(
                        request("")
                                .POST(HttpRequest.BodyPublishers.ofString(sql))
                                .build(),
                        BodyHandlers.ofByteArray())
                .body()
                .length;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private HttpResponse<String> post(String parameters, String body) throws Exception {
        var request = request(parameters).POST(HttpRequest.BodyPublishers.ofString(body));
        return http.send(request.build(), BodyHandlers.ofString());
    }

    private HttpResponse<String> get(String sql) throws Exception {
        return http.send(request("&query=" + encode(sql)).build(), BodyHandlers.ofString());
    }

    private HttpRequest.Builder request(String parameters) {
        return HttpRequest.newBuilder(
                        URI.create(clickhouse.url() + "/?database=" + encode(clickhouse.database()) + parameters))
                .header("X-ClickHouse-User", clickhouse.user())
                .header("X-ClickHouse-Key", clickhouse.password());
    }

    private static String encode(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8);
    }
}
