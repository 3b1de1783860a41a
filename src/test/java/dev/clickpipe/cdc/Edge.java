package dev.clickpipe.cdc;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A source column and the values that its type is known to be hard at.
 *
 * @param column its name
 * @param type as in a table's definition
 * @param values SQL literals, none of them NULL
 * @param targetType the mapping's choice; null for none
 * @param rule Postgres' text to what the target holds instead, where that is not the same
 */
record Edge(String column, String type, List<String> values, String targetType, Map<String, String> rule) {
    private static final String FIRST = "0001-01-01 00:00:00";
    private static final String LAST = "9999-12-31 23:59:59.999999";

    Edge {
        values = List.copyOf(values);
        rule = Map.copyOf(rule);
    }

    static Edge of(String column, String type, String... values) {
        return new Edge(column, type, List.of(values), null, Map.of());
    }

    /** With the target's type chosen. */
    Edge as(String chosen) {
        return new Edge(column, type, values, chosen, rule);
    }

    /** For this text of Postgres the target holds that one. */
    Edge held(String postgres, String target) {
        var more = new LinkedHashMap<>(rule);
        more.put(postgres, target);
        return new Edge(column, type, values, targetType, more);
    }

    /** The value of a row; the rows go round through the values. */
    String value(int row) {
        return values.get(row % values.size());
    }

    String expected(String text) {
        return rule.getOrDefault(text, text);
    }

    /** What the types below need. */
    static final List<String> DEFINITIONS = List.of(
            "CREATE EXTENSION hstore",
            "CREATE EXTENSION citext",
            "CREATE EXTENSION ltree",
            "CREATE EXTENSION cube",
            "CREATE EXTENSION isn",
            "CREATE TYPE mood AS ENUM ('so so', 'it''s', E'a\\tb', '', 'NULL')",
            "CREATE TYPE pair AS (n int, t text)",
            "CREATE TYPE nested AS (p pair, a int[], m mood)",
            "CREATE TYPE span AS RANGE (subtype = float8)",
            "CREATE DOMAIN price AS numeric(8,2)",
            "CREATE DOMAIN net_price AS price CHECK (VALUE > -1000000)",
            "CREATE DOMAIN temper AS mood",
            "CREATE DOMAIN day AS date",
            "CREATE DOMAIN numbers AS int[]",
            "CREATE DOMAIN matrix AS int[][]",
            "CREATE DOMAIN pairs AS pair",
            // As pgvector's, and one with a delimiter of its own, as those of PostGIS are: what counts of them is their
            // text.
            "CREATE TYPE vector",
            "CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'textin'",
            "CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'",
            "CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, STORAGE = extended)",
            "CREATE TYPE shape",
            "CREATE FUNCTION shape_in(cstring) RETURNS shape LANGUAGE internal IMMUTABLE STRICT AS 'textin'",
            "CREATE FUNCTION shape_out(shape) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'",
            "CREATE TYPE shape (INPUT = shape_in, OUTPUT = shape_out, DELIMITER = ':')");

