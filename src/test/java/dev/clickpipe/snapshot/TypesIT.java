package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.CopyRowEncoder;
import dev.clickpipe.codec.Mapping;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import dev.clickpipe.testbed.TableComparison;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.PGConnection;

/** Values of every type on their whole way: Postgres' own text, the codec, the engine's parser, and back. */
@Timeout(300)
class TypesIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private LoadedPipe pipe() {
        return new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    /** Each type's edge values, as SQL literals; NULL comes to each column by itself. */
    private record Edge(String column, String type, String... values) {}

    private static final List<Edge> EDGES = List.of(
            new Edge("bool", "bool", "true", "false"),
            new Edge("int2", "int2", "-32768", "32767", "0"),
            new Edge("int4", "int4", "-2147483648", "2147483647"),
            new Edge("int8", "int8", "-9223372036854775808", "9223372036854775807"),
            new Edge("oid", "oid", "0", "4294967295"),
            new Edge("float4", "float4", "'NaN'", "'Infinity'", "'-Infinity'", "1e-45", "3.4028235e38", "0.1"),
            new Edge(
                    "float8",
                    "float8",
                    "'NaN'",
                    "'Infinity'",
                    "'-Infinity'",
                    "5e-324",
                    "1.7976931348623157e308",
                    "0.1",
                    "0.30000000000000004",
                    "9007199254740993",
                    "'-0'"),
            new Edge("decimal", "numeric(10,2)", "-99999999.99", "99999999.99", "0", "0.10"),
            new Edge("decimal76", "numeric(76,38)", "9".repeat(38) + "." + "9".repeat(38), "-1e-38"),
            new Edge("negative_scale", "numeric(5,-3)", "99999000", "-1000"),
            new Edge("scale_beyond_precision", "numeric(3,5)", "0.00999", "-0.00001"),
            new Edge("decimal77", "numeric(77,2)", "9".repeat(75) + ".99", "'NaN'"),
            new Edge(
                    "unbounded",
                    "numeric",
                    "'NaN'",
                    "'Infinity'",
                    "'-Infinity'",
                    "1.500",
                    "1e1000",
                    "-1e-1000",
                    "123456789012345678901234567890.123456789012345678901234567890"),
            new Edge(
                    "text",
                    "text",
                    "''",
                    "'\\N'",
                    "'NULL'",
                    "E'\\t\\n\\r\\b\\f\\v\\\\ '' \" `'",
                    "E'\\uFEFFmark'",
                    "'naïve 漢字 🦆'",
                    "repeat('long ', 100000)"),
            new Edge("varchar", "varchar(20)", "''", "'trailing  '"),
            new Edge("bpchar", "char(5)", "'ab'", "''"),
            new Edge("name", "name", "'pg_class'"),
            new Edge("char", "\"char\"", "'a'", "''", "E'\\\\'"),
            new Edge(
                    "uuid", "uuid", "'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'"),
            new Edge(
                    "json",
                    "json",
                    "'{\"b\": 1, \"a\" :  [1e400, 12345678901234567890.10], \"b\": null}'",
                    "'null'",
                    "'\"a\\nb\\\\\"'"),
            new Edge("jsonb", "jsonb", "'{\"b\": 1, \"a\": \"\\u00fc\\n\"}'", "'[]'", "'1.10'"),
            new Edge("bytea", "bytea", "''", "'\\x00ff5c270a0d09'", "'\\xdeadbeef'"),
            new Edge("date", "date", "'2024-02-29'", "'1900-01-01'", "'2299-12-31'", "'1969-12-31'"),
            new Edge(
                    "timestamp",
                    "timestamp",
                    "'2024-02-29 12:34:56.789'",
                    "'1900-01-01'",
                    "'1900-01-01 00:00:00.000001'",
                    "'2299-12-31 23:59:59.999999'",
                    "'1969-12-31 23:59:59.5'",
                    "'1969-12-31 23:59:58.000001'",
                    "'1899-12-31 23:59:59.999999'",
                    "'0001-01-01'",
                    "'9999-12-31 23:59:59.999999'"),
            new Edge(
                    "timestamptz",
                    "timestamptz",
                    "'2024-03-31 02:30:00+02'",
                    "'1969-12-31 23:59:59.999999+00'",
                    "'0001-01-01 00:00:00+00'",
                    "'9999-12-31 23:59:59.999999+00'"),
            new Edge("time", "time", "'00:00:00'", "'24:00:00'", "'23:59:59.999999'"),
            new Edge("timetz", "timetz", "'12:34:56.7+05:30'"),
            new Edge("interval", "interval", "'1 year -2 months 3 days 04:05:06.789'", "'0'"),
            new Edge("inet", "inet", "'::1/64'"),
            new Edge("macaddr", "macaddr", "'08:00:2b:01:02:03'"),
            new Edge("bit", "bit varying", "'1011'"),
            new Edge("money", "money", "'-12345.67'"),
            new Edge("xml", "xml", "'<a b=\"c\">&amp;</a>'"),
            new Edge("tsvector", "tsvector", "'a fat cat'"),
            new Edge("point", "point", "'(1.000000000000001,-2)'"),
            new Edge("range", "int4range", "'[1,3)'", "'empty'", "'(,)'"),
            new Edge("multirange", "nummultirange", "'{[1.5,2],[3,4)}'"),
            new Edge("composite", "pair", "ROW(1, E'a,\"b\\n')::pair"),
            new Edge("mood", "mood", "'so so'", "'it''s'", "E'a\\tb'"),
            new Edge("domain", "price", "12.30", "'NaN'"),
            new Edge("vector", "int2vector", "'1 2 3'"),
            new Edge("hstore", "hstore", "'a=>1, \"b c\"=>NULL'"),
            new Edge("citext", "citext", "'MiXed'"),
            new Edge("int_array", "int4[]", "'{}'", "'{1,NULL,-3}'", "'[0:1]={7,8}'"),
            new Edge("bool_array", "bool[]", "'{t,f,NULL}'"),
            new Edge("float_array", "float8[]", "'{NaN,Infinity,-Infinity,0.1,5e-324}'"),
            new Edge("decimal_array", "numeric(10,2)[]", "'{1.10,NULL,-99999999.99}'"),
            new Edge("unbounded_array", "numeric[]", "'{1.100,NaN,1e50}'"),
            new Edge(
                    "text_array",
                    "text[]",
                    "'{}'",
                    "ARRAY['', 'NULL', NULL, 'a,b', '{c}', E'd\\\\\\'\"', E'e\\tf\\ng', '漢']"),
            new Edge("uuid_array", "uuid[]", "'{00000000-0000-0000-0000-000000000001,NULL}'"),
            new Edge("date_array", "date[]", "'{2024-01-01,1900-01-01,NULL}'"),
            new Edge("timestamp_array", "timestamp[]", "'{2024-01-01 00:00:00.5,1969-12-31 23:59:59.5}'"),
            new Edge("timestamptz_array", "timestamptz[]", "'{2024-01-01 00:00:00+01,NULL}'"),
            new Edge("jsonb_array", "jsonb[]", "ARRAY['{\"a\": [1, \"x,y\"]}'::jsonb, NULL, 'null']"),
            new Edge("mood_array", "mood[]", "ARRAY['so so', NULL, E'a\\tb']::mood[]"),
            new Edge("matrix", "int4[][]", "'{{1,2},{NULL,4}}'", "'{}'"),
            new Edge("interval_array", "interval[]", "'{1 day,NULL,-01:02:03}'"));

