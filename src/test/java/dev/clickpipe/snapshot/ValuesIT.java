package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What the load makes of values: random ones, such as the target has no place for, and those of other encodings. */
@Timeout(300)
class ValuesIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private LoadedPipe pipe() {
        return new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    @Test
    void any_bytes_any_numbers_any_moments() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE anything (id int PRIMARY KEY, b bytea, t text, f8 float8, f4 float4, n numeric, d numeric(60,20), ts timestamp, bs bytea[], tx text[])",
                        """
                        INSERT INTO anything
                        SELECT i,
                               (SELECT string_agg(set_byte('\\x00', 0, (random() * 255)::int), '' ORDER BY k) FROM generate_series(1, 30 + i % 2) k),
                               (SELECT string_agg(chr(CASE WHEN random() < .5 THEN 1 + (random() * 126)::int ELSE 160 + (random() * 50000)::int END), '' ORDER BY k) FROM generate_series(1, 20 + i % 2) k),
                               (random() - .5) * 10 ^ (random() * 600 - 300), (random() - .5) * 10 ^ (random() * 70 - 35),
                               (random() - .5)::numeric * 10::numeric ^ (random() * 100)::int,
                               (random() - .5)::numeric * 10::numeric ^ (random() * 38)::int,
                               timestamp '0001-01-01' + random() * 3652058 * interval '1 day',
                               ARRAY[decode(md5(i::text), 'hex'), NULL, ''],
                               ARRAY[chr(1 + i % 126), chr(1 + (i * 7) % 126) || chr(1 + (i * 13) % 126), NULL]
                        FROM generate_series(1, 3000) i
                        """,
                        "INSERT INTO anything SELECT 10000 + i, set_byte('\\x00', 0, i), CASE WHEN i > 0 THEN chr(i) END FROM generate_series(0, 255) i",
                        "UPDATE anything SET bs = '{}', tx = '{}' WHERE id >= 10000");
        try (var pipe = pipe().table("public", "anything", ReplacingMergeTree)) {
            pipe.load();
            pipe.compare("public", "anything")
                    .columns("id", "b", "t", "f8", "f4", "n", "d", "ts", "tx")
                    .key("id")
                    .assertEqual();
            assertThat(CLICKHOUSE.client().rows("SELECT id, arrayMap(x -> hex(x), bs) FROM anything ORDER BY id"))
                    .isEqualTo(
                            POSTGRES.client()
                                    .rows(
                                            "SELECT id, '[' || coalesce((SELECT string_agg(coalesce('''' || upper(encode(x, 'hex')) || '''', 'NULL'), ',' ORDER BY k) FROM unnest(bs) WITH ORDINALITY u (x, k)), '') || ']' FROM anything ORDER BY id"));
        }
    }

    @Test
    void a_value_without_a_place_stops_its_table_and_no_other() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE strict_numbers (id int PRIMARY KEY, price numeric(4,1))",
                        "INSERT INTO strict_numbers VALUES (1, 1.5), (2, 'NaN')",
                        "CREATE TABLE ragged (id int PRIMARY KEY, a int[])",
                        "INSERT INTO ragged VALUES (1, '{1}'), (2, '{{1,2},{3,4}}')",
                        "CREATE TABLE moments (id int, d date, t timestamptz, PRIMARY KEY (id, d, t))",
                        "INSERT INTO moments VALUES (1, 'infinity', 'infinity'), (1, '1900-01-01', '2024-01-01'), (1, '9999-12-31', '2024-01-01')",
                        "CREATE TABLE innocent (id int PRIMARY KEY)",
                        "INSERT INTO innocent VALUES (1)");
        try (var pipe = pipe().table("public", "strict_numbers", ReplacingMergeTree)
                .table("public", "ragged", MergeTree)
                .table("public", "moments", ReplacingMergeTree)
                .table("public", "innocent", ReplacingMergeTree)) {
            assertThatThrownBy(pipe::load).isInstanceOfSatisfying(PipeException.class, e -> {
                assertThat(e.retryable()).isFalse();
                assertThat(e.problems())
                        .extracting(problem -> problem.object() + ": " + problem.message())
                        .containsExactlyInAnyOrder(
                                "table public.strict_numbers, column price: the target has no value for NaN in a column of type Decimal(4, 1)",
                                "table public.moments, column d: the target has no value for a key at the end of the range or beyond in a column of type Date32",
                                "table public.ragged, column a: the target has no value for a 2-dimensional array in a column of type Array(Nullable(Int32))");
                assertThat(e.problems())
                        .allSatisfy(problem -> assertThat(problem.remedy()).isNotBlank());
            });
            pipe.compare("public", "innocent").assertEqual();

            // The first remedy of each is true.
            var relation = POSTGRES.client().query("SELECT pg_relation_filenode('ragged')");
            POSTGRES.client()
                    .execute(
                            "UPDATE strict_numbers SET price = 0 WHERE id = 2",
                            "DELETE FROM moments WHERE d = '9999-12-31'",
                            "DELETE FROM ragged WHERE id = 1",
                            "ALTER TABLE ragged ALTER COLUMN a TYPE int[][]");
            assertThat(POSTGRES.client().query("SELECT pg_relation_filenode('ragged')"))
                    .isEqualTo(relation);
            pipe.destination.execute("DROP TABLE " + identifier("ragged"));
            pipe.table("public", "ragged", MergeTree).load();
            pipe.compare("public", "strict_numbers").assertEqual();
            pipe.compare("public", "ragged").assertEqual();
            pipe.compare("public", "moments")
                    .expecting("d", text -> text.equals("infinity") ? "2299-12-31" : text)
                    .expecting("t", text -> text.equals("infinity") ? "9999-12-31 23:59:59.999999" : text)
                    .assertEqual();
        }
    }

    @Test
    void a_database_in_another_encoding_arrives_as_utf8() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
                        "CREATE DATABASE japanese ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0");
        try {
            for (var database : new String[] {"latin", "japanese"}) {
                var postgres = POSTGRES.client().withDatabase(database);
                var text = database.equals("latin") ? "é\\ñ" : "漢字ソ\\";
                postgres.execute(
                        "CREATE TABLE " + database + " (id int PRIMARY KEY, t text)",
                        "INSERT INTO " + database + " VALUES (1, '" + text + "')");
                try (var pipe = new LoadedPipe(directory, postgres, CLICKHOUSE.client())
                        .table("public", database, ReplacingMergeTree)) {
                    pipe.load();
                    pipe.compare("public", database).assertEqual();
                }
            }
        } finally {
            POSTGRES.client().execute("DROP DATABASE latin WITH (FORCE)", "DROP DATABASE japanese WITH (FORCE)");
        }
    }
}
