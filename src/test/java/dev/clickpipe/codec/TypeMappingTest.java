package dev.clickpipe.codec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TypeMappingTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bool|Bool",
                "int2|Int16",
                "int4|Int32",
                "int8|Int64",
                "oid|UInt32",
                "float4|Float32",
                "float8|Float64",
                "numeric|String",
                "text|String",
                "varchar|String",
                "bpchar|String",
                "name|String",
                "char|String",
                "uuid|UUID",
                "json|String",
                "jsonb|String",
                "bytea|String",
                "date|Date32",
                "time|String",
                "timetz|String",
                "timestamp|DateTime64(6, 'UTC')",
                "timestamptz|DateTime64(6, 'UTC')",
                "interval|String",
                "inet|String",
                "int4range|String",
                "something new|String"
            })
    void scalars(String name, String clickHouseType) {
        assertThat(TypeMapping.of(scalar(name, -1), 0, false).clickHouseType()).isEqualTo(clickHouseType);
        assertThat(TypeMapping.of(scalar(name, -1), 0, true).clickHouseType())
                .isEqualTo("Nullable(" + clickHouseType + ")");
        assertThat(TypeMapping.of(array(scalar(name, -1), -1), 1, true).clickHouseType())
                .isEqualTo("Array(Nullable(" + clickHouseType + "))");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "10|2|Decimal(10, 2)",
                "76|0|Decimal(76, 0)",
                "76|76|Decimal(76, 76)",
                "77|0|String",
                "1000|1000|String",
                "3|5|Decimal(5, 5)",
                "3|77|String",
                "5|-3|Decimal(8, 0)",
                "70|-7|String",
                "1|-75|Decimal(76, 0)"
            })
    void numeric(int precision, int scale, String clickHouseType) {
        int typmod = (precision << 16 | scale & 0x7FF) + 4;
        assertThat(TypeMapping.of(scalar("numeric", typmod), 0, false).clickHouseType())
                .isEqualTo(clickHouseType);
    }

    @Test
    void modifiers_come_from_wherever_the_catalogue_has_them() {
        int typmod = (10 << 16 | 2) + 4;
        var plain = scalar("numeric", -1);
        var domain = new PgType(20000, "price", Kind.DOMAIN, typmod, plain);
        var nested = new PgType(20001, "net_price", Kind.DOMAIN, -1, domain);
        assertThat(TypeMapping.of(domain, 0, false).clickHouseType()).isEqualTo("Decimal(10, 2)");
        assertThat(TypeMapping.of(nested, 0, true).clickHouseType()).isEqualTo("Nullable(Decimal(10, 2))");
        assertThat(TypeMapping.of(array(plain, typmod), 0, true).clickHouseType())
                .isEqualTo("Array(Nullable(Decimal(10, 2)))");
        assertThat(TypeMapping.of(array(nested, -1), 2, true).clickHouseType())
                .isEqualTo("Array(Array(Nullable(Decimal(10, 2))))");
        var overArray = new PgType(20002, "prices", Kind.DOMAIN, typmod, array(plain, -1));
        assertThat(TypeMapping.of(overArray, 0, true).clickHouseType()).isEqualTo("Array(Nullable(Decimal(10, 2)))");
    }

    @Test
    void vectors_of_pgvector() {
        var vector = new PgType(20000, "vector", Kind.SCALAR, 3, null);
        for (boolean nullable : new boolean[] {true, false}) {
            var mapping = TypeMapping.of(vector, 0, nullable);
            assertThat(mapping.clickHouseType()).isEqualTo("Array(Float32)");
            assertThat(encoded(mapping, "[1,2.5]")).isEqualTo("[1,2.5]");
            assertThat(TypeMapping.chosen(vector, "Array(Float32)", nullable)).isNotNull();
        }
        assertThat(TypeMapping.of(array(vector, -1), 1, true).clickHouseType()).isEqualTo("Array(Nullable(String))");
        assertThat(TypeMapping.chosen(vector, "String", true).clickHouseType()).isEqualTo("Nullable(String)");
    }

    @Test
    void enums_and_names_that_only_look_built_in() {
        var mood = new PgType(20000, "mood", Kind.ENUM, -1, null);
        assertThat(TypeMapping.of(mood, 0, false).clickHouseType()).isEqualTo("LowCardinality(String)");
        assertThat(TypeMapping.of(mood, 0, true).clickHouseType()).isEqualTo("LowCardinality(Nullable(String))");
        assertThat(TypeMapping.of(array(mood, -1), 1, true).clickHouseType())
                .isEqualTo("Array(LowCardinality(Nullable(String)))");
        assertThat(TypeMapping.of(new PgType(20000, "date", Kind.SCALAR, -1, null), 0, false)
                        .clickHouseType())
                .isEqualTo("String");
        assertThat(TypeMapping.of(new PgType(22, "int2vector", Kind.ARRAY, -1, scalar("int2", -1)), 0, false)
                        .clickHouseType())
                .isEqualTo("String");
        assertThat(TypeMapping.of(new PgType(20000, "point2", Kind.OTHER, -1, null), 0, false)
                        .clickHouseType())
                .isEqualTo("String");
    }

    @Nested
    class Values {
        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "bool|t|true",
                    "bool|f|false",
                    "int4|-2147483648|-2147483648",
                    "float8|NaN|NaN",
                    "float8|-Infinity|-Infinity",
                    "date|2024-02-29|2024-02-29",
                    "date|1900-01-01|1900-01-01",
                    "date|1899-12-31|1900-01-01",
                    "date|2299-12-31|2299-12-31",
                    "date|2300-01-01|2299-12-31",
                    "date|10000-01-01|2299-12-31",
                    "date|5874897-12-31|2299-12-31",
                    "date|0044-03-15 BC|1900-01-01",
                    "date|4713-01-01 BC|1900-01-01",
                    "date|infinity|2299-12-31",
                    "date|-infinity|1900-01-01",
                    "timestamp|2024-02-29 12:34:56.789|2024-02-29 12:34:56.789",
                    "timestamp|0001-01-01 00:00:00|0001-01-01 00:00:00",
                    "timestamp|9999-12-31 23:59:59.999999|9999-12-31 23:59:59.999999",
                    "timestamp|10000-01-01 00:00:00|9999-12-31 23:59:59.999999",
                    "timestamp|294276-12-31 23:59:59.999999|9999-12-31 23:59:59.999999",
                    "timestamp|0001-12-31 23:59:59.5 BC|0001-01-01 00:00:00",
                    "timestamp|infinity|9999-12-31 23:59:59.999999",
                    "timestamp|-infinity|0001-01-01 00:00:00",
                    "timestamptz|2024-02-29 12:34:56+00|2024-02-29 12:34:56",
                    "timestamptz|1969-12-31 23:59:59.999999+00|1969-12-31 23:59:59.999999",
                    "timestamptz|0001-12-31 23:59:59+00 BC|0001-01-01 00:00:00",
                    "timestamptz|2024-02-29 12:34:56.5+05:30|2024-02-29 07:04:56.500000",
                    "timestamptz|2024-02-29 23:34:56-02|2024-03-01 01:34:56.000000",
                    "timestamptz|1900-01-01 00:00:00+00:19:32|1899-12-31 23:40:28.000000",
                    "timestamptz|0001-01-01 00:00:00+01|0001-01-01 00:00:00",
                    "timestamptz|9999-12-31 23:30:00-01|9999-12-31 23:59:59.999999",
                    "timestamptz|infinity|9999-12-31 23:59:59.999999",
                    "bytea|\\x|''",
                    "bytea|\\x00415C|\\0A\\\\",
                    "bytea|\\000A\\\\\\377|\\0A\\\\\u00ff",
                    "time|24:00:00|24:00:00",
                    "text|\\N|\\\\N",
                })
        void encode(String type, String postgres, String clickHouse) {
            assertThat(encoded(TypeMapping.of(scalar(type, -1), 0, false), postgres))
                    .isEqualTo(clickHouse);
        }

        @Test
        void a_date_in_another_style_is_never_taken_for_null() {
            assertThatThrownBy(() -> encoded(TypeMapping.of(scalar("date", -1), 0, true), "02/29/2024"))
                    .isInstanceOf(IllegalStateException.class);
        }

        @ParameterizedTest
        @CsvSource({"NaN", "Infinity", "-Infinity"})
        void decimals_have_no_such_number(String value) {
            var type = scalar("numeric", (10 << 16 | 2) + 4);
            for (boolean nullable : new boolean[] {true, false}) {
                var mapping = TypeMapping.of(type, 0, nullable);
                assertThatThrownBy(() -> encoded(mapping, value))
                        .isInstanceOfSatisfying(UnrepresentableValue.class, e -> {
                            var problem = e.in("public.orders", "price");
                            assertThat(problem.object()).isEqualTo("table public.orders, column price");
                            assertThat(problem.message())
                                    .contains(value.equals("NaN") ? "NaN" : "Infinity", "Decimal(10, 2)");
                            assertThat(problem.remedy()).contains("targetType", "String");
                        });
                assertThat(encoded(mapping, "-123.45")).isEqualTo("-123.45");
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "date|infinity|2299-12-31",
                "date|1900-01-01|1900-01-01",
                "date|2299-12-30|2299-12-30",
                "date|2299-12-31|",
                "date|2300-01-01|",
                "date|-infinity|",
                "date|1899-12-31|",
                "timestamptz|infinity|9999-12-31 23:59:59.999999",
                "timestamptz|9999-12-31 23:59:59.999999+00|",
                "timestamptz|9999-12-31 23:59:59.999998+00|9999-12-31 23:59:59.999998",
                "timestamptz|0001-01-01 00:00:00+00|0001-01-01 00:00:00",
                "timestamp|0044-03-15 00:00:00 BC|",
                "int4|7|7"
            })
    void keys_stay_distinct(String type, String postgres, String clickHouse) {
        var mapping = TypeMapping.of(scalar(type, -1), 0, false).ofKey();
        if (clickHouse != null) {
            assertThat(encoded(mapping, postgres)).isEqualTo(clickHouse);
        } else {
            assertThatThrownBy(() -> encoded(mapping, postgres))
                    .isInstanceOf(UnrepresentableValue.class)
                    .hasMessageContaining("a key at the end of the range or beyond in a column of type");
        }
    }

    @Nested
    class Choices {
        private static final PgType NUMERIC = scalar("numeric", -1);

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "int4|-1|Int64|Nullable(Int64)",
                    "oid|-1|Int64|Nullable(Int64)",
                    "numeric|-1|Decimal(38,10)|Nullable(Decimal(38, 10))",
                    "text|-1|LowCardinality( String )|LowCardinality(Nullable(String))",
                    "timestamp|3|DateTime64(3)|Nullable(DateTime64(3, 'UTC'))",
                    "timestamptz|-1|DateTime64(6,'UTC')|Nullable(DateTime64(6, 'UTC'))",
                    "date|-1|DateTime64(0)|Nullable(DateTime64(0, 'UTC'))",
                    "json|-1|JSON|Nullable(JSON)",
                    "anything|-1|String|Nullable(String)",
                })
        void accepted(String source, int typmod, String chosen, String whole) {
            var mapping = TypeMapping.chosen(scalar(source, typmod), chosen, true);
            assertThat(mapping.clickHouseType()).isEqualTo(whole);
            assertThat(TypeMapping.into(scalar(source, typmod), whole)).isNotNull();
            assertThat(TypeMapping.chosen(scalar(source, typmod), chosen, false).clickHouseType())
                    .doesNotContain("Nullable");
            if (!chosen.equals("JSON")) {
                assertThat(TypeMapping.chosen(array(scalar(source, typmod), -1), "Array(" + chosen + ")", false)
                                .clickHouseType())
                        .isEqualTo("Array(" + whole + ")");
            }
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "int8|-1|Int32", // loses the upper half
                    "int4|-1|UInt64", // negative ones
                    "oid|-1|Int32",
                    "int4|-1|Int65",
                    "int4|-1|Float64",
                    "int4|-1|LowCardinality(Int64)",
                    "float8|-1|Float32",
                    "float8|-1|Decimal(38, 10)",
                    "numeric|-1|Float64",
                    "numeric|-1|Decimal(77, 2)",
                    "numeric|-1|Decimal(5, 6)",
                    "numeric|-1|Decimal64(2)",
                    "text|-1|FixedString(8)", // is longer afterwards
                    "text|-1|Int32",
                    "text|-1|UUID",
                    "text|-1|JSON",
                    "text|-1|Array(String)",
                    "timestamp|-1|DateTime64(3)", // microseconds
                    "timestamp|-1|DateTime64(9)", // ends in 2262
                    "timestamp|-1|DateTime",
                    "timestamp|-1|DateTime64(6, 'Europe/Berlin')", // hours that are not there, or twice
                    "timestamptz|-1|DateTime64(6, 'Europe/Berlin')",
                    "date|-1|Date", // 1970 to 2149
                    "timetz|-1|Time64(6)",
                    "bytea|-1|UUID",
                    "inet|-1|IPv6", // has no mask
                    "bool|-1|UInt8",
                    "uuid|-1|Strin",
                    "vector|-1|Array(Float32)", // built-in of that name
                })
        void refused(String source, int typmod, String chosen) {
            assertThatThrownBy(() -> TypeMapping.chosen(scalar(source, typmod), chosen, true))
                    .isInstanceOfSatisfying(UnsuitableType.class, e -> {
                        assertThat(e).hasMessageContaining(source);
                        assertThat(e.choices()).contains("String");
                    });
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "Decimal(5, 2)|999.99|999.99",
                    "Decimal(5, 2)|-999.990000|-999.99",
                    "Decimal(5, 2)|0.10|0.1",
                    "Decimal(5, 2)|7.00|7",
                    "Decimal(2, 2)|-0.99|-0.99",
                    "UInt64|18446744073709551615|18446744073709551615",
                    "Int8|-128.0|-128",
                })
        void numbers(String chosen, String postgres, String clickHouse) {
            assertThat(encoded(TypeMapping.chosen(NUMERIC, chosen, false), postgres))
                    .isEqualTo(clickHouse);
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                value = {
                    "Decimal(5, 2)|1000",
                    "Decimal(5, 2)|0.001",
                    "Decimal(2, 2)|1",
                    "UInt64|18446744073709551616",
                    "UInt64|-1",
                    "Int8|128",
                    "Int8|0.5",
                    "Int256|NaN",
                    "Int256|Infinity"
                })
        void numbersThatItDoesNotHold(String chosen, String postgres) {
            assertThatThrownBy(() -> encoded(TypeMapping.chosen(NUMERIC, chosen, true), postgres))
                    .isInstanceOf(UnrepresentableValue.class)
                    .hasMessageContaining(chosen);
        }

        @ParameterizedTest
        @CsvSource({"[]", "null", "1.10", "'\"{\"'"})
        void jsonHoldsObjectsAlone(String json) {
            var mapping = TypeMapping.chosen(scalar("jsonb", -1), "JSON", true);
            assertThat(encoded(mapping, " {\"a\": \"\\n\"}")).isEqualTo(" {\"a\": \"\\\\n\"}");
            assertThatThrownBy(() -> encoded(mapping, json))
                    .isInstanceOf(UnrepresentableValue.class)
                    .hasMessageContaining("no object");
        }

        @Test
        void dimensionsAreChosen() {
            var ints = array(scalar("int4", -1), -1);
            var mapping = TypeMapping.chosen(ints, "Array(Array(Int64))", false);
            assertThat(mapping.clickHouseType()).isEqualTo("Array(Array(Nullable(Int64)))");
            assertThat(encoded(mapping, "{{1,NULL},{3,4}}")).isEqualTo("[[1,NULL],[3,4]]");
            assertThat(encoded(TypeMapping.chosen(ints, "String", true), "{{1,NULL}}"))
                    .isEqualTo("{{1,NULL}}");
        }
    }

    static PgType scalar(String name, int typmod) {
        return new PgType(1, name, Kind.SCALAR, typmod, null, name.equals("box") ? ';' : ',');
    }

    static PgType array(PgType element, int typmod) {
        return new PgType(2, "_" + element.name(), Kind.ARRAY, typmod, element);
    }

    /** Bytes as characters of the same number, so that single bytes can be told. */
    static String encoded(Mapping mapping, String postgres) {
        byte[] text = ("<" + postgres + ">").getBytes(StandardCharsets.UTF_8);
        var out = new TsvBuffer(1);
        mapping.encoder().encode(text, 1, text.length - 1, out);
        var bytes = new java.io.ByteArrayOutputStream();
        try {
            out.writeTo(bytes);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return bytes.toString(StandardCharsets.ISO_8859_1);
    }
}
