package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.clickpipe.api.ColumnMapping;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.TableComparison;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * Every type with its edge values on every way that a value can take, in every version of Postgres: what ClickHouse holds is
 * compared with Postgres' own text, and the ways with each other.
 *
 * <p>The tables have a column for each type. Their rows go round through the values; the thousands of the id say on which way
 * they went.
 */
@Timeout(300)
class TypesIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    static final List<Integer> VERSIONS = PostgresServer.VERSIONS;

    /** Way 0 is the load; what is on the ways is the same. */
    private static final int INSERTED = 1;

    private static final int UPDATED = 2;
    private static final int INSERTED_THEN_TOUCHED = 3;
    private static final int LOADED_THEN_TOUCHED = 4;
    private static final int LOST_THEN_TOUCHED = 5;
    private static final int WAYS = 6;

    private static final int NULL_ROW = 999;

    /** Not stored apart, so that Postgres stores apart every other value of 32 bytes or more, and does not send it unchanged. */
    private static final String FILLER = "repeat('.', 2100)";

    @ParameterizedTest
    @FieldSource("VERSIONS")
    void everyTypeOnEveryWay(int version) throws Exception {
        var edges = Stream.concat(Edge.ALL.stream(), version < 15 ? Stream.of() : Edge.SINCE_15.stream())
                .toList();
        try (var server = PostgresServer.create(version)) {
            var postgres = server.createDatabase("source");
            postgres.execute(Edge.DEFINITIONS.toArray(String[]::new));
            var optional = new Table(postgres, "optional_" + version, edges, true);
            var required = new Table(postgres, "required_" + version, edges, false);
            var chosen = new Table(postgres, "chosen_" + version, Edge.CHOSEN, true);
            var defaulted = new Table(postgres, "defaulted_" + version, edges, true);
            for (var table : List.of(optional, required, chosen, defaulted)) {
                table.create();
            }
            try (var pipe = pipe(postgres, optional, required, chosen).setUp();
                    var without = pipe(postgres, defaulted).nullable(false).setUp()) {
                pipe.load();
                without.load();
                var loaded = clamped(pipe, optional);
                assertThat(loaded).isPositive();
                pipe.start();
                without.start();
                for (var table : List.of(optional, required, chosen, defaulted)) {
                    table.change();
                }
                pipe.awaitConfirmed();
                pipe.stop(); // begun again it knows that all is loaded, and looks values up in the target
                pipe.start();
                for (var table : List.of(optional, required, chosen, defaulted)) {
                    table.touchLoaded();
                }
                pipe.awaitConfirmed();
                without.awaitConfirmed();
                for (var table : List.of(optional, required, chosen)) {
                    table.comparison(pipe).assertEqual();
                    table.requireEqualWays();
                }
                defaulted.comparison(without).assertEqual();
                defaulted.requireEqualWays();
                assertThat(optional.otherThanNull("isNull(%1$s)")).isEmpty();
                assertThat(chosen.otherThanNull("isNull(%1$s)")).isEmpty();
                assertThat(
                                defaulted.otherThanNull(
                                        "if('%2$s' = 'Date32', toString(%1$s) = '1970-01-01', %1$s = defaultValueOfTypeName('%2$s'))"))
                        .isEmpty();
                // The stream counts them, too.
                assertThat(clamped(pipe, optional)).isGreaterThan(loaded);
                // All ways were taken.
                for (var found : List.of("batch", "target", "source")) {
                    assertThat(pipe.meters()
                                    .counter("clickpipe.cdc.unchanged.values", "found", found)
                                    .count())
                            .as(found)
                            .isPositive();
                }
            }
        }
    }

    @Test
    void thoseOfExtensionsOnEveryWay() throws Exception {
        var server = PostgresServer.withExtensions();
        assumeTrue(server.isPresent(), "pgvector and PostGIS are not to be had");
        try (var postgresServer = server.get()) {
            var postgres = postgresServer.createDatabase("source");
            postgres.execute(Edge.EXTENSIONS.toArray(String[]::new));
            var table = new Table(postgres, "extended", Edge.OF_EXTENSIONS, true);
            table.create();
            try (var pipe = pipe(postgres, table).setUp()) {
                pipe.load();
                pipe.start();
                table.change();
                pipe.awaitConfirmed();
                pipe.stop();
                pipe.start();
                table.touchLoaded();
                pipe.awaitConfirmed();
                table.comparison(pipe).assertEqual();
                table.requireEqualWays();
                assertThat(table.otherThanNull("isNull(%1$s)")).isEmpty();
            }
        }
    }

    private static double clamped(TestPipe pipe, Table table) {
        return pipe.meters()
                .counter("clickpipe.values.clamped", "table", "public." + table.name)
                .count();
    }

    private static TestPipe.Builder pipe(Postgres postgres, Table... tables) {
        var builder = new TestPipe.Builder(postgres, CLICKHOUSE.client()).loaded();
        for (var table : tables) {
            builder.table(table.name, TableEngine.ReplacingMergeTree, table.choices());
        }
        return builder;
    }

    /** @param nullable whether its columns may be NULL, and one row is */
    private record Table(Postgres postgres, String name, List<Edge> edges, boolean nullable) {

        private int rows() {
            return edges.stream().mapToInt(edge -> edge.values().size()).max().orElseThrow();
        }

        private String columns() {
            return edges.stream().map(edge -> '"' + edge.column() + '"').collect(Collectors.joining(", "));
        }

        List<ColumnMapping> choices() {
            return edges.stream()
                    .filter(edge -> edge.targetType() != null)
                    .map(edge -> new ColumnMapping(edge.column(), edge.targetType(), null))
                    .toList();
        }

        void create() {
            var statements = new ArrayList<String>();
            statements.add("CREATE TABLE " + name
                    + " (id int PRIMARY KEY, touched int DEFAULT 0 NOT NULL, filler text NOT NULL DEFAULT " + FILLER
                    + ", "
                    + edges.stream()
                            .map(edge -> '"' + edge.column() + "\" " + edge.type() + (nullable ? "" : " NOT NULL"))
                            .collect(Collectors.joining(", "))
                    + ")");
            statements.add("ALTER TABLE " + name + " SET (toast_tuple_target = 128)");
            statements.add("ALTER TABLE " + name + " ALTER filler SET STORAGE PLAIN");
            for (int row = 0; row < rows(); row++) {
                int number = row;
                statements.add("INSERT INTO " + name + " (id, " + columns() + ") VALUES (" + row + ", "
                        + edges.stream().map(edge -> edge.value(number)).collect(Collectors.joining(", ")) + ")");
            }
            if (nullable) {
                statements.add("INSERT INTO " + name + " (id) VALUES (" + NULL_ROW + ")");
            }
            statements.add(copy(LOADED_THEN_TOUCHED));
            statements.add(copy(LOST_THEN_TOUCHED));
            postgres.transaction(statements.toArray(String[]::new));
        }

        private String copy(int way) {
            return "INSERT INTO %1$s (id, %2$s) SELECT id + %3$d, %2$s FROM %1$s WHERE id < 1000"
                    .formatted(name, columns(), way * 1000);
        }

        private String touch(int way) {
            return "UPDATE %s SET touched = 1 WHERE id / 1000 = %d".formatted(name, way);
        }

        /** What is done to the table after its load. */
        void change() {
            postgres.execute(copy(INSERTED));
            // The values of the next row, then those of the row itself.
            postgres.execute(
                    "INSERT INTO %1$s (id, %2$s) SELECT %3$d + lag(id, 1, last) OVER (ORDER BY id), %2$s FROM %1$s, (SELECT max(id) AS last FROM %1$s WHERE id < 1000) m WHERE id < 1000"
                            .formatted(name, columns(), UPDATED * 1000),
                    "UPDATE %1$s t SET (%2$s) = (SELECT %2$s FROM %1$s s WHERE s.id = t.id - %3$d) WHERE id / 1000 = %4$d"
                            .formatted(name, columns(), UPDATED * 1000, UPDATED));
            postgres.transaction(copy(INSERTED_THEN_TOUCHED), touch(INSERTED_THEN_TOUCHED));
        }

        void touchLoaded() {
            CLICKHOUSE.client().query("DELETE FROM " + identifier(name) + " WHERE id >= " + LOST_THEN_TOUCHED * 1000);
            postgres.execute(touch(LOADED_THEN_TOUCHED), touch(LOST_THEN_TOUCHED));
        }

        TableComparison comparison(TestPipe pipe) {
            var comparison = pipe.comparison(name).key("id").where("id % 1000 <> " + NULL_ROW);
            for (var edge : edges) {
                comparison = comparison.expecting(edge.column(), edge::expected);
            }
            return comparison;
        }

        /** The text of what ClickHouse holds is the same whichever way it came. */
        void requireEqualWays() {
            var loaded = held(0);
            assertThat(loaded).hasSize(rows() + (nullable ? 1 : 0));
            for (int way = 1; way < WAYS; way++) {
                assertThat(held(way)).as("way " + way).isEqualTo(loaded);
            }
        }

        private List<List<String>> held(int way) {
            return CLICKHOUSE
                    .client()
                    .rows("SELECT id % 1000, "
                            + edges.stream()
                                    .map(edge ->
                                            "formatRowNoNewline('TabSeparated', " + identifier(edge.column()) + ")")
                                    .collect(Collectors.joining(", "))
                            + " FROM "
                            + identifier(name) + " FINAL WHERE intDiv(id, 1000) = " + way + " ORDER BY id");
        }

        /**
         * The columns that hold something else for a NULL.
         *
         * @param condition for columns that are no arrays, of the column and its type: as there is no Nullable(Array), those are empty
         */
        List<String> otherThanNull(String condition) {
            var types = CLICKHOUSE.client().rows("DESCRIBE TABLE " + identifier(name));
            var wrong = types.stream()
                    .filter(type ->
                            edges.stream().anyMatch(edge -> edge.column().equals(type.getFirst())))
                    .map(type -> "if("
                            + (type.get(1).startsWith("Array(") ? "empty(%1$s)" : condition)
                                    .formatted(identifier(type.getFirst()), type.get(1))
                            + ", '', '" + type.getFirst() + "')")
                    .collect(Collectors.joining(", "));
            var rows = CLICKHOUSE
                    .client()
                    .rows("SELECT arrayJoin(arrayFilter(c -> c != '', [" + wrong + "])), id FROM " + identifier(name)
                            + " FINAL WHERE id % 1000 = " + NULL_ROW);
            assertThat(CLICKHOUSE
                            .client()
                            .query("SELECT count() FROM " + identifier(name) + " FINAL WHERE id % 1000 = " + NULL_ROW))
                    .isEqualTo(String.valueOf(WAYS));
            return rows.stream().map(Object::toString).toList();
        }
    }
}