    @Test
    void every_type_comes_through_exactly_in_both_phases() throws Exception {
        POSTGRES.client()
                .execute(
                        "CREATE EXTENSION hstore",
                        "CREATE EXTENSION citext",
                        "CREATE TYPE mood AS ENUM ('so so', 'it''s', E'a\\tb')",
                        "CREATE TYPE pair AS (n int, t text)",
                        "CREATE DOMAIN price AS numeric(8,2)",
                        "CREATE TABLE types (id serial PRIMARY KEY, "
                                + EDGES.stream()
                                        .map(edge -> '"' + edge.column + "\" " + edge.type)
                                        .collect(Collectors.joining(", "))
                                + ")",
                        "INSERT INTO types DEFAULT VALUES");
        for (var edge : EDGES) {
            for (var value : edge.values) {
                POSTGRES.client().execute("INSERT INTO types (\"" + edge.column + "\") VALUES (" + value + ")");
            }
        }
        try (var pipe = pipe().table("public", "types", ReplacingMergeTree)) {
            pipe.load();
            // Two rules: a Decimal has no NaN, and a NULL array is an empty one, for ClickHouse has no Nullable(Array).
            POSTGRES.client().execute("UPDATE types SET domain = NULL WHERE domain = 'NaN'");
            for (var edge : EDGES) {
                if (edge.type.endsWith("[]")) {
                    POSTGRES.client()
                            .execute("UPDATE types SET \"" + edge.column + "\" = '{}' WHERE \"" + edge.column
                                    + "\" IS NULL");
                }
            }
            pipe.compare("public", "types").key("id").assertEqual();

            insertAsChangeDataCaptureDoes(pipe, pipe.definition("types"));
            TableComparison.between(POSTGRES.client(), "types", CLICKHOUSE.client(), "types_raw")
                    .key("id")
                    .assertEqual();
        }
    }

