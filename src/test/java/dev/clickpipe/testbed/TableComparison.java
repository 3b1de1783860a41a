package dev.clickpipe.testbed;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.postgresql.PGConnection;
import org.postgresql.copy.PGCopyInputStream;

/**
 * Whether a Postgres table and its ClickHouse target hold the same rows: all rows of both, as a multiset, columns by
 * name. Values are compared as Postgres' text, {@code FINAL} is applied where the engine knows it. Only spelling is
 * forgiven, and by the Postgres type alone ({@link PostgresText#canonical}); what the target is meant to hold
 * differently is said with {@link #expecting}. For tables that fit in memory.
 *
 * @param source table, quoted as SQL needs it
 * @param target table, quoted as SQL needs it, in the ClickHouse's database unless qualified
 * @param columns compared ones; empty means all of the source's
 * @param key columns by which the report pairs rows that differ; equality does not depend on it
 * @param expectations column to what the target holds for the source's text
 * @param where condition on the rows of both sides, in SQL that both understand; empty means all rows
 */
public record TableComparison(
        Postgres postgres,
        String source,
        ClickHouse clickhouse,
        String target,
        List<String> columns,
        List<String> key,
        Map<String, UnaryOperator<String>> expectations,
        String where) {

    private static final int REPORTED_ROWS = 20;
    private static final ObjectReader JSON = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(DeserializationFeature.USE_BIG_INTEGER_FOR_INTS)
            .build()
            .readerFor(JsonNode.class);

    public static TableComparison between(Postgres postgres, String source, ClickHouse clickhouse, String target) {
        return new TableComparison(postgres, source, clickhouse, target, List.of(), List.of(), Map.of(), "");
    }

    public TableComparison columns(String... names) {
        return new TableComparison(postgres, source, clickhouse, target, List.of(names), key, expectations, where);
    }

    public TableComparison key(String... names) {
        return new TableComparison(postgres, source, clickhouse, target, columns, List.of(names), expectations, where);
    }

    /** In this column the target holds the function's result for what the source holds; neither sees NULL. */
    public TableComparison expecting(String column, UnaryOperator<String> targetText) {
        var more = new LinkedHashMap<>(expectations);
        more.put(column, targetText);
        return new TableComparison(postgres, source, clickhouse, target, columns, key, more, where);
    }

    /** Only the rows for which this holds, on both sides. */
    public TableComparison where(String condition) {
        return new TableComparison(postgres, source, clickhouse, target, columns, key, expectations, condition);
    }

    private String filter() {
        return where.isEmpty() ? "" : " WHERE " + where;
    }

    private record Column(String name, String type) {}

    /** Canonical values in the order of the compared columns: texts, lists for arrays, null for NULL. */
    private record Row(List<Object> values) {}

    /** Fails with a report of what differs; made for Awaitility's {@code untilAsserted}. */
    public void assertEqual() {
        List<String> differences = differences();
        if (!differences.isEmpty()) {
            String shown = differences.stream().limit(REPORTED_ROWS).collect(Collectors.joining("\n  ", "  ", ""));
            throw new AssertionError("%s in Postgres and %s in ClickHouse differ in %d rows, of which:%n%s"
                    .formatted(source, target, differences.size(), shown));
        }
    }

    /** One line for each row that differs; empty when the tables are equal. */
    public List<String> differences() {
        List<Column> compared = comparedColumns();
        var missing = new LinkedHashMap<Row, Integer>();
        var surplus = new LinkedHashMap<Row, Integer>();
        try {
            readPostgres(compared, missing);
            try (InputStream answer = clickhouse.stream(selectFromTarget(compared));
                    JsonParser rows = JSON.createParser(answer)) {
                while (rows.nextToken() != null) {
                    Row row = fromClickHouse(compared, JSON.readTree(rows));
                    if (!takeOne(missing, row)) {
                        surplus.merge(row, 1, Integer::sum);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (SQLException e) {
            throw new IllegalStateException(source + ": " + e.getMessage(), e);
        }
        return describe(compared, missing, surplus);
    }

    private List<Column> comparedColumns() {
        String catalogue = """
                SELECT a.attname, format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL)
                FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""";
        return postgres.rows(catalogue.formatted("'" + source.replace("'", "''") + "'")).stream()
                .map(row -> new Column(row.get(0), row.get(1)))
                .filter(column -> columns.isEmpty() || columns.contains(column.name()))
                .toList();
    }

    private void readPostgres(List<Column> compared, Map<Row, Integer> rows) throws SQLException {
        String names = compared.stream()
                .map(column -> "\"" + column.name().replace("\"", "\"\"") + "\"")
                .collect(Collectors.joining(", "));
        String copy = "COPY (SELECT %s FROM %s%s) TO STDOUT".formatted(names, source, filter());
        postgres.use(connection -> {
            try (var settings = connection.createStatement()) {
                settings.execute("SET TimeZone = 'UTC'");
                settings.execute("SET bytea_output = hex");
            }
            try (var lines = new BufferedReader(new InputStreamReader(
                    new PGCopyInputStream(connection.unwrap(PGConnection.class), copy), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    rows.merge(fromPostgres(compared, line), 1, Integer::sum);
                }
                return null;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private Row fromPostgres(List<Column> compared, String line) {
        String[] fields = line.split("\t", -1);
        var values = new ArrayList<Object>();
        for (int i = 0; i < compared.size(); i++) {
            Column column = compared.get(i);
            String text = PostgresText.fromCopy(fields[i]);
            var expectation = expectations.getOrDefault(column.name(), UnaryOperator.identity());
            values.add(text == null ? null : PostgresText.canonical(column.type(), expectation.apply(text)));
        }
        return new Row(values);
    }

    private String selectFromTarget(List<Column> compared) {
        Map<String, String> types = clickhouse.rows("DESCRIBE TABLE " + target).stream()
                .collect(Collectors.toMap(List::getFirst, column -> column.get(1)));
        boolean replacing = clickhouse.query("SHOW CREATE TABLE " + target).contains("ReplacingMergeTree");
        return """
                SELECT %s FROM %s%s%s FORMAT JSONCompactEachRow
                SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_denormals = 1,
                output_format_json_quote_64bit_integers = 1, output_format_json_quote_64bit_floats = 1""".formatted(
                        compared.stream()
                                .map(column -> expression(column, types.getOrDefault(column.name(), "")))
                                .collect(Collectors.joining(", ")),
                        target,
                        replacing ? " FINAL" : "",
                        filter());
    }

    private static String expression(Column column, String targetType) {
        String name = ClickHouseHandler.identifier(column.name());
        if (column.type().equals("bytea")) { // raw bytes would not survive JSON, so ClickHouse spells them
            return "if(match(%1$s, '^\\\\\\\\x([0-9a-f]{2})*$'), %1$s, concat('\\\\x', lower(hex(%1$s))))"
                    .formatted(name);
        }
        boolean instant = column.type().equals("timestamp with time zone") && targetType.contains("DateTime");
        return instant ? "toTimeZone(%s, 'UTC')".formatted(name) : name;
    }

    private static Row fromClickHouse(List<Column> compared, JsonNode node) {
        var values = new ArrayList<Object>();
        for (int i = 0; i < compared.size(); i++) {
            values.add(fromClickHouse(compared.get(i).type(), node.get(i)));
        }
        return new Row(values);
    }

    private static Object fromClickHouse(String type, JsonNode value) {
        if (value.isNull()) {
            return null;
        }
        if (value.isArray() && type.endsWith("[]")) {
            // an array of Postgres may have any number of dimensions under the same type
            String elementType = type.substring(0, type.length() - 2);
            return StreamSupport.stream(value.spliterator(), false)
                    .map(element -> fromClickHouse(element.isArray() ? type : elementType, element))
                    .collect(Collectors.toCollection(ArrayList::new));
        }
        return PostgresText.canonical(type, value.isContainerNode() ? value.toString() : value.asText());
    }

    /** Removes one of equal rows; false when there is none. */
    private static boolean takeOne(Map<Row, Integer> rows, Row row) {
        Integer count = rows.get(row);
        if (count == null) {
            return false;
        }
        if (count == 1) {
            rows.remove(row);
        } else {
            rows.put(row, count - 1);
        }
        return true;
    }

    private List<String> describe(List<Column> compared, Map<Row, Integer> missing, Map<Row, Integer> surplus) {
        var surplusByKey = new LinkedHashMap<List<Object>, Deque<Row>>();
        surplus.forEach((row, count) -> surplusByKey
                .computeIfAbsent(keyOf(compared, row), values -> new ArrayDeque<>())
                .addAll(Collections.nCopies(count, row)));
        var lines = new ArrayList<String>();
        missing.forEach((row, count) -> {
            for (int i = 0; i < count; i++) {
                var counterparts = key.isEmpty() ? null : surplusByKey.get(keyOf(compared, row));
                Row other = counterparts == null ? null : counterparts.poll();
                lines.add(
                        other == null
                                ? "missing in ClickHouse: " + text(compared, row)
                                : describeChange(compared, row, other));
            }
        });
        surplusByKey.values().stream()
                .flatMap(Deque::stream)
                .forEach(row -> lines.add("surplus in ClickHouse: " + text(compared, row)));
        return lines;
    }

    private List<Object> keyOf(List<Column> compared, Row row) {
        return IntStream.range(0, compared.size())
                .filter(i -> key.contains(compared.get(i).name()))
                .mapToObj(row.values()::get)
                .collect(Collectors.toCollection(ArrayList::new));
    }

    private String describeChange(List<Column> compared, Row postgresRow, Row clickhouseRow) {
        return IntStream.range(0, compared.size())
                .filter(i -> !Objects.equals(
                        postgresRow.values().get(i), clickhouseRow.values().get(i)))
                .mapToObj(i -> "%s is %s in Postgres, %s in ClickHouse"
                        .formatted(
                                compared.get(i).name(),
                                quoted(postgresRow.values().get(i)),
                                quoted(clickhouseRow.values().get(i))))
                .collect(Collectors.joining("; ", "at %s %s: ".formatted(key, keyOf(compared, postgresRow)), ""));
    }

    private static String text(List<Column> compared, Row row) {
        return IntStream.range(0, compared.size())
                .mapToObj(
                        i -> compared.get(i).name() + "=" + quoted(row.values().get(i)))
                .collect(Collectors.joining(", "));
    }

    private static String quoted(Object value) {
        return value instanceof String text ? "'" + text + "'" : String.valueOf(value);
    }
}
