package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Values that Postgres does not send, because they are TOASTed and an UPDATE left them as they were. */
class UnchangedValuesIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    /** Long enough to be stored out of line, and full of what needs escaping. */
    private static final String LONG = "repeat(E'x\\ty\\n\\\\z''ü', 1000)";

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void clients() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
    }

    private TestPipe.Builder pipe() {
        return new TestPipe.Builder(postgres, clickHouse);
    }

    /** Out of line whatever its length compresses to. */
    private void createTable(String name, String columns) {
        postgres.execute("CREATE TABLE " + name + " (" + columns
                + ", v int, big text, blob bytea, list text[] NOT NULL DEFAULT '{}')");
        for (var column : List.of("big", "blob", "list")) {
            postgres.execute("ALTER TABLE " + name + " ALTER " + column + " SET STORAGE EXTERNAL");
        }
    }

    private double found(TestPipe pipe, String where) {
        var counter = pipe.meters()
                .find("clickpipe.cdc.unchanged.values")
                .tag("found", where)
                .counter();
        return counter == null ? 0 : counter.count();
    }

    @Test
    void fromTheSameTransaction() throws InterruptedException {
        createTable("same", "id int PRIMARY KEY");
        try (var pipe = pipe().table("same").start()) {
            postgres.transaction(
                    "INSERT INTO same SELECT i, 0, " + LONG + " || i FROM generate_series(1, 10) i",
                    "UPDATE same SET v = 1",
                    "UPDATE same SET v = 2 WHERE id = 3",
                    "UPDATE same SET big = " + LONG + " || 'new' WHERE id = 4",
                    "UPDATE same SET v = 3, id = id + 100 WHERE id IN (4, 5)",
                    "UPDATE same SET v = 4 WHERE id > 100",
                    "UPDATE same SET big = NULL WHERE id = 6",
                    "UPDATE same SET v = 5 WHERE id = 6",
                    "DELETE FROM same WHERE id = 7",
                    "INSERT INTO same VALUES (7, 0, " + LONG + " || 'again')",
                    "UPDATE same SET v = 6 WHERE id = 7");
            pipe.awaitEqual(pipe.comparison("same").key("id"));
            assertThat(found(pipe, "batch")).isGreaterThan(10);
            assertThat(found(pipe, "source") + found(pipe, "target") + found(pipe, "nowhere"))
                    .isZero();
        }
    }

    @Test
    void fromEarlierBatchesAndRuns() throws InterruptedException {
        createTable("earlier", "id int PRIMARY KEY");
        try (var pipe = pipe().table("earlier").start()) {
            postgres.execute("INSERT INTO earlier SELECT i, 0, " + LONG
                    + " || i, convert_to(" + LONG + ", 'UTF8') || '\\x00ff27', ARRAY[" + LONG
                    + ", NULL, '\"'] FROM generate_series(1, 1500) i");
            pipe.awaitConfirmed();
            postgres.execute("UPDATE earlier SET v = 1", "UPDATE earlier SET id = -id WHERE id = 5");
            pipe.awaitEqual(pipe.comparison("earlier").key("id"));
            assertThat(found(pipe, "target")).isEqualTo(4503);
            assertThat(found(pipe, "source")).isZero();
            pipe.restart();
            postgres.execute("UPDATE earlier SET v = 2 WHERE id < 10");
            pipe.awaitEqual(pipe.comparison("earlier").key("id"));
            assertThat(found(pipe, "source")).isZero();
        }
    }

    @Test
    void keysOfManyTypes() throws InterruptedException {
        createTable(
                "odd",
                "t text, n numeric(20,3), nn numeric, at timestamptz, d date, b bytea, u uuid, f float8, o bool, PRIMARY KEY (t, n, nn, at, d, b, u, f, o)");
        try (var pipe = pipe().table("odd").start()) {
            postgres.execute("INSERT INTO odd SELECT E'k\\t\\n\\\\''\"ü`' || i, i + 0.5, 1e30 + i, "
                    + "timestamptz '2024-02-29 01:02:03.4+05' + i * interval '1 hour', date '2024-02-29' + i, "
                    + "('\\x00ff275c0a' || lpad(to_hex(i), 4, '0'))::bytea, md5(i::text)::uuid, i / 3.0, i % 2 = 0, 0, "
                    + LONG + " || i FROM generate_series(1, 50) i");
            pipe.awaitConfirmed();
            postgres.execute("UPDATE odd SET v = 1");
            pipe.awaitEqual(pipe.comparison("odd").key("t"));
            assertThat(found(pipe, "target")).isEqualTo(50);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10, 1000})
    void fromTheSource(int batchRows) throws InterruptedException {
        var older = "older_" + batchRows;
        createTable(older, "id int, k text, PRIMARY KEY (id, k)");
        // before the slot: never sent
        postgres.execute("INSERT INTO " + older + " SELECT i, E'k''\\\\' || i, 0, " + LONG
                + " || i, '\\x00ff', ARRAY['a', NULL] FROM generate_series(1, 30) i");
        try (var pipe = pipe().table(older).batchRows(batchRows).setUp()) {
            postgres.execute(
                    "UPDATE " + older + " SET v = 1",
                    "UPDATE " + older + " SET v = 2, big = NULL WHERE id = 1",
                    "UPDATE " + older + " SET v = 3 WHERE id = 2",
                    "UPDATE " + older + " SET id = 300 WHERE id = 3",
                    "UPDATE " + older + " SET id = 3000, v = 4 WHERE id = 300",
                    "DELETE FROM " + older + " WHERE id = 4");
            pipe.start();
            pipe.awaitEqual(pipe.comparison(older).key("id"));
            assertThat(found(pipe, "source")).isGreaterThan(20);
            // of the deleted row
            assertThat(found(pipe, "nowhere")).isPositive();
        }
    }

    /** In the batch of the change; a row of cdc_only that was there before the slot, read later, could be taken for the other. */
    @Test
    void fromTheSourceThoughTheKeyIsAnothersNow() throws InterruptedException {
        createTable("reused", "id int PRIMARY KEY");
        postgres.execute("INSERT INTO reused VALUES (5, 0, " + LONG + " || 'first')");
        try (var pipe = pipe().table("reused").start()) {
            postgres.transaction(
                    "UPDATE reused SET v = 1",
                    "UPDATE reused SET id = 50",
                    "UPDATE reused SET id = 500",
                    "INSERT INTO reused VALUES (5, 0, " + LONG + " || 'second'), (50, 0, 'third')");
            pipe.awaitEqual(pipe.comparison("reused").key("id"));
            assertThat(found(pipe, "source")).isEqualTo(1);
        }
    }

    @Test
    void inAHistory() throws InterruptedException {
        createTable("narrated", "id int PRIMARY KEY");
        try (var pipe = pipe().table("narrated", TableEngine.MergeTree).start()) {
            postgres.execute("INSERT INTO narrated SELECT i, 0, " + LONG + " || i FROM generate_series(1, 20) i");
            pipe.awaitConfirmed();
            postgres.transaction(
                    "UPDATE narrated SET v = 1",
                    "UPDATE narrated SET v = 2, big = big || 'new' WHERE id = 1",
                    "UPDATE narrated SET v = 3 WHERE id = 1");
            pipe.awaitConfirmed();
            assertThat(
                            clickHouse.rows(
                                    "SELECT v, length(big), big LIKE '%1new' FROM narrated WHERE id = 1 ORDER BY _clickpipe_version"))
                    .extracting(row -> row.get(0) + " " + row.get(2))
                    .containsExactly("0 0", "1 0", "2 1", "3 1");
            assertThat(clickHouse.query("SELECT uniq(big), count() FROM narrated WHERE v <= 1"))
                    .isEqualTo("20\t40");
        }
    }

    @Test
    void aLongKey() throws InterruptedException {
        postgres.execute(
                "CREATE TABLE longkey (k text PRIMARY KEY, v int, big text)",
                "ALTER TABLE longkey ALTER k SET STORAGE EXTERNAL",
                "ALTER TABLE longkey ALTER big SET STORAGE EXTERNAL");
        try (var pipe = pipe().table("longkey").start()) {
            postgres.execute("INSERT INTO longkey SELECT left(repeat('k' || i, 1200), 2500), 0, " + LONG
                    + " FROM generate_series(1, 300) i");
            pipe.awaitConfirmed();
            postgres.execute(
                    "UPDATE longkey SET v = 1",
                    "UPDATE longkey SET k = 'short' WHERE k = left(repeat('k7', 1200), 2500)",
                    "DELETE FROM longkey WHERE k = left(repeat('k9', 1200), 2500)");
            pipe.awaitEqual("longkey");
        }
    }
}
