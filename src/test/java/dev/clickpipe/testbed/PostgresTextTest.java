package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PostgresTextTest {
    @Test
    void readsCopyFields() {
        assertThat(PostgresText.fromCopy("\\N")).isNull();
        assertThat(PostgresText.fromCopy("\\\\N")).isEqualTo("\\N");
        assertThat(PostgresText.fromCopy("a\\tb\\n\\\\c")).isEqualTo("a\tb\n\\c");
        assertThat(PostgresText.fromCopy("")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "boolean, t, true",
        "boolean, 0, false",
        "double precision, 1e+20, 100000000000000000000",
        "double precision, -Infinity, -inf",
        "double precision, NaN, nan",
        "real, 0.1, 0.10",
        "numeric, 1.50, 1.5",
        "numeric, 100, 1e2",
        "timestamp without time zone, 2026-01-01 00:00:00, 2026-01-01 00:00:00.000000",
        "timestamp without time zone, 2026-01-01 00:00:00.12, 2026-01-01 00:00:00.120",
        "timestamp with time zone, 2026-01-01 00:00:10+00, 2026-01-01 00:00:10.000",
        "time without time zone, 10:00:00, 10:00:00.000000",
        "'boolean[]', '{t,f}', '{true,0}'",
        "vector, '[3.4028235e+38,-1e-38,0]', '[3.4028235E38,-1.0E-38,0.0]'",
    })
    void forgivesSpelling(String type, String one, String other) {
        assertThat(PostgresText.canonical(type, one)).isEqualTo(PostgresText.canonical(type, other));
    }

    @ParameterizedTest
    @CsvSource({
        "boolean, t, f",
        "double precision, 0, -0",
        "double precision, 0.1, 0.10000000000000002",
        "numeric, 0.1, 0.10000000000000000000000000001",
        "numeric, NaN, 0",
        "timestamp without time zone, 2026-01-01 00:00:00, 2026-01-01 00:00:10",
        "timestamp with time zone, 2026-01-01 00:00:00+00, 2026-01-01 00:00:00+02",
        "text, 1.50, 1.5",
        "vector, '[1,2]', '[1,2,0]'",
        "'text[]', '{NULL}', '{\"NULL\"}'",
        "'text[]', '{}', '{\"\"}'",
    })
    void forgivesNothingElse(String type, String one, String other) {
        assertThat(PostgresText.canonical(type, one)).isNotEqualTo(PostgresText.canonical(type, other));
    }

    @Test
    void readsArrays() {
        assertThat(PostgresText.canonical("text[]", "{a,\"b,\\\"c\\\\\",NULL,\"\"}"))
                .isEqualTo(Arrays.asList("a", "b,\"c\\", null, ""));
        assertThat(PostgresText.canonical("integer[]", "[0:1][1:2]={{1,2},{3,4}}"))
                .isEqualTo(List.of(List.of("1", "2"), List.of("3", "4")));
        assertThat(PostgresText.canonical("integer[]", "{}")).isEqualTo(List.of());
    }
}