    /** Every type, as it is mapped by itself. */
    static final List<Edge> ALL = List.of(
            of("bool", "bool", "true", "false"),
            of("int2", "int2", "-32768", "32767", "0"),
            of("int4", "int4", "-2147483648", "2147483647", "0"),
            of("int8", "int8", "-9223372036854775808", "9223372036854775807", "0"),
            of("float4", "float4", "'NaN'", "'Infinity'", "'-Infinity'", "1e-45", "3.4028235e38", "0.1"),
            of(
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
            of("decimal", "numeric(10,2)", "-99999999.99", "99999999.99", "0", "0.10"),
            of("decimal76", "numeric(76,38)", "9".repeat(38) + "." + "9".repeat(38), "-1e-38"),
            of("decimal77", "numeric(77,2)", "9".repeat(75) + ".99", "'NaN'", "0.10"),
            of(
                    "unbounded",
                    "numeric",
                    "'NaN'",
                    "'Infinity'",
                    "'-Infinity'",
                    "1.500",
                    "1e1000",
                    "-1e-1000",
                    "123456789012345678901234567890.123456789012345678901234567890"),
            of("money", "money", "'-12345.67'", "'92233720368547758.07'", "'-92233720368547758.08'"),
            of(
                    "text",
                    "text",
                    "''",
                    "'\\N'",
                    "'NULL'",
                    "E'\\t\\n\\r\\b\\f\\v\\\\ '' \" `'",
                    "E'\\uFEFFmark'",
                    "E'\\u0001\\u007f\\u0080\\uffff\\U0010ffff'",
                    "'naïve 漢字 🦆'",
                    "E'\\\\.'",
                    "repeat(E'long\\t\\\\\\n', 20000)",
                    "'trailing \\'"),
            of("varchar", "varchar(20)", "''", "'trailing  '", "E'\\n'"),
            of("bpchar", "char(5)", "'ab'", "''", "'   '"),
            of("name", "name", "'pg_class'", "'a\"b'", "''"),
            of("char", "\"char\"", "'a'", "''", "E'\\\\'", "E'\\t'", "E'\\n'"),
            of("citext", "citext", "'MiXed'", "''"),
            of("uuid", "uuid", "'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'"),
            of(
                    "json",
                    "json",
                    "'{\"b\": 1, \"a\" :  [1e400, 12345678901234567890.10], \"b\": null}'",
                    "'null'",
                    "'\"a\\nb\\\\\"'",
                    "E'{\\n\\t\"x\" : 1 }'"),
            of(
                    "jsonb",
                    "jsonb",
                    "'{\"b\": 1, \"a\": \"\\u00fc\\n\"}'",
                    "'[]'",
                    "'1.10'",
                    "'null'",
                    "'{\"n\": 123456789012345678901234567890.1}'",
                    "(SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 500) i)"),
            of(
                    "bytea",
                    "bytea",
                    "''",
                    "'\\x00ff5c270a0d09'",
                    "'\\xdeadbeef'",
                    "decode(repeat('00ff5c4e', 5000), 'hex')"),
            of(
                            "date",
                            "date",
                            "'2024-02-29'",
                            "'1900-01-01'",
                            "'2299-12-31'",
                            "'1969-12-31'",
                            "'infinity'",
                            "'-infinity'",
                            "'0044-03-15 BC'",
                            "'1899-12-31'",
                            "'2300-01-01'",
                            "'4713-01-01 BC'",
                            "'5874897-12-31'")
                    .held("infinity", "2299-12-31")
                    .held("-infinity", "1900-01-01")
                    .held("0044-03-15 BC", "1900-01-01")
                    .held("4713-01-01 BC", "1900-01-01")
                    .held("1899-12-31", "1900-01-01")
                    .held("2300-01-01", "2299-12-31")
                    .held("5874897-12-31", "2299-12-31"),
            of(
                            "timestamp",
                            "timestamp",
                            "'2024-02-29 12:34:56.789'",
                            "'1900-01-01'",
                            "'2299-12-31 23:59:59.999999'",
                            "'1969-12-31 23:59:59.5'",
                            "'1969-12-31 23:59:58.000001'",
                            "'1899-12-31 23:59:59.999999'",
                            "'0001-01-01'",
                            "'9999-12-31 23:59:59.999999'",
                            "'infinity'",
                            "'-infinity'",
                            "'10000-01-01'",
                            "'4713-01-01 BC'",
                            "'294276-12-31 23:59:59.999999'")
                    .ends(""),
            of(
                            "timestamptz",
                            "timestamptz",
                            "'2024-03-31 02:30:00+02'",
                            "'1969-12-31 23:59:59.999999+00'",
                            "'0001-01-01 00:00:00+00'",
                            "'9999-12-31 23:59:59.999999+00'",
                            "'infinity'",
                            "'-infinity'",
                            "'10000-01-01 00:00:00+00'",
                            "'4713-01-01 00:00:00+00 BC'",
                            "'294276-12-31 23:59:59.999999+00'")
                    .ends("+00"),
            of("timestamp0", "timestamp(0)", "'2024-02-29 12:34:56'", "'1969-12-31 23:59:59'"),
            of("time", "time", "'00:00:00'", "'24:00:00'", "'23:59:59.999999'"),
            of("timetz", "timetz", "'12:34:56.7+05:30'", "'24:00:00-15:59:59'", "'00:00:00.000001+00'"),
            of(
                    "interval",
                    "interval",
                    "'1 year -2 months 3 days 04:05:06.789'",
                    "'0'",
                    "'-178000000 years'",
                    "'1 mon -1 day'"),
            of("oid", "oid", "0", "4294967295"),
            of("xid", "xid", "'0'", "'4294967295'"),
            of("xid8", "xid8", "'18446744073709551615'"),
            of("cid", "cid", "'4294967295'"),
            of("tid", "tid", "'(4294967295,65535)'"),
            of("regclass", "regclass", "'pg_class'", "0", "'information_schema.tables'"),
            of("regtype", "regtype", "'int4'", "'timestamptz'"),
            of("regproc", "regproc", "'now'"),
            of("regrole", "regrole", "'clickpipe'"),
            of("pg_lsn", "pg_lsn", "'0/0'", "'FFFFFFFF/FFFFFFFF'"),
            of("txid_snapshot", "txid_snapshot", "'10:20:10,14,15'"),
            of("pg_snapshot", "pg_snapshot", "'10:20:10,14,15'"),
            of("inet", "inet", "'::1/64'", "'192.168.0.1'", "'10.1.2.3/8'", "'::ffff:1.2.3.4'"),
            of("cidr", "cidr", "'10.0.0.0/8'", "'2001:db8::/32'"),
            of("macaddr", "macaddr", "'08:00:2b:01:02:03'"),
            of("macaddr8", "macaddr8", "'08:00:2b:01:02:03:04:05'"),
            of("bit", "bit(8)", "B'10110000'", "B'00000000'"),
            of("varbit", "bit varying", "B'1011'", "B''", "repeat('10', 2000)::varbit"),
            of("xml", "xml", "'<a b=\"c\">&amp;</a>'", "''", "E'<a>\\n\\t漢</a>'"),
            of("tsvector", "tsvector", "'a fat ''c''''at'':1A,2B'", "''", "E'''a\\\\\\\\b'' ''t\\tb'''"),
            of("tsquery", "tsquery", "'fat & !rat <-> ''c at'''", "''"),
            of("jsonpath", "jsonpath", "'$.\"a b\"[*] ? (@ > 1)'"),
            of("point", "point", "'(1.000000000000001,-2)'", "'(NaN,Infinity)'"),
            of("line", "line", "'{1,-1,0}'"),
            of("lseg", "lseg", "'[(0,0),(1,1)]'"),
            of("box", "box", "'(1,1),(0,0)'"),
            of("path", "path", "'((0,0),(1,1))'", "'[(0,0),(1,1)]'"),
            of("polygon", "polygon", "'((0,0),(1,1),(2,0))'"),
            of("circle", "circle", "'<(0,0),1.5>'"),
            of("int4range", "int4range", "'[1,3)'", "'empty'", "'(,)'"),
            of("int8range", "int8range", "'[1,9223372036854775807)'"),
            of("numrange", "numrange", "'(1.5,1e50]'", "'[NaN,NaN]'"),
            of("daterange", "daterange", "'[2024-01-01,infinity)'", "'[0044-03-15 BC,)'"),
            of("tsrange", "tsrange", "'[2024-01-01 00:00:00.5,infinity]'"),
            of("tstzrange", "tstzrange", "'[2024-01-01 00:00:00+02,)'"),
            of("span", "span", "'[0.1,0.30000000000000004)'"),
            of("multirange", "nummultirange", "'{[1.5,2],[3,4)}'", "'{}'"),
            of("datemultirange", "datemultirange", "'{[2024-01-01,2024-02-01)}'"),
            of("composite", "pair", "ROW(1, E'a,\"b\\n\\\\')::pair", "ROW(NULL, NULL)::pair", "ROW(NULL, '')::pair"),
            of("nested", "nested", "ROW(ROW(1, 'x y'), ARRAY[1, NULL], 'it''s')::nested"),
            of("mood", "mood", "'so so'", "'it''s'", "E'a\\tb'", "''", "'NULL'"),
            of("domain", "price", "12.34", "-0.01"),
            of("domain2", "net_price", "12.34", "-0.01"),
            of("temper", "temper", "'so so'", "E'a\\tb'"),
            of("day", "day", "'2024-02-29'", "'infinity'").held("infinity", "2299-12-31"),
            of("numbers", "numbers", "'{1,NULL}'", "'{}'"),
            of("matrix_domain", "matrix", "'{{1,2},{NULL,4}}'", "'{}'"),
            of("pairs", "pairs", "ROW(1, 'x')::pairs"),
            of("int2vector", "int2vector", "'1 2 3'", "''"),
            of("oidvector", "oidvector", "'1 4294967295'"),
            of("hstore", "hstore", "'a=>1, \"b c\"=>NULL, \"\"=>\"\\\"\\\\\"'", "''"),
            of("ltree", "ltree", "'Top.Science.Astronomy'", "''"),
            of("cube", "cube", "'(1,2),(3,4)'"),
            of("isbn", "isbn", "'978-0-393-04002-9'"),
            of("ints2", "int2[]", "'{-32768,NULL,32767}'", "'{}'"),
            of("ints", "int4[]", "'{}'", "'{1,NULL,-3}'", "'[0:1]={7,8}'", "'[-5:-5]={0}'"),
            of("ints8", "int8[]", "'{9223372036854775807,NULL,-9223372036854775808}'"),
            of("bools", "bool[]", "'{t,f,NULL}'"),
            of("floats4", "float4[]", "'{NaN,Infinity,-Infinity,0.1,1e-45}'"),
            of("floats", "float8[]", "'{NaN,Infinity,-Infinity,0.1,5e-324}'"),
            of("decimals", "numeric(10,2)[]", "'{1.10,NULL,-99999999.99}'"),
            of("numerics", "numeric[]", "'{1.100,NaN,1e50,Infinity}'"),
            of(
                    "texts",
                    "text[]",
                    "'{}'",
                    "ARRAY['', 'NULL', NULL, 'a,b', '{c}', E'd\\\\\\'\"', E'e\\tf\\ng\\rh\\bi', '漢🦆', ' ', '\\N']",
                    "array_fill(repeat(E'x\\\\\\t', 100), ARRAY[100])"),
            of("varchars", "varchar(9)[]", "ARRAY['', 'a b', NULL]"),
            of("bpchars", "char(3)[]", "ARRAY['a', NULL]"),
            of("names", "name[]", "ARRAY['a', 'NULL', NULL]::name[]"),
            of("chars", "\"char\"[]", "ARRAY['a', '', '\\']::\"char\"[]"),
            of("citexts", "citext[]", "ARRAY['MiXed', '', NULL]::citext[]"),
            of("uuids", "uuid[]", "'{00000000-0000-0000-0000-000000000001,NULL}'"),
            of("byteas", "bytea[]", "ARRAY['\\x6162'::bytea, NULL, '']")
                    .held("{\"\\\\x6162\",NULL,\"\\\\x\"}", "{ab,NULL,\"\"}"),
            of("dates", "date[]", "'{2024-01-01,1900-01-01,NULL}'", "'{infinity,-infinity,\"0044-03-15 BC\"}'")
                    .held("{infinity,-infinity,\"0044-03-15 BC\"}", "{2299-12-31,1900-01-01,1900-01-01}"),
            of("timestamps", "timestamp[]", "'{2024-01-01 00:00:00.5,1969-12-31 23:59:59.5}'", "'{infinity,-infinity}'")
                    .held("{infinity,-infinity}", "{\"" + LAST + "\",\"" + FIRST + "\"}"),
            of("timestamptzs", "timestamptz[]", "'{2024-01-01 00:00:00+01,NULL}'"),
            of("times", "time[]", "'{24:00:00,NULL}'"),
            of("timetzs", "timetz[]", "'{24:00:00+05:30,NULL}'"),
            of("intervals", "interval[]", "'{1 day,NULL,-01:02:03}'"),
            of("oids", "oid[]", "'{0,4294967295}'"),
            of("moneys", "money[]", "'{1234.5,NULL}'"),
            of("jsons", "json[]", "ARRAY['{\"a\" : [1, \"x,y\"]}'::json, NULL, 'null']"),
            of("jsonbs", "jsonb[]", "ARRAY['{\"a\": [1, \"x,y\"]}'::jsonb, NULL, 'null']"),
            of("xmls", "xml[]", "ARRAY['<a b=\"c\"/>'::xml, NULL]"),
            of("moods", "mood[]", "ARRAY['so so', NULL, E'a\\tb', '', 'NULL']::mood[]"),
            of("prices", "price[]", "ARRAY[12.34, NULL]::price[]"),
            of("number_lists", "numbers[]", "ARRAY['{1,2}', '{}', NULL]::numbers[]"),
            of("composites", "pair[]", "ARRAY[ROW(1, E'a,\"b\\n\\\\'), NULL, ROW(NULL, '')]::pair[]"),
            of("ranges", "int4range[]", "ARRAY['[1,3)', 'empty', NULL]::int4range[]"),
            of("multiranges", "int4multirange[]", "ARRAY['{[1,3)}', '{}', NULL]::int4multirange[]"),
            of("hstores", "hstore[]", "ARRAY['a=>1', NULL, '']::hstore[]"),
            of("inets", "inet[]", "'{::1/64,10.0.0.1,NULL}'"),
            of("bits", "bit(4)[]", "'{1010,NULL}'"),
            of("tsvectors", "tsvector[]", "ARRAY['a:1 b', NULL, '']::tsvector[]"),
            of("points", "point[]", "'{\"(1,2)\",NULL}'"),
            of("boxes", "box[]", "'{(1,1),(0,0);(2,2),(1,1)}'", "'{}'"),
            of("polygons", "polygon[]", "'{\"((0,0),(1,1))\",NULL}'"),
            of("vectors", "int2vector[]", "ARRAY['1 2', NULL]::int2vector[]"),
            of("cubes", "cube[]", "ARRAY['(1,2)', NULL]::cube[]"),
            of("square", "int4[][]", "'{{1,2},{NULL,4}}'", "'{}'", "'[0:0][5:6]={{1,2}}'"),
            of("cuboid", "text[][][]", "'{{{a,\"\"},{NULL,\"NULL\"}}}'", "'{}'"),
            of("boxes2", "box[][]", "'{{(1,1),(0,0)};{(2,2),(1,1)}}'"),
            of("vector", "vector", "'[1,2.5,-3]'", "'[0.1]'"),
            of("vectors2", "vector[]", "ARRAY['[1,2.5]'::vector, NULL]"),
            of("shape", "shape", "'POINT:1,2'"),
            of("shapes", "shape[]", "'{\"a:b\":c,d:NULL}'"));

    /** Types by choice. */
    static final List<Edge> CHOSEN = List.of(
            of("int2", "int2", "-32768", "32767").as("Int256"),
            of("int4", "int4", "-2147483648", "2147483647").as("Int64"),
            of("int8", "int8", "-9223372036854775808", "9223372036854775807").as("Int128"),
            of("oid", "oid", "0", "4294967295").as("Int64"),
            of("oid64", "oid", "0", "4294967295").as("UInt64"),
            of("digits", "int4", "-2147483648", "7").as("String"),
            of("float_text", "float8", "'NaN'", "5e-324", "'-Infinity'").as("String"),
            of("flag", "bool", "true", "false").as("String"),
            of(
                            "decimal",
                            "numeric",
                            "1.5",
                            "-0.0000000001",
                            "9999999999999999999999999999.9999999999",
                            "1.50000000000000000000",
                            "0",
                            "0.10")
                    .as("Decimal(38,10)"),
            of("wider", "numeric(10,2)", "-99999999.99", "0.10").as("Decimal(20, 4)"),
            of("bounded_text", "numeric(10,2)", "'NaN'", "-0.10").as("String"),
            of("unsigned", "numeric(20,0)", "18446744073709551615", "0").as("UInt64"),
            of(
                            "whole",
                            "numeric",
                            "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
                            "5.000")
                    .as("Int256"),
            of("code", "varchar(9)", "'a'", "''", "E'\\t'").as("LowCardinality(String)"),
            of("mood", "mood", "'so so'", "E'a\\tb'").as("String"),
            of("uuid", "uuid", "'00000000-0000-0000-0000-000000000001'").as("String"),
            of("bytes", "bytea", "'\\x6162'").as("LowCardinality(String)"),
            of("date_text", "date", "'infinity'", "'0044-03-15 BC'", "'5874897-12-31'")
                    .as("String"),
            of("moment", "timestamp", "'infinity'", "'0044-03-15 12:00 BC'", "'2024-01-01 00:00:00.5'")
                    .as("String"),
            of("instant", "timestamptz", "'infinity'", "'0044-03-15 12:00+00 BC'", "'2024-01-01 00:00:00.5+02'")
                    .as("String"),
            of("date", "date", "'1899-12-31'", "'2300-01-01'", "'infinity'", "'0044-03-15 BC'")
                    .as("DateTime64(3)")
                    .held("1899-12-31", "1899-12-31 00:00:00.000")
                    .held("2300-01-01", "2300-01-01 00:00:00.000")
                    .held("infinity", "9999-12-31 23:59:59.999")
                    .held("0044-03-15 BC", "0001-01-01 00:00:00.000"),
            of("millis", "timestamp(3)", "'2024-01-01 00:00:00.123'", "'infinity'", "'1899-12-31 23:59:59.999'")
                    .as("DateTime64(3, 'UTC')")
                    .held("infinity", "9999-12-31 23:59:59.999"),
            of("seconds", "timestamptz(0)", "'2024-01-01 00:00:00+05:30'", "'infinity'", "'1969-12-31 23:59:59+00'")
                    .as("DateTime64(0)")
                    .held("infinity", "9999-12-31 23:59:59"),
            of("time", "time", "'24:00:00'", "'00:00:00.000001'").as("Time64(6)"),
            of("json", "jsonb", "'{}'", "'{\"b\": 1.5, \"a\": \"x\\n\\t\\\\\"}'")
                    .as("JSON")
                    .held("{\"a\": \"x\\n\\t\\\\\", \"b\": 1.5}", "{\"a\":\"x\\n\\t\\\\\",\"b\":\"1.5\"}"),
            of("ints", "int4[]", "'{1,NULL}'", "'{}'").as("Array(Int64)"),
            of("square", "int4[]", "'{{1,NULL},{3,4}}'", "'{}'").as("Array(Array(Int32))"),
            of("array_text", "int4[]", "'{1,NULL}'", "'{{1,2}}'", "'[0:1]={7,8}'")
                    .as("String"),
            of("decimals", "numeric[]", "'{1.5,NULL,-0.00001}'").as("Array(Decimal(20, 5))"),
            of("codes", "text[]", "ARRAY['a', NULL, E'\\'\\t']").as("Array(LowCardinality(String))"),
            of("millis_list", "timestamp(3)[]", "'{2024-01-01 00:00:00.123,NULL}'")
                    .as("Array(DateTime64(3))"),
            of("vector", "vector", "'[1,2.5]'").as("String"));

    /** What Postgres takes from 15 on. */
    static final List<Edge> SINCE_15 = List.of(
            of("negative_scale", "numeric(5,-3)", "99999000", "-1000"),
            of("scale_beyond_precision", "numeric(3,5)", "0.00999", "-0.00001"));

    static final List<String> EXTENSIONS = List.of("CREATE EXTENSION vector", "CREATE EXTENSION postgis");

    /** The types of those. */
    static final List<Edge> OF_EXTENSIONS = List.of(
            of("vector", "vector", "'[1,2.5,-3]'", "'[0.1]'", "'[3.4028235e38,-1e-38,0]'"),
            of("vector3", "vector(3)", "'[1,2.5,-3]'", "'[0,0,0]'"),
            of("vectors", "vector[]", "ARRAY['[1,2.5]'::vector, NULL]", "'{}'"),
            of("halfvec", "halfvec(2)", "'[0.5,-65504]'", "'[0,0.0001]'"),
            of("sparsevec", "sparsevec(5)", "'{1:1.5,3:-2}/5'", "'{}/5'"),
            of("sparsevecs", "sparsevec[]", "ARRAY['{1:1.5,3:-2}/5'::sparsevec, NULL]"),
            of(
                    "geometry",
                    "geometry",
                    "'POINT(1 2)'",
                    "'SRID=4326;LINESTRING(0 0,1 1.5)'",
                    "'POLYGON EMPTY'",
                    "'POINT ZM(1 2 3 4)'"),
            of("point4326", "geometry(Point,4326)", "'SRID=4326;POINT(-71.06 42.36)'"),
            of("geometries", "geometry[]", "ARRAY['POINT(1 2)'::geometry, NULL, 'POINT EMPTY']", "'{}'"),
            of("geography", "geography", "'POINT(-71.06 42.36)'", "'LINESTRING(0 0,1 1)'"),
            of("geographies", "geography[]", "ARRAY['POINT(1 2)'::geography, NULL]"),
            of("box2d", "box2d", "'BOX(0 0,1 1.5)'"),
            of("box3d", "box3d", "'BOX3D(0 0 0,1 1 1)'"));

    private Edge ends(String zone) {
        return held("infinity", LAST)
                .held("-infinity", FIRST)
                .held("10000-01-01 00:00:00" + zone, LAST)
                .held("4713-01-01 00:00:00" + zone + " BC", FIRST)
                .held("294276-12-31 23:59:59.999999" + zone, LAST);
    }
}
