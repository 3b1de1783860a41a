package dev.clickpipe.clickhouse;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The definition of a MergeTree or Null table as ClickHouse writes it down, taken apart without a look into expressions: what a pipe
 * does not know of is carried over word for word.
 *
 * @param columns in the table's order
 * @param others indexes, projections and constraints
 * @param clauses what follows the engine, without the keyword
 */
public record TableText(List<Column> columns, List<String> others, Map<Clause, String> clauses) {

    /**
     * @param name unquoted
     * @param rest default, comment, codec, TTL and settings; begins with a space, or is empty
     */
    public record Column(String name, String type, String rest) {}

    /** In the order in which ClickHouse writes them. */
    public enum Clause {
        PARTITION_BY,
        PRIMARY_KEY,
        ORDER_BY,
        SAMPLE_BY,
        TTL,
        SETTINGS;

        String keyword() {
            return name().replace('_', ' ');
        }
    }

    /** What a rule of a TTL may do instead of deleting rows (ClickHouse documentation, "Table TTL"). */
    private static final List<String> KEEPING = List.of(" TO DISK ", " TO VOLUME ", " RECOMPRESS ");

    /**
     * @param createQuery {@code create_table_query} of system.tables
     * @param engineFull {@code engine_full} of system.tables
     */
    static TableText parse(String createQuery, String engineFull) {
        var columns = new ArrayList<Column>();
        var others = new ArrayList<String>();
        int open = topLevel(createQuery, 0, "(").orElseThrow();
        int end = closing(createQuery, open);
        for (int from = open + 1; from < end; ) {
            int comma = topLevel(createQuery, from, ",").filter(at -> at < end).orElse(end);
            var element = createQuery.substring(from, comma).strip();
            if (element.startsWith("`")) {
                columns.add(column(element));
            } else {
                others.add(element);
            }
            from = comma + 1;
        }
        return new TableText(List.copyOf(columns), List.copyOf(others), clauses(engineFull));
    }

    /** Null where there is none. */
    public String partitionBy() {
        return clauses.get(Clause.PARTITION_BY);
    }

    /**
     * The columns by which a TTL deletes rows, those included that other columns are made of which it reads. One too many, where a
     * column is called like a word of the language.
     */
    public Set<String> expireBy() {
        var ttl = clauses.get(Clause.TTL);
        if (ttl == null) {
            return Set.of();
        }
        var found = new LinkedHashSet<String>();
        for (int from = 0; from < ttl.length(); ) {
            int comma = topLevel(ttl, from, ",").orElse(ttl.length());
            var rule = ttl.substring(from, comma);
            if (KEEPING.stream().allMatch(keeps -> topLevel(rule, 0, keeps).isEmpty())) {
                addColumns(rule, found);
            }
            from = comma + 1;
        }
        return found;
    }

    private void addColumns(String expression, Set<String> found) {
        var name = new StringBuilder();
        for (int i = 0; i < expression.length(); ) {
            char c = expression.charAt(i);
            int end = i + 1;
            if (c == '`' || c == '\'') {
                end = quoted(expression, i);
            } else if (Character.isJavaIdentifierStart(c)) {
                while (end < expression.length() && Character.isJavaIdentifierPart(expression.charAt(end))) {
                    end++;
                }
            }
            if (c == '`') {
                name.append(unquoted(expression.substring(i, end)));
            } else if (c == '.' || Character.isJavaIdentifierStart(c)) {
                name.append(expression, i, end);
            } else {
                name.setLength(0);
            }
            columns.stream()
                    .filter(column -> column.name().contentEquals(name) && found.add(column.name()))
                    .forEach(column -> addColumns(column.rest(), found));
            i = end;
        }
    }

    private static String unquoted(String identifier) {
        return identifier
                .substring(1, identifier.length() - 1)
                .replace("\\`", "`")
                .replace("\\\\", "\\");
    }

    private static Column column(String element) {
        int end = quoted(element, 0);
        var name = unquoted(element.substring(0, end));
        int type = topLevel(element, end + 1, " ").orElse(element.length());
        return new Column(name, element.substring(end + 1, type), element.substring(type));
    }

    private static Map<Clause, String> clauses(String engineFull) {
        var starts = new EnumMap<Clause, Integer>(Clause.class);
        int from = 0;
        for (var clause : Clause.values()) {
            var at = topLevel(engineFull, from, " " + clause.keyword() + " ");
            if (at.isPresent()) {
                starts.put(clause, at.get());
                from = at.get() + 1;
            }
        }
        var clauses = new EnumMap<Clause, String>(Clause.class);
        starts.forEach((clause, start) -> {
            int end = starts.entrySet().stream()
                    .filter(other -> other.getKey().compareTo(clause) > 0)
                    .map(Map.Entry::getValue)
                    .findFirst()
                    .orElse(engineFull.length());
            clauses.put(clause, engineFull.substring(start + clause.keyword().length() + 2, end));
        });
        return clauses;
    }

    /** Where the text stands outside quotes and brackets, at {@code from} or later. */
    private static Optional<Integer> topLevel(String sql, int from, String text) {
        int depth = 0;
        for (int i = from; i < sql.length(); ) {
            if (depth == 0 && sql.startsWith(text, i)) {
                return Optional.of(i);
            }
            switch (sql.charAt(i)) {
                case '\'', '`', '"' -> i = quoted(sql, i);
                case '(', '[', '{' -> {
                    depth++;
                    i++;
                }
                case ')', ']', '}' -> {
                    depth--;
                    i++;
                }
                default -> i++;
            }
        }
        return Optional.empty();
    }

    private static int closing(String sql, int open) {
        int depth = 0;
        for (int i = open; ; ) {
            switch (sql.charAt(i)) {
                case '\'', '`', '"' -> i = quoted(sql, i);
                case '(' -> {
                    depth++;
                    i++;
                }
                case ')' -> {
                    if (--depth == 0) {
                        return i;
                    }
                    i++;
                }
                default -> i++;
            }
        }
    }

    /** @return behind the closing quote */
    private static int quoted(String sql, int open) {
        char quote = sql.charAt(open);
        int i = open + 1;
        while (sql.charAt(i) != quote) {
            i += sql.charAt(i) == '\\' ? 2 : 1;
        }
        return i + 1;
    }
}
