package dev.clickpipe.codec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.GeneratedFile;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** {@code docs/types.md}, made by asking {@link TypeMapping}. */
class TypesPageTest {
    private static final Path FILE = Path.of("docs/types.md");
    private static final int USER_OID = 20_000;

    /** @param declared as in a table's definition */
    private record Row(String declared, PgType type, int dimensions, String note) {}

    private static final List<Row> ROWS = List.of(
            row("boolean", "bool", ""),
            row("smallint", "int2", ""),
            row("integer", "int4", ""),
            row("bigint", "int8", ""),
            row("oid", "oid", ""),
            row("real", "float4", "NaN and the infinities included"),
            row("double precision", "float8", "NaN and the infinities included"),
            row(
                    "numeric(12, 2)",
                    scalar("numeric", numeric(12, 2)),
                    0,
                    "up to 76 digits; a Decimal has no NaN: such a value stops the table"),
            row("numeric(100, 2)", scalar("numeric", numeric(100, 2)), 0, "more digits than any Decimal has: as text"),
            row("numeric", "numeric", "no declared precision: every digit, NaN and the infinities, as text"),
            row("text, varchar(n)", "text", ""),
            row("char(n)", "bpchar", "with its trailing blanks"),
            row("uuid", "uuid", ""),
            row("date", "date", "1900-01-01 to 2299-12-31; beyond: the nearer end"),
            row(
                    "timestamp",
                    "timestamp",
                    "years 0001 to 9999, before ClickHouse 26.7 1900 to 2299; beyond: the nearer end"),
            row("timestamp with time zone", "timestamptz", "likewise; the instant, in UTC"),
            row("time, time with time zone", "time", "as text: 24:00:00 and the offset are kept"),
            row("interval", "interval", "as text"),
            row(
                    "json, jsonb",
                    "jsonb",
                    "as Postgres prints it, byte for byte: digits, blanks, order and doubles are kept"),
            row("bytea", "bytea", "the bytes themselves"),
            row("an enum", new PgType(USER_OID, "mood", Kind.ENUM, -1, null), 0, "the label; new labels need nothing"),
            row(
                    "a domain over integer",
                    new PgType(USER_OID, "positive", Kind.DOMAIN, -1, scalar("int4", -1)),
                    0,
                    "as its base type"),
            row("integer[]", array("int4"), 1, "NULL elements stay NULL; a NULL array becomes the empty one"),
            row("text[][]", array("text"), 2, "as many dimensions as are declared; lower bounds are dropped"),
            row(
                    "vector, halfvec (pgvector)",
                    new PgType(USER_OID, "vector", Kind.SCALAR, -1, null),
                    0,
                    "NULL becomes the empty array, which no vector is; sparsevec is text"),
            row(
                    "geometry, geography (PostGIS)",
                    new PgType(USER_OID, "geometry", Kind.SCALAR, -1, null),
                    0,
                    "Postgres' own text, EWKB in hexadecimal"),
            row(
                    "a composite, a range, a multirange",
                    new PgType(USER_OID, "address", Kind.OTHER, -1, null),
                    0,
                    "Postgres' own text; arrays of them are arrays of text"),
            row(
                    "any other",
                    scalar("inet", -1),
                    0,
                    "Postgres' own text: inet, cidr, macaddr, money, bit, xml, tsvector, tsquery, jsonpath, pg_lsn, xid8, the geometric types, reg…, hstore, citext, ltree, other extensions'"));

