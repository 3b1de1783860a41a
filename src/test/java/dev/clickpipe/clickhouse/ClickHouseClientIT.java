package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static dev.clickpipe.clickhouse.ClickHouseClient.literal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.clickhouse.ClickHouseClient.Insert;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClickHouseClientIT {
    private static final Postgres NONE = new Postgres("127.0.0.1", 1, "u", "p", "d");

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private TestPipe pipe;
    private ClickHouseClient client;

    @BeforeEach
    void connect() {
        pipe = new TestPipe(directory, NONE, CLICKHOUSE.client()).map("public.t");
        client = pipe.clickHouseClient();
        client.execute("CREATE OR REPLACE TABLE t (id Int64, `a ``b` Nullable(String)) ENGINE = MergeTree ORDER BY id");
    }

    @AfterEach
    void close() {
        client.close();
    }

    private static Insert insert(String... rows) {
        return new Insert("t", List.of("id", "a `b"), Map.of(), out -> {
            for (var row : rows) {
                out.write((row + "\n").getBytes(StandardCharsets.UTF_8));
            }
        });
    }

    @Test
    void insertsWhatItIsGiven() {
        assertThat(client.insert(insert("1\tx", "2\t\\N", "3\ta\\tb\\\\ü"))).isEqualTo(3);

        assertThat(client.query("SELECT * FROM t ORDER BY id", Map.of()))
                .extracting(row -> row.get("a `b"))
                .containsExactly("x", null, "a\tb\\ü");
    }

    @Test
    void streamsMoreThanItCouldHold() {
        var chunk = ("7\t" + "x".repeat(1000) + "\n").repeat(1000).getBytes(StandardCharsets.UTF_8);
        long megabytes = 2 * Runtime.getRuntime().maxMemory() / (1 << 20) > 400 ? 400 : 200;

        long rows = client.insert(new Insert("t", List.of("id", "a `b"), Map.of(), out -> {
            for (int i = 0; i < megabytes; i++) {
                out.write(chunk);
            }
        }));

        assertThat(rows).isEqualTo(megabytes * 1000);
    }

    @Test
    void settingsGoWithTheInsert() {
        client.execute("ALTER TABLE t MODIFY SETTING non_replicated_deduplication_window = 10");
        var once = new Insert(
                "t",
                List.of("id"),
                Map.of("insert_deduplication_token", "it's one"),
                out -> out.write("1\n".getBytes(StandardCharsets.UTF_8)));

        client.insert(once);
        client.insert(once);

        assertThat(client.query("SELECT count() AS n FROM t", Map.of())
                        .getFirst()
                        .get("n")
                        .toString())
                .isEqualTo("1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"plain", "it's", "back\\slash", "tab\tand\nline", "`", "\"", "{x}", "ü€😀", "%41+&="})
    void namesLiteralsAndParametersComeBackUnchanged(String text) {
        client.execute("CREATE OR REPLACE TABLE " + identifier(text) + " (" + identifier(text)
                + " String) ENGINE = MergeTree ORDER BY tuple()");
        client.execute("INSERT INTO " + identifier(text) + " VALUES (" + literal(text) + ")");

        assertThat(client.exists(text)).isTrue();
        assertThat(client.query("SELECT * FROM " + identifier(text), Map.of())).containsExactly(Map.of(text, text));
        assertThat(client.query(
                        "SELECT {p:String} AS p, " + identifier(text) + " = {p:String} AS same FROM "
                                + identifier(text),
                        Map.of("p", text)))
                .singleElement()
                .satisfies(row -> {
                    assertThat(row.get("p")).isEqualTo(text);
                    assertThat(row.get("same").toString()).isIn("1", "true");
                });
        client.execute("DROP TABLE " + identifier(text));
    }

    @Test
    void aRowThatCannotBeReadIsRefusedWithItsColumnAndWithoutItsNeighbours() {
        var refused =
                catchThrowableOfType(PipeException.class, () -> client.insert(insert("1\tx", "two\thush", "3\tz")));

        assertThat(refused.retryable()).isFalse();
        assertThat(refused.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.reason()).isEqualTo("ValueRefused");
            assertThat(problem.object()).endsWith(".t");
            assertThat(problem.message()).contains("Cannot parse").doesNotContain("hush");
        });
        assertThat(CLICKHOUSE.client().count("t")).isZero();
    }

    @Test
    void whatTheBodyThrowsComesOut() {
        var gone = PipeException.retryable(new Problem("ConnectionLost", "table a.b", "gone", "wait"), null);
        var calls = new AtomicInteger();

        assertThatThrownBy(() -> client.insert(new Insert("t", List.of("id"), Map.of(), out -> {
                    calls.incrementAndGet();
                    out.write("1\n".getBytes(StandardCharsets.UTF_8));
                    throw gone;
                })))
                .isSameAs(gone);
        assertThat(calls).hasValue(1);
        assertThatThrownBy(() -> client.insert(new Insert("t", List.of("id"), Map.of(), out -> {
                    throw new IOException("pulled the plug");
                })))
                .isInstanceOfSatisfying(
                        PipeException.class, e -> assertThat(e.retryable()).isTrue());
    }

    @Test
    void aLostConnectionIsNotTriedTwice() {
        for (Fault fault : List.of(new Fault.Disconnect(), new Fault.LoseAnswer())) {
            client.execute("TRUNCATE TABLE t");
            CLICKHOUSE.failNext("INSERT INTO `t`", fault);
            var calls = new AtomicInteger();

            var lost = catchThrowableOfType(
                    PipeException.class,
                    () -> client.insert(new Insert("t", List.of("id"), Map.of(), out -> {
                        calls.incrementAndGet();
                        out.write("1\n".getBytes(StandardCharsets.UTF_8));
                    })));

            assertThat(lost.retryable()).isTrue();
            assertThat(calls).hasValue(1);
            assertThat(CLICKHOUSE.client().count("t")).isEqualTo(fault instanceof Fault.LoseAnswer ? 1 : 0);
        }
    }

    @Test
    void aNewPasswordIsUsedFromTheNextCallOn() {
        var wrong = catchThrowableOfType(PipeException.class, () -> {
            pipe.write("clickhouse/password", "hush-wrong");
            client.execute("SELECT 1");
        });
        assertThat(wrong.retryable()).isTrue();
        assertThat(wrong.problems()).extracting(Problem::reason).containsExactly("LoginRefused");
        assertThat(wrong).hasMessageNotContaining("hush-wrong");

        pipe.write("clickhouse/password", CLICKHOUSE.client().password() + "\n");

        client.execute("SELECT 1");
    }

    @Test
    void theCodesOfTheTableAreTheServers() {
        assertThat(ClickHouseErrors.rules().stream().flatMap(rule -> rule.codes().entrySet().stream()))
                .allSatisfy(
                        code -> assertThat(CLICKHOUSE.client().query("SELECT errorCodeToName(" + code.getKey() + ")"))
                                .isEqualTo(code.getValue()));
    }

    @Test
    void definitionsAreKeptPerPipeAndReplaced() {
        var definitions = new Definitions(client, pipe.pipe());
        assertThat(definitions.all()).isEmpty();
        definitions.create();
        var table = Stream.of("it's", "b")
                .map(name -> TableDefinition.wanted(
                                "public",
                                name,
                                7,
                                name,
                                dev.clickpipe.api.TableEngine.MergeTree,
                                List.of(),
                                List.of(),
                                List.of())
                        .built(null, null, null))
                .toList();
        table.forEach(definitions::record);
        var loading = definitions.record(table.getFirst(), new TableDefinition.Loading("1/A", null));

        assertThat(definitions.all()).containsExactlyInAnyOrder(loading, table.getLast());
        var other = new Definitions(
                client,
                new TestPipe(directory, NONE, CLICKHOUSE.client())
                        .name("other")
                        .map("public.t")
                        .pipe());
        assertThat(other.all()).isEmpty();
        assertThat(other.targetsOfOthers()).containsOnly(Map.entry("it's", "test/shop"), Map.entry("b", "test/shop"));

        definitions.forget(loading);
        assertThat(definitions.all()).containsExactly(table.getLast());
        definitions.forget();
        assertThat(client.exists(Definitions.TABLE)).isFalse();
    }

    @Test
    void saysWhereNobodyAnswers() {
        var nowhere = new TestPipe(
                        directory, NONE, new ClickHouse(java.net.URI.create("http://127.0.0.1:1"), "u", "hush", "d"))
                .map("public.t")
                .clickHouseClient();

        var refused = catchThrowableOfType(PipeException.class, () -> nowhere.execute("SELECT 1"));

        assertThat(refused.retryable()).isTrue();
        assertThat(refused).hasMessageContaining("clickhouse 127.0.0.1:1/d").hasMessageNotContaining("hush");
    }
}
