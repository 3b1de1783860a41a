package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import dev.clickpipe.clickhouse.TableDefinition.Ignoring;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TableDefinition.Publishing;
import dev.clickpipe.clickhouse.TableDefinition.Replacement;
import dev.clickpipe.clickhouse.TableDefinition.Streaming;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What is recorded, and what follows from it at offset 0/50. A build is written {@code name engine published-from streaming-from
 * cut boundary complete}: engine R(eplacingMergeTree) or M(ergeTree), a replacement's name ends with {@code '}, {@code -} is
 * null, a failed one's streaming begins with {@code !}.
 */
class AgendaTest {
    private static final Lsn OFFSET = Lsn.parse("0/50");

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        # recorded                                                           | take up | cut  | swap  | follow  | from | awaited
        # the first connection of a pipe
        a R - - - - -, b M - - - - -                                         | a b     |      |       | a b     | 0/50 | 0/0
        # nothing new
        a R - 0/10 - - -, b M - 0/10 0/20 0/20 0/20                          |         |      |       | a b     | 0/50 | 0/0
        # an added table, before and after the stream has come to where it is published
        a R - 0/10 - - -, b R 0/60 - - - -                                   |         |      |       | a       | 0/50 | 0/60
        a R - 0/10 - - -, b R 0/50 - - - -                                   | b       |      |       | a b     | 0/50 | 0/0
        a R - 0/10 - - -, b R 0/60 - - - -, c R 0/70 - - - -                 |         |      |       | a       | 0/50 | 0/60
        a R - 0/10 - - -, b R 0/40 - - - -, c R 0/70 - - - -                 | b       |      |       | a b     | 0/50 | 0/70
        # nothing is written: no need to read what comes before
        a R 0/60 - - - -, b R 0/70 - - - -                                   | a b     |      |       | a b     | 0/70 | 0/0
        a R - !0/10 - - -, b R 0/70 - - - -                                  | b       |      |       | b       | 0/70 | 0/0
        # the load of an append-only table has begun, and begun again
        a M - 0/10 - 0/55 -                                                  |         | a    |       | a       | 0/50 | 0/0
        a M - 0/10 0/55 0/55 -                                               |         |      |       | a       | 0/50 | 0/0
        a M - 0/10 0/55 0/58 -                                               |         | a    |       | a       | 0/50 | 0/0
        a R - 0/10 - 0/55 -                                                  |         |      |       | a       | 0/50 | 0/0
        # it is parked
        a M - !0/10 - 0/55 -, b R - 0/10 - - -                               |         |      |       | b       | 0/50 | 0/0
        a R - !0/10 - - -                                                    |         |      |       |         | 0/50 | 0/0
        # a replacement: not taken up, not loaded, loaded but the stream is behind, due
        a R - 0/10 - 0/9 0/9, a' R 0/60 - - - -                              |         |      |       | a       | 0/50 | 0/60
        a R - 0/10 - 0/9 0/9, a' R 0/40 0/41 - 0/45 -                        |         |      |       | a a'    | 0/50 | 0/0
        a R - 0/10 - 0/9 0/9, a' R 0/40 0/41 - 0/45 0/51                     |         |      |       | a a'    | 0/50 | 0/51
        a R - 0/10 - 0/9 0/9, a' R 0/40 0/41 - 0/45 0/50                     |         |      | a'    | a a'    | 0/50 | 0/0
        # not before it is cut
        a M - 0/10 0/9 0/9 0/9, a' M 0/40 0/41 - 0/45 0/45                   |         | a'   |       | a a'    | 0/50 | 0/0
        a M - 0/10 0/9 0/9 0/9, a' M 0/40 0/41 0/45 0/45 0/45                |         |      | a'    | a a'    | 0/50 | 0/0
        # all at once
        a R - 0/10 - 0/9 0/9, a' R - 0/41 - 0/45 0/49, b' R - 0/41 - 0/45 -  |         |      |       | a a' b' | 0/50 | 0/0
        a R - 0/10 - 0/9 0/9, a' R - 0/41 - 0/45 0/49, b' R - 0/41 - 0/45 0/52 |       |      |       | a a' b' | 0/50 | 0/52
        a R - 0/10 - 0/9 0/9, a' R - 0/41 - 0/45 0/49, b' R - 0/41 - 0/45 0/48 |       |      | a' b' | a a' b' | 0/50 | 0/0
        # a parked live table is healed by its replacement, a parked replacement takes nobody's place
        a R - !0/10 - 0/9 0/9, a' R - 0/41 - 0/45 0/49                       |         |      | a'    | a'      | 0/50 | 0/0
        a R - 0/10 - 0/9 0/9, a' R - !0/41 - 0/45 0/49                       |         |      |       | a       | 0/50 | 0/0
        """)
    void due(String recorded, String takeUp, String cut, String swap, String follow, String from, String awaited) {
        var definitions =
                Arrays.stream(recorded.split(", ")).map(AgendaTest::parse).toList();
        var agenda = Agenda.of(definitions, OFFSET);
        assertThat(names(agenda.takeUp())).as("take up").isEqualTo(takeUp == null ? "" : takeUp);
        assertThat(names(agenda.cut())).as("cut").isEqualTo(cut == null ? "" : cut);
        assertThat(names(agenda.swap())).as("swap").isEqualTo(swap == null ? "" : swap);
        assertThat(names(agenda.follow())).as("follow").isEqualTo(follow == null ? "" : follow);
        assertThat(agenda.from()).hasToString(from);
        assertThat(agenda.awaited()).hasToString(awaited);
        boolean nothing = agenda.takeUp().isEmpty()
                && agenda.cut().isEmpty()
                && agenda.swap().isEmpty();
        assertThat(agenda.isDue(agenda)).isEqualTo(!nothing);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        # written by this connection               | recorded now                                | due
        a R - 0/10 - - -, b R - 0/10 - - -         | b R - 0/10 - - -, a R - 0/10 - - -          | false
        a R - 0/10 - - -, b R - 0/10 - - -         | a R - 0/10 - - -                            | true
        a R - 0/10 - - -, b R - 0/10 - - -         | a R - 0/10 - - -, b R - !0/10 - - -         | true
        a R - 0/10 - - -                           | a R - 0/10 - - -, b R - 0/10 - - -          | true
        a R - 0/10 - - -                           | a R - 0/10 - 0/40 -                         | false
        # loaded, and the stream has passed that
        a R - 0/10 - - -                           | a R - 0/10 - 0/40 0/60                      | false
        a R - 0/10 - - -                           | a R - 0/10 - 0/40 0/50                      | true
        a R - 0/10 - 0/30 0/40                     | a R - 0/10 - 0/30 0/40                      | false
        a R - 0/10 - 0/30 0/45                     | a R - 0/10 - 0/30 0/45                      | true
        """)
    void whatIsGoneEndsTheConnection(String following, String recorded, boolean due) {
        var agenda = Agenda.of(
                Arrays.stream(recorded.split(", ")).map(AgendaTest::parse).toList(), OFFSET);
        var begun = Agenda.of(
                Arrays.stream(following.split(", ")).map(AgendaTest::parse).toList(), Lsn.parse("0/40"));
        assertThat(agenda.isDue(begun)).isEqualTo(due);
    }

    /** What is ignored since when: of a transaction that may be read again what was ignored of it before. */
    @Test
    void whatIsIgnoredBeginsBehindEverythingThatWasRead() {
        var deletes = new Ignored(true, false);
        var truncates = new Ignored(false, true);
        var wanted = parse("a R - 0/10 - - -").withIgnored(deletes);
        assertThat(Agenda.of(List.of(wanted), OFFSET).ignore()).containsExactly(wanted);

        var once = wanted.streaming().withIgnored(deletes, Lsn.parse("0/70"), OFFSET);
        assertThat(Agenda.of(List.of(wanted.withStreaming(once)), OFFSET).ignore())
                .isEmpty();
        assertThat(once.ignored(Lsn.parse("0/6F"))).isEqualTo(Ignored.NOTHING);
        assertThat(once.ignored(Lsn.parse("0/70"))).isEqualTo(deletes);

        var twice = once.withIgnored(truncates, Lsn.parse("0/80"), Lsn.parse("0/60"));
        assertThat(List.of("0/6F", "0/7F", "0/80"))
                .extracting(lsn -> twice.ignored(Lsn.parse(lsn)))
                .containsExactly(Ignored.NOTHING, deletes, truncates);
        // what nobody reads again is forgotten
        assertThat(twice.withIgnored(Ignored.NOTHING, Lsn.parse("0/90"), Lsn.parse("0/85"))
                        .ignoring())
                .extracting(Ignoring::from)
                .containsExactly("0/80", "0/90");
    }

    private static String names(List<TableDefinition> definitions) {
        return definitions.stream().map(TableDefinition::build).sorted().collect(Collectors.joining(" "));
    }

    private static TableDefinition parse(String text) {
        var fields = Arrays.stream(text.strip().split(" "))
                .map(field -> field.equals("-") ? null : field)
                .toList();
        var name = fields.getFirst();
        var live = name.replace("'", "");
        boolean replaces = name.endsWith("'");
        var failed = fields.get(3) != null && fields.get(3).startsWith("!");
        return new TableDefinition(
                name,
                "public",
                live,
                1,
                replaces ? live + "_resync" : live,
                fields.get(1).equals("M") ? TableEngine.MergeTree : TableEngine.ReplacingMergeTree,
                List.of(),
                List.of(),
                List.of(),
                0,
                null,
                null,
                replaces ? new Replacement(live, "uuid") : null,
                new Publishing("publication", fields.get(2)),
                fields.get(3) == null
                        ? null
                        : new Streaming(
                                fields.get(3).replace("!", ""),
                                fields.get(4),
                                null,
                                failed ? new Problem("Bad", "table " + live, "is bad", null) : null,
                                null,
                                null),
                fields.get(5) == null ? null : new Loading(fields.get(5), fields.get(6)));
    }
}
