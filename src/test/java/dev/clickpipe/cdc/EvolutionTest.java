package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Column;
import dev.clickpipe.clickhouse.TableDefinition.Layout;
import dev.clickpipe.clickhouse.TableDefinition.Request;
import dev.clickpipe.clickhouse.TableDefinition.Streaming;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.MissingValues;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.SourceColumn;
import dev.clickpipe.postgres.SourceShape;
import dev.clickpipe.postgres.SourceTable;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EvolutionTest {
    private static final Map<String, Long> OIDS =
            Map.of("int2", 21L, "int4", 23L, "int8", 20L, "text", 25L, "uuid", 2950L, "float8", 701L);

    /**
     * @param text columns by commas: {@code number name type}, then {@code !} for NOT NULL, {@code =value} for a value that rows from
     *     before have, {@code =?} for a default of which nothing is kept, {@code g} for a generated one, {@code -} for one that is not
     *     published; those of the primary key with {@code *}
     */
    private static Evolution.Seen source(String text, long filenode) {
        var columns = new java.util.ArrayList<SourceColumn>();
        var shaped = new java.util.ArrayList<SourceShape.Column>();
        var key = new java.util.ArrayList<Integer>();
        var values = new HashMap<Integer, String>();
        var unknown = new HashSet<Integer>();
        for (var one : text.split(", ?")) {
            var words = Arrays.asList(one.strip().split(" "));
            int number = Integer.parseInt(words.get(0));
            var type = new PgType(OIDS.get(words.get(2)), words.get(2), PgType.Kind.SCALAR, -1, null);
            boolean notNull = words.contains("!") || words.contains("*");
            columns.add(new SourceColumn(number, words.get(1), type, 0, notNull, words.contains("g")));
            shaped.add(new SourceShape.Column(
                    number,
                    words.get(1),
                    type.oid(),
                    -1,
                    notNull,
                    words.contains("g"),
                    !words.contains("-") && !words.contains("g")));
            if (words.contains("*")) {
                key.add(number);
            }
            words.stream().filter(word -> word.startsWith("=")).forEach(word -> {
                if (word.equals("=?")) {
                    unknown.add(number);
                } else {
                    values.put(number, word.substring(1));
                }
            });
        }
        var keyNames = columns.stream()
                .filter(column -> key.contains(column.number()))
                .map(SourceColumn::name)
                .toList();
        return new Evolution.Seen(
                new SourceShape('r', columns.getLast().number(), shaped, 'd', key, List.of()),
                new SourceTable(
                        1, "public", "t", 'r', SourceTable.ReplicaIdentity.DEFAULT, keyNames, keyNames, columns),
                new MissingValues(values, unknown, filenode),
                new Lsn(100));
    }

    /** As Setup records it, and the stream takes it up. */
    private static TableDefinition recorded(String source, String excluded, boolean nullables) {
        var seen = source(source, 1);
        var without = excluded == null ? List.<String>of() : List.of(excluded.split(" "));
        return TableDefinition.wanted(
                        "public",
                        "t",
                        1,
                        "t",
                        TableEngine.ReplacingMergeTree,
                        seen.table().primaryKey(),
                        seen.table().primaryKey(),
                        seen.table().columns().stream()
                                .filter(column -> !without.contains(column.name()) && !column.generated())
                                .map(column -> Column.of(column, nullables))
                                .toList())
                .withHighestColumn(seen.shape().attributes())
                .built(
                        new Request(
                                new Layout(TableEngine.ReplacingMergeTree, List.of(), null, without, nullables, true),
                                null,
                                null),
                        null,
                        null)
                .withStreaming(Streaming.takenUp("0/0", null));
    }

    private static TableDefinition followed(TableDefinition build, String source) {
        var evolution = Evolution.of(build, source(source, 1), Set.of());
        return build.withStreaming(build.streaming().withFollowed(evolution.followed()));
    }

    private static String outcome(TableDefinition build, Evolution.Seen now) {
        try {
            return Evolution.of(build, now, Set.of()).changes().stream()
                    .map(change -> switch (change) {
                        case SchemaChange.Added added ->
                            "+" + added.column().name() + ":" + added.column().clickHouseType()
                                    + (added.missing() == null ? "" : "=" + added.missing());
                        case SchemaChange.Dropped dropped -> "-" + dropped.name();
                        case SchemaChange.Renamed renamed -> renamed.from() + ">" + renamed.to();
                        case SchemaChange.Widened widened ->
                            widened.column().name() + ":" + widened.column().clickHouseType();
                    })
                    .collect(Collectors.joining(" "));
        } catch (TableFailure e) {
            return e.problem().reason();
        }
    }

    /** Between what is recorded and what is there now; the source's tables are (1 id, 2 v text, 3 n int4 NOT NULL). */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            nullValues = "-",
            value = {
                "1 id int4 *, 2 v text, 3 n int4 !                        | ''",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4              | +c:Nullable(Int32)",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4 =5           | +c:Nullable(Int32)=5",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4 ! =5         | +c:Int32=5",
                // rows from before may have been NULL until they were filled
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4 !            | +c:Nullable(Int32)",
                "1 id int4 *, 2 v text, 3 n int4 !, 5 d text, 9 c int8    | +d:Nullable(String) +c:Nullable(Int64)",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c uuid =?           | ColumnDefaultUnknown",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4 g            | ''",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 c int4 -            | ''",
                "1 id int4 *, 2 v text, 3 n int4 !, 4 _clickpipe_version int4 | ColumnNameReserved",
                "1 id int4 *, 2 w text, 3 n int4 !                        | v>w",
                "1 id int4 *, 2 w text, 3 n int4 !, 4 v text              | ColumnNameUsedAgain",
                "1 id int4 *, 2 n text, 3 v int4 !                        | ColumnNameUsedAgain",
                "1 id int4 *, 2 v text                                    | -n",
                "1 id int4 *, 3 v int4 !                                  | ColumnNameUsedAgain",
                "1 id int4 *, 3 n int4 !, 4 v text                        | ColumnNameUsedAgain",
                "1 id int4 *, 3 m int8, 4 c text                          | -v n>m m:Nullable(Int64) +c:Nullable(String)",
                "1 id int4 *, 2 v text, 3 n int4                          | n:Nullable(Int32)",
                "1 id int4 *, 2 v text !, 3 n int4 !                      | ''",
                "1 id int4 *, 2 v text, 3 n int8 !                        | n:Int64",
                "1 id int4 *, 2 v text, 3 n int8                          | n:Nullable(Int64)",
                "1 id int4 *, 2 v text, 3 n int2 !                        | ColumnTypeChanged",
                "1 id int4 *, 2 v int4, 3 n int4 !                        | ColumnTypeChanged",
                "1 id int4 *, 2 v text g, 3 n int4 !                      | ColumnNotPublished",
                "1 id int4 *, 2 v text -, 3 n int4 !                      | ColumnNotPublished",
                "2 v text *, 3 n int4 !                                   | KeyColumnDropped",
                "1 key int4 *, 2 v text, 3 n int4 !                       | KeyColumnRenamed",
                "1 id int8 *, 2 v text, 3 n int4 !                        | KeyColumnChanged",
                "1 id int4 *, 2 v text, 3 n int4 *                        | KeyChanged",
                "1 id int4 !, 2 v text, 3 n int4 !                        | KeyChanged"
            })
    void whatBecomesOfATable(String now, String expected) {
        var before = "1 id int4 *, 2 v text, 3 n int4 !";
        assertThat(outcome(followed(recorded(before, null, true), before), source(now, 2)))
                .isEqualTo(expected);
    }

    @Test
    void nothing_is_lost_on_the_way() {
        var before = "1 id int4 *, 2 v text, 3 n int4 !";
        var build = followed(recorded(before, null, true), before);
        build = followed(build, "1 id int4 *, 2 w text, 3 n int8 !, 4 c int4 =5");
        build = followed(build, "1 id int4 *, 2 x text, 4 c int4");
        assertThat(build.columns()).extracting(Column::name).containsExactly("id", "x", "c");
        assertThat(build.followed().attributes())
                .extracting(attribute -> attribute.number() + " " + String.join("/", attribute.names()) + " "
                        + attribute.since() + " " + attribute.until() + " " + attribute.missing())
                .containsExactly("1 id 0/0 null null", "2 v/w/x 0/0 null null", "3 n 0/0 0/64 null", "4 c 0/64 null 5");
        assertThat(outcome(build, source("1 id int4 *, 2 x text, 4 c int4, 5 n text", 1)))
                .isEqualTo("ColumnNameUsedAgain");
    }

    /** A default that was set later than its column was added rewrote nothing. */
    @Test
    void aDefaultThatWasSetLater() {
        var before = "1 id int4 *";
        var build = followed(recorded(before, null, true), before);
        assertThat(outcome(build, source("1 id int4 *, 2 c int4 =?", 1))).isEqualTo("+c:Nullable(Int32)");
        assertThat(outcome(build, source("1 id int4 *, 2 c int4 =?", 2))).isEqualTo("ColumnDefaultUnknown");
    }

    @Test
    void excluded_columns_are_told_by_their_numbers() {
        var before = "1 id int4 *, 2 v text, 3 secret text, 4 calc int4 g";
        var build = recorded(before, "secret", true);
        assertThat(outcome(build, source("1 id int4 *, 2 v text, 3 open text, 4 calc int4 g", 1)))
                .as("before any stream has looked at it")
                .isEmpty();
        build = followed(build, before);
        assertThat(outcome(build, source("1 id int4 *, 2 v text, 3 open text, 4 calc int4 g, 5 secret text", 1)))
                .isEmpty();
        assertThat(outcome(build, source("1 id int4 *, 2 v text, 3 secret text, 4 calc int4", 1)))
                .isEqualTo("ColumnNotReplicated");
    }

    @Test
    void without_nullables() {
        var before = "1 id int4 *, 2 v int4";
        var build = followed(recorded(before, null, false), before);
        assertThat(outcome(build, source("1 id int4 *, 2 v int8, 3 c int4 =5", 1)))
                .isEqualTo("v:Int64 +c:Int32=5");
    }

    @Test
    void a_NULL_that_came_is_a_NULL() {
        var before = "1 id int4 *, 2 n int4 !";
        var build = followed(recorded(before, null, true), before);
        assertThat(Evolution.of(build, source(before, 1), Set.of(2))
                        .followed()
                        .columns()
                        .getLast()
                        .clickHouseType())
                .isEqualTo("Nullable(Int32)");
    }
}