    /** What is to be said of a rule, by source types and what they become. */
    private static final Map<String, String> NOTES = Map.ofEntries(
            Map.entry("boolean → Bool", ""),
            Map.entry(
                    "bigint, integer, oid, smallint → an Int or UInt that holds all of it",
                    "`Int64` for an integer that is to become a bigint; `UInt64` for an oid"),
            Map.entry("real → Float32", ""),
            Map.entry("double precision → Float64", ""),
            Map.entry(
                    "numeric → Decimal(P, S)",
                    "also for numeric without a precision. A value with more digits before or after the point stops the table; none is rounded"),
            Map.entry(
                    "numeric → an Int or UInt",
                    "`UInt64` for numeric(20, 0). A value with a fraction or out of range stops the table"),
            Map.entry("uuid → UUID", ""),
            Map.entry("date → Date32", ""),
            Map.entry(
                    "date, timestamp, timestamp with time zone → DateTime64(P)",
                    "P from the digits of a second that are declared (date 0, timestamp(3) 3, timestamp 6) to 6; in UTC. A date then reaches from year 0001 to 9999"),
            Map.entry("time → Time64(P)", "P likewise; where the server has the type"),
            Map.entry(
                    "json, jsonb → JSON",
                    "objects alone: an array, a number, a string or null on top stops the table. ClickHouse keeps no order of keys, no `null` in objects, of a number what Int64, UInt64 or Float64 hold, and refuses an object that has a key twice or a number without end"),
            Map.entry("bytea → String", ""),
            Map.entry(
                    "any → String, LowCardinality(String)",
                    "Postgres' own text, whatever the type: `infinity`, years BC, NaN, arrays of any dimensions, a NULL array. Of bytea the bytes"));

    private static final Map<String, String> DECLARED = Map.ofEntries(
            Map.entry("bool", "boolean"),
            Map.entry("int2", "smallint"),
            Map.entry("int4", "integer"),
            Map.entry("int8", "bigint"),
            Map.entry("float4", "real"),
            Map.entry("float8", "double precision"),
            Map.entry("timestamptz", "timestamp with time zone"));

    @Test
    void thePageIsWhatTheMappingSays() {
        var page = new StringBuilder("""
                # Types

                <!-- Made by asking TypeMapping, by TypesPageTest; edit those. -->

                Which ClickHouse type a column of the target gets, and what becomes of its values. The initial load and change data
                capture go by the same table and the same code: Postgres prints the same text for both.

                ## What a type becomes by itself

                A column that may be NULL becomes the second type; one that is NOT NULL in Postgres, or any with
                `allowNullableColumns: false`, the first.

                | Postgres | NOT NULL | may be NULL | |
                |---|---|---|---|
                """);
        for (var row : ROWS) {
            page.append("| %s | `%s` | `%s` | %s |%n"
                    .formatted(row.declared(), mapped(row, false), mapped(row, true), row.note()));
        }
        page.append("""

                ## Rules

                - **Values stay exact.** What ClickHouse has no type for is kept as Postgres' own text.
                - **NULL stays NULL.** With `allowNullableColumns: false`, or `nullable: false` of one column, it becomes the type's
                  default: 0, the empty string, 1970-01-01. ClickHouse has no Nullable(Array): a NULL array is the empty array,
                  unless the column's `targetType` is String.
                - **Dates and times beyond the target's range become its nearest end**, so that they sort and compare as before:
                  `infinity` and `5874897-12-31` the last day, `-infinity` and years BC the first. Who needs them as they are chooses
                  `targetType: String`; a date from 0001 to 9999 also fits into `DateTime64(0)`. The table's
                  message in the status and a line in the worker's log name the columns, the metric `clickpipe_values_clamped_total`
                  counts the values; to find them:
                  `SELECT count() FROM t FINAL WHERE d IN ('1900-01-01', '2299-12-31')`.
                  In the sorting key of a ReplacingMergeTree two values must not become one: only `infinity` is taken to the end
                  there, any other such value stops the table.
                - **For any other value that the target does not hold none is made up, and NULL would be one: the table stops**, the
                  others go on. These are NaN in a numeric with a precision, an array with other dimensions than the column is declared
                  with (Postgres does not hold values to them), and what a chosen type does not hold.
                - **Time zones.** An instant is stored in UTC, whatever the zone of session, role or database; read it in another with
                  `toTimeZone`. A timestamp without time zone is stored with the same digits.
                - **money** is printed as the source's lc_monetary has it, **regclass** and its like as its search_path has it.
                - Text arrives in UTF-8, whatever the database's encoding.

                ## Another type by choice

                ```yaml
                tableMappings:
                  - sourceSchemaName: public
                    sourceTable: orders
                    targetTable: orders
                    columns:
                      - {name: total, targetType: "Decimal(38, 9)"} # numeric without a precision
                      - {name: valid_to, targetType: String}        # keeps infinity
                      - {name: note, nullable: false}               # NULL becomes the empty string
                      - {name: grid, targetType: "Array(Array(Int32))"}
                ```

                `targetType` is the type without Nullable: `nullable` says that, and elements of arrays always may be NULL. For an
                array, each of the types below as often in `Array(…)` as its values have dimensions. Anything else is refused in Setup,
                because values would not be the same in it. A choice that is added, changed or taken back on a live pipe rebuilds
                the table beside the old one and swaps.

                | Postgres | targetType | |
                |---|---|---|
                """);
        choices()
                .forEach((choice, note) -> page.append(
                        "| %s | %s | %s |%n".formatted(choice.split(" → ")[0], choice.split(" → ")[1], note)));
        page.append("""

                ## When a table stops with UnrepresentableValue

                The message names the table, the column and what sort of value it was, for instance `NaN in a column of type
                Decimal(10, 2)` or `a key at the end of the range or beyond in a column of type Date32`. Nothing of the table is lost: its changes since then come with the rebuild. Either

                1. give the column a type that holds the value, most simply `columns: [{name: price, targetType: String}]`: the table is
                   built anew beside the old one; or
                2. change the value in Postgres, and set the mapping's `resync` to a new text; or
                3. put the column into `excludedColumns`.

                ## Large values

                """);
        page.append(LARGE);
        GeneratedFile.check(FILE, page.toString());
    }

