package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.clickhouse.TableDefinition.Attribute;
import dev.clickpipe.clickhouse.TableDefinition.Followed;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.SourceShape;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AlignmentTest {

    /**
     * @param known columns by blanks: number, names by slashes, then {@code +LSN} where it was added, {@code -LSN} where it was
     *     dropped, {@code !} where it is not published
     * @param sent names by blanks
     * @param expected the number of the column that each name is of; {@code ?} where it can't be told
     */
    @ParameterizedTest
    @CsvSource({
        // nothing happened
        "1a 2b, a b, 5, 1 2",
        "1a 3b, a b, 5, 1 3",
        // a column of before the record, that nobody knows
        "1a 3b, a x b, 5, 1 2 3",
        // added: before, after
        "1a 2b 3c+10, a b, 5, 1 2",
        "1a 2b 3c+10, a b c, 5, 1 2 3",
        "1a 2b 3c+10, a b c, 15, 1 2 3",
        "1a 2b 3c+10, a b, 15, ?",
        // renamed, also by names that were never seen
        "1a 2b/c, a b, 5, 1 2",
        "1a 2b/c, a c, 5, 1 2",
        "1a 2b/c, a x, 5, 1 2",
        // names that went from one to the other
        "1a/b 2b/a, a b, 5, 1 2",
        "1a/b 2b/a, b a, 5, 1 2",
        "1a 2b/c 3b+10, a b, 5, 1 2",
        "1a 2b/c 3b+10, a c b, 5, 1 2 3",
        // dropped
        "1a 2b-10 3c, a b c, 5, 1 2 3",
        "1a 2b-10 3c, a c, 5, 1 3",
        "1a 2b-10 3c, a c, 15, 1 3",
        "1a 2b-10 3c, a b c, 15, ?",
        // dropped and added again under its name: only where the stream is past it, it is known
        "1a 2b-10 3b+10, a b, 5, ?",
        "1a 2b-10 3b+10, a b, 15, 1 3",
        "1a 2b-10 3b+20, a b, 12, 1 3",
        "1a 2b-10 3c/b+5, a b, 7, 1 3",
        "1a 2b-10 3c/b+5, a b, 3, ?",
        // two unknown names, one of them dropped
        "1a 2b-10 3c+10, a x, 5, ?",
        // excluded and generated ones
        "1a 2s 3b, a s b, 5, 1 2 3",
        "1a 2s/t 3b, a t b, 5, 1 2 3",
        "1a 2g! 3b, a b, 5, 1 3"
    })
    void numbers(String known, String sent, long commit, String expected) {
        var attributes =
                Arrays.stream(known.split(" ")).map(AlignmentTest::attribute).toList();
        var shape = new SourceShape('r', attributes.getLast().number(), List.of(), 'd', List.of(), List.of());
        var names = sent.split(" ");
        var places = Alignment.of(
                names, new Followed(shape, 0, List.of(), List.of(), List.of(), attributes), new Lsn(commit));
        assertThat(places.map(found -> found.entrySet().stream()
                                .sorted(java.util.Map.Entry.comparingByValue())
                                .map(entry -> entry.getKey().toString())
                                .collect(Collectors.joining(" ")))
                        .orElse("?"))
                .isEqualTo(expected);
    }

    private static Attribute attribute(String text) {
        var plain = text.replaceAll("[+!-].*", "");
        return new Attribute(
                Integer.parseInt(plain.substring(0, 1)),
                List.of(plain.substring(1).split("/")),
                List.of(),
                lsn(text, '+', Lsn.ZERO.toString()),
                lsn(text, '-', null),
                !text.endsWith("!"),
                true,
                null);
    }

    private static String lsn(String text, char sign, String otherwise) {
        int at = text.indexOf(sign);
        return at < 0 ? otherwise : new Lsn(Long.parseLong(text.substring(at + 1))).toString();
    }
}
