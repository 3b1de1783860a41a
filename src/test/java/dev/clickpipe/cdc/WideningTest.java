package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WideningTest {
    private static final Map<String, Long> OIDS = Map.ofEntries(
            Map.entry("int2", 21L),
            Map.entry("int4", 23L),
            Map.entry("int8", 20L),
            Map.entry("float4", 700L),
            Map.entry("float8", 701L),
            Map.entry("numeric", 1700L),
            Map.entry("text", 25L),
            Map.entry("varchar", 1043L),
            Map.entry("bpchar", 1042L),
            Map.entry("timestamp", 1114L),
            Map.entry("timestamptz", 1184L),
            Map.entry("json", 114L),
            Map.entry("jsonb", 3802L),
            Map.entry("date", 1082L));

    /** {@code name}, {@code name(length)}, {@code numeric(precision,scale)}, {@code name[]}, {@code domain name}, {@code enum}. */
    private static PgType type(String text) {
        if (text.equals("enum")) {
            return new PgType(20000, "mood", Kind.ENUM, -1, null);
        }
        if (text.startsWith("domain ")) {
            return new PgType(20001, "d", Kind.DOMAIN, -1, type(text.substring(7)));
        }
        if (text.endsWith("[]")) {
            var element = type(text.substring(0, text.length() - 2));
            return new PgType(element.oid() + 10000, "_" + element.name(), Kind.ARRAY, -1, element);
        }
        int open = text.indexOf('(');
        var name = open < 0 ? text : text.substring(0, open);
        int typmod = -1;
        if (open >= 0) {
            var numbers = text.substring(open + 1, text.length() - 1).split("/");
            typmod = numbers.length == 2
                    ? (Integer.parseInt(numbers[0]) << 16 | Integer.parseInt(numbers[1]) & 0x7FF) + 4
                    : Integer.parseInt(numbers[0]) + (name.startsWith("time") ? 0 : 4);
        }
        return new PgType(OIDS.get(name), name, Kind.SCALAR, typmod, null);
    }

    @ParameterizedTest
    @CsvSource({
        "int2, int4, true",
        "int2, int8, true",
        "int4, int8, true",
        "int8, int4, false",
        "int4, domain int4, true",
        "domain int2, int8, true",
        "int2[], int8[], true",
        "int8[], int2[], false",
        "int4, float8, false",
        "int4, text, false",
        "int4, numeric(20/0), false",
        "float4, float8, true",
        "float4[], float8[], false",
        "float8, float4, false",
        "numeric(6/2), numeric(20/2), true",
        "numeric(6/2), numeric(20/4), true",
        "numeric(6/2), numeric(6/3), false",
        "numeric(6/2), numeric(20/1), false",
        "numeric(6/2), numeric(76/10), true",
        "numeric(6/2), numeric, false",
        "numeric, numeric(6/2), false",
        "numeric(5/0), numeric(3/-2), false",
        "varchar(5), varchar(10), true",
        "varchar(5), varchar, true",
        "varchar(5), text, true",
        "text, varchar, true",
        "varchar(10), varchar(5), false",
        "text, varchar(100), false",
        "bpchar(5), bpchar(10), false",
        "bpchar(5), text, false",
        "timestamp(0), timestamp(3), true",
        "timestamp(0), timestamp, true",
        "timestamp, timestamp(0), false",
        "timestamp, timestamptz, false",
        "date, timestamp, false",
        "json, jsonb, false",
        "enum, text, true",
        "enum, varchar(5), false",
        "text, enum, false"
    })
    void keepsValues(String from, String to, boolean kept) {
        for (boolean nullable : new boolean[] {true, false}) {
            assertThat(Widening.keepsValues(
                            type(from),
                            type(to),
                            TypeMapping.of(type(from), 1, nullable).clickHouseType(),
                            TypeMapping.of(type(to), 1, nullable).clickHouseType()))
                    .isEqualTo(kept);
        }
    }

    /** As SELECT 0.1::float4::float8 does. */
    @ParameterizedTest
    @CsvSource({"0.1, 0.10000000149011612", "NaN, NaN", "-Infinity, -Infinity", "16777216, 1.6777216E7"})
    void aNarrowFloatBecomesTheSameNumber(String text, String wide) {
        var to = type("float8");
        var encoder =
                Widening.encoder(type("float4"), to, TypeMapping.of(to, 0, true).encoder());
        assertThat(new String(Widening.encoded(encoder, text), StandardCharsets.UTF_8))
                .isEqualTo(wide);
    }
}