    /** As LargeValuesIT has it. */
    private static final String LARGE = """
            A value goes through a worker as one piece, some times over: as Postgres sends it, which is its text (that of bytea is twice as
            long as its bytes, and REPLICA IDENTITY FULL sends the former value, too), and as ClickHouse gets it. `LargeValuesIT` holds that
            text, bytea and jsonb of 10 MB come through load and stream in a heap of 64 MB and 6 times the value's size: inserted, changed
            under REPLICA IDENTITY FULL, deleted, and looked up where an UPDATE left them as they were. By hand it does so with other sizes:

                mvn test -Dtest=LargeValuesIT -Dclickpipe.test.largeValueMegabytes=100

            Values that an UPDATE left as they were are looked up some at a time, so that one of a whole table needs no more than its largest
            value does: the test changes more of them in one transaction than the heap holds.

            Each reader of a load (`initialLoadParallelism`) may have a value of its own. A worker that ends with OutOfMemoryError loses
            nothing, but needs more in `workers.resources`. Of the container's memory 55 % are heap.
            """;

    private static Map<String, String> choices() {
        var notes = new LinkedHashMap<String, String>();
        for (var rule : TypeMapping.RULES) {
            var key = sources(rule.sources()) + " → " + rule.offered();
            assertThat(NOTES).containsKey(key);
            notes.put(key, NOTES.get(key));
        }
        assertThat(notes.keySet()).isEqualTo(NOTES.keySet());
        return notes;
    }

    private static String sources(Set<String> names) {
        return names.isEmpty()
                ? "any"
                : names.stream()
                        .map(name -> DECLARED.getOrDefault(name, name))
                        .sorted()
                        .collect(Collectors.joining(", "));
    }

    private static String mapped(Row row, boolean nullable) {
        return TypeMapping.of(row.type(), row.dimensions(), nullable).clickHouseType();
    }

    private static Row row(String declared, String name, String note) {
        return row(declared, scalar(name, -1), 0, note);
    }

    private static Row row(String declared, PgType type, int dimensions, String note) {
        return new Row(declared, type, dimensions, note);
    }

    private static PgType scalar(String name, int typmod) {
        return new PgType(25, name, Kind.SCALAR, typmod, null);
    }

    private static PgType array(String element) {
        return new PgType(1007, "_" + element, Kind.ARRAY, -1, scalar(element, -1));
    }

    private static int numeric(int precision, int scale) {
        return (precision << 16 | scale) + 4;
    }
}
