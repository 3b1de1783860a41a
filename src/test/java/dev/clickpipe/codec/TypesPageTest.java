package dev.clickpipe.codec;

import dev.clickpipe.GeneratedFile;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.nio.file.Path;
import java.util.List;
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
            row("real", "float4", "NaN and the infinities included"),
            row("double precision", "float8", "NaN and the infinities included"),
            row(
                    "numeric(12, 2)",
                    scalar("numeric", numeric(12, 2)),
                    0,
                    "up to 76 digits; NaN has no place in a Decimal: NULL where the column is Nullable, otherwise the pipe fails"),
            row("numeric(100, 2)", scalar("numeric", numeric(100, 2)), 0, "more digits than any Decimal has: as text"),
            row("numeric", "numeric", "no declared precision: every digit, as text"),
            row("text, varchar(n)", "text", ""),
            row("char(n)", "bpchar", "with its trailing blanks"),
            row("uuid", "uuid", ""),
            row(
                    "date",
                    "date",
                    "1900-01-01 to 2299-12-31; what lies outside, infinity included, becomes the nearer end"),
            row(
                    "timestamp",
                    "timestamp",
                    "years 0001 to 9999, before ClickHouse 26.7 1900 to 2299; what lies outside, infinity included, becomes the nearer end"),
            row("timestamp with time zone", "timestamptz", "likewise; the instant, in UTC"),
            row("time, time with time zone", "time", "as text: 24:00:00 and the offset are kept"),
            row("interval", "interval", "as text"),
            row("json, jsonb", "jsonb", "as Postgres prints it, byte for byte"),
            row("bytea", "bytea", "the bytes themselves"),
            row("an enum", new PgType(USER_OID, "mood", Kind.ENUM, -1, null), 0, "the label; new labels need nothing"),
            row(
                    "a domain over integer",
                    new PgType(USER_OID, "positive", Kind.DOMAIN, -1, scalar("int4", -1)),
                    0,
                    "as its base type"),
            row(
                    "integer[]",
                    new PgType(1007, "_int4", Kind.ARRAY, -1, scalar("int4", -1)),
                    1,
                    "NULL elements stay NULL; a NULL array becomes the empty array; for other dimensions than declared the pipe fails"),
            row("text[][]", new PgType(1009, "_text", Kind.ARRAY, -1, scalar("text", -1)), 2, ""),
            row("a composite, a range", new PgType(USER_OID, "address", Kind.OTHER, -1, null), 0, "Postgres' own text"),
            row(
                    "any other",
                    new PgType(USER_OID, "geometry", Kind.SCALAR, -1, null),
                    0,
                    "Postgres' own text: inet, money, bit, xml, tsvector, types of extensions"));

    @Test
    void thePageIsWhatTheMappingSays() {
        var page = new StringBuilder("""
                # Types

                <!-- Made by asking TypeMapping, by TypesPageTest; edit those. -->

                Which ClickHouse type a column of the target gets. A column that may be NULL becomes the second type; with
                `allowNullableColumns: false`, or NOT NULL in Postgres, the first. The initial load and change data capture go by the
                same table.

                | Postgres | NOT NULL | may be NULL | |
                |---|---|---|---|
                """);
        for (var row : ROWS) {
            page.append("| %s | `%s` | `%s` | %s |%n"
                    .formatted(row.declared(), mapped(row, false), mapped(row, true), row.note()));
        }
        GeneratedFile.check(FILE, page.toString());
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

    private static int numeric(int precision, int scale) {
        return (precision << 16 | scale) + 4;
    }
}
