package dev.clickpipe.codec;

import static dev.clickpipe.codec.TypeMappingTest.array;
import static dev.clickpipe.codec.TypeMappingTest.scalar;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.postgres.PgType;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CopyRowEncoderTest {
    private static final PgType TEXT = scalar("text", -1);

    @Test
    void copies_what_click_house_reads_alike() {
        assertThat(encode("1\ta\\tb\\\\N\t\\N\tt\n", scalar("int4", -1), TEXT, TEXT, scalar("bool", -1)))
                .isEqualTo("42\t1\ta\\tb\\\\N\t\\N\tt\n");
    }

    @Test
    void encodes_the_rest_from_the_plain_text() {
        assertThat(encode(
                        "{\"a\\\\tb\",\"c\\td\"}\t\\\\x0a41\t\\N\t\\N\tinfinity\n",
                        array(TEXT, -1),
                        scalar("bytea", -1),
                        scalar("bytea", -1),
                        array(TEXT, -1),
                        scalar("date", -1)))
                .isEqualTo("42\t['atb','c\\td']\t\\nA\t\\N\t\\N\t2299-12-31\n");
    }

    @Test
    void empty_fields_are_empty_strings() {
        assertThat(encode("\t\n", TEXT, TEXT)).isEqualTo("42\t\t\n");
        assertThat(encode("\t\t{}\n", TEXT, TEXT, array(TEXT, -1))).isEqualTo("42\t\t\t[]\n");
    }

    /** Eight bytes are looked at at once: each place of a tab among them, and bytes that differ from it in one bit. */
    @ParameterizedTest
    @ValueSource(strings = {"x", "\b", "\u000b", "\u0001", "\\t", "\u0109", "ü"})
    void finds_its_columns_wherever_they_stand(String character) {
        var date = scalar("date", -1);
        for (int length = 0; length < 20; length++) {
            var text = character.repeat(length);
            var between = "\t" + text + "\t";
            assertThat(encode(
                            text + "\t" + text + "\tinfinity" + between + "\\N" + between + "2024-02-29\n",
                            TEXT,
                            TEXT,
                            date,
                            TEXT,
                            date,
                            TEXT,
                            date))
                    .isEqualTo(
                            "42\t" + text + "\t" + text + "\t2299-12-31" + between + "\\N" + between + "2024-02-29\n");
            assertThat(encode(
                            "0001-01-01\tinfinity" + between + "infinity" + between + text + "\n",
                            date,
                            date,
                            TEXT,
                            date,
                            TEXT,
                            TEXT))
                    .isEqualTo("42\t1900-01-01\t2299-12-31" + between + "2299-12-31" + between + text + "\n");
        }
    }

    @Test
    void names_the_column_of_a_value_that_has_no_place() {
        var row = "1\t{{1}}\n";
        assertThatThrownBy(() -> encode(row, scalar("int4", -1), array(scalar("int4", -1), -1)))
                .isInstanceOfSatisfying(PipeException.class, e -> {
                    assertThat(e.retryable()).isFalse();
                    assertThat(e.problems()).singleElement().satisfies(problem -> assertThat(problem.object())
                            .isEqualTo("table s.t, column c1"));
                });
        assertThatThrownBy(() -> encode("02/29/2024\n", scalar("date", -1)))
                .isInstanceOf(PipeException.class)
                .hasMessageContaining("column c0");
    }

    private static String encode(String row, PgType... types) {
        var columns = new java.util.ArrayList<CopyRowEncoder.Column>();
        for (var type : List.of(types)) {
            columns.add(new CopyRowEncoder.Column("c" + columns.size(), TypeMapping.of(type, 0, true)));
        }
        var out = new TsvBuffer(1);
        new CopyRowEncoder("s.t", columns, "42\t".getBytes(StandardCharsets.US_ASCII))
                .encode(row.getBytes(StandardCharsets.UTF_8), out);
        return out.toString();
    }
}