    /** The same rows through the encoders alone, from unescaped text, nothing passed through. */
    private static void insertAsChangeDataCaptureDoes(LoadedPipe pipe, TableDefinition definition)
            throws SQLException, IOException {
        pipe.destination.execute("CREATE TABLE types_raw AS types");
        var columns = definition.columns().stream()
                .map(column -> {
                    var mapping = column.mapping();
                    return new CopyRowEncoder.Column(
                            column.name(), new Mapping(mapping.clickHouseType(), mapping.encoder(), false));
                })
                .toList();
        var encoder = new CopyRowEncoder("types", columns, "1\t".getBytes(StandardCharsets.US_ASCII));
        var rows = new TsvBuffer();
        try (var connection = pipe.source.connect("test")) {
            var copy = connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY types TO STDOUT");
            for (byte[] row = copy.readFromCopy(); row != null; row = copy.readFromCopy()) {
                encoder.encode(row, rows);
            }
        }
        var names = new ArrayList<>(List.of("_clickpipe_version"));
        columns.forEach(column -> names.add(column.name()));
        pipe.destination.insert(
                new ClickHouseClient.Insert("types_raw", names, TypeMapping.INSERT_SETTINGS, rows::writeTo));
    }

    @Test
    void what_the_target_can_not_hold_becomes_the_nearer_end() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE ends (id int PRIMARY KEY, d date, t timestamp, z timestamptz, ds date[])",
                        "INSERT INTO ends VALUES (1, 'infinity', 'infinity', 'infinity', '{infinity,-infinity}')",
                        "INSERT INTO ends VALUES (2, '-infinity', '-infinity', '-infinity', '{}')",
                        "INSERT INTO ends VALUES (3, '0044-03-15 BC', '0044-03-15 12:00 BC', '0044-03-15 12:00+00 BC', '{0044-03-15 BC}')",
                        "INSERT INTO ends VALUES (4, '1899-12-31', '10000-01-01', '294276-12-31 23:59:59.999999+00', '{}')",
                        "INSERT INTO ends VALUES (5, '2300-01-01', '4713-01-01 BC', '0001-01-01 00:00:00+00', '{}')",
                        "INSERT INTO ends VALUES (6, '5874897-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '{}')");
        try (var pipe = pipe().table("public", "ends", ReplacingMergeTree)) {
            pipe.load();
            var first = "0001-01-01 00:00:00.000000";
            var last = "9999-12-31 23:59:59.999999";
            assertThat(CLICKHOUSE.client().rows("SELECT id, d, t, z, ds FROM ends ORDER BY id"))
                    .containsExactly(
                            List.of("1", "2299-12-31", last, last, "['2299-12-31','1900-01-01']"),
                            List.of("2", "1900-01-01", first, first, "[]"),
                            List.of("3", "1900-01-01", first, first, "['1900-01-01']"),
                            List.of("4", "1900-01-01", last, last, "[]"),
                            List.of("5", "2299-12-31", first, first, "[]"),
                            List.of("6", "2299-12-31", last, last, "[]"));
        }
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
    void without_nullable_columns_null_is_the_default() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE defaults (id int PRIMARY KEY, i int, t text, d numeric(4,1), u uuid, ts timestamp, a int[], day date, b bool)",
                        "INSERT INTO defaults (id) VALUES (1)");
        try (var pipe = pipe().withoutNullableColumns().table("public", "defaults", ReplacingMergeTree)) {
            pipe.load();
            assertThat(CLICKHOUSE.client().rows("SELECT i, t, d, u, ts, a, day, b FROM defaults"))
                    .containsExactly(List.of(
                            "0",
                            "",
                            "0",
                            "00000000-0000-0000-0000-000000000000",
                            "1970-01-01 00:00:00.000000",
                            "[]",
                            "1970-01-01",
                            "false"));
        }
    }

    @Test
    void a_value_without_a_place_stops_its_table_and_no_other() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE strict_numbers (id int PRIMARY KEY, price numeric(4,1) NOT NULL)",
                        "INSERT INTO strict_numbers VALUES (1, 1.5), (2, 'NaN')",
                        "CREATE TABLE ragged (id int PRIMARY KEY, a int[])",
                        "INSERT INTO ragged VALUES (1, '{1}'), (2, '{{1,2},{3,4}}')",
                        "CREATE TABLE innocent (id int PRIMARY KEY)",
                        "INSERT INTO innocent VALUES (1)");
        try (var pipe = pipe().table("public", "strict_numbers", ReplacingMergeTree)
                .table("public", "ragged", MergeTree)
                .table("public", "innocent", ReplacingMergeTree)) {
            assertThatThrownBy(pipe::load).isInstanceOfSatisfying(PipeException.class, e -> {
                assertThat(e.retryable()).isFalse();
                assertThat(e.problems())
                        .extracting(problem -> problem.object() + ": " + problem.message())
                        .containsExactlyInAnyOrder(
                                "table public.strict_numbers, column price: the target has no value for NaN in a Decimal(4, 1) column that is not Nullable",
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
                            "DELETE FROM ragged WHERE id = 1",
                            "ALTER TABLE ragged ALTER COLUMN a TYPE int[][]");
            assertThat(POSTGRES.client().query("SELECT pg_relation_filenode('ragged')"))
                    .isEqualTo(relation);
            pipe.destination.execute("DROP TABLE " + identifier("ragged"));
            pipe.table("public", "ragged", MergeTree).load();
            pipe.compare("public", "strict_numbers").assertEqual();
            pipe.compare("public", "ragged").assertEqual();
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
