package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.SystemColumns;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Looks rows up in the target table by key, as their latest version has them; in a history the latest before the rows that are
 * to be sent, so that sending them again finds the same.
 */
final class TargetLookup implements UnchangedValues.Lookup {
    private static final int KEYS_PER_QUERY = 500;
    /** Below ClickHouse's max_query_size of 256 KiB, for the keys stand in the query twice. */
    private static final int KEY_BYTES_PER_QUERY = 50_000;

    private final ClickHouseClient clickHouse;

    TargetLookup(ClickHouseClient clickHouse) {
        this.clickHouse = clickHouse;
    }

    @Override
    public void find(
            Target target, Version before, List<RowKey> keys, List<Integer> columns, UnchangedValues.Found found) {
        if (!target.definition().engine().stores()) {
            return;
        }
        int from = 0;
        while (from < keys.size()) {
            int to = from;
            int bytes = 0;
            while (to < keys.size() && to - from < KEYS_PER_QUERY && (to == from || bytes < KEY_BYTES_PER_QUERY)) {
                bytes += keys.get(to++).encoded().remaining();
            }
            findSome(target, before, keys.subList(from, to), columns, found);
            from = to;
        }
    }

    private void findSome(
            Target target, Version before, List<RowKey> keys, List<Integer> columns, UnchangedValues.Found found) {
        var definition = target.definition();
        var keyColumns = definition.keyColumns().stream()
                .map(ClickHouseClient::identifier)
                .collect(Collectors.joining(", "));
        var keyTypes = definition.keyColumns().stream()
                .map(name -> definition.columns().get(target.column(name)))
                .map(TableDefinition.Column::clickHouseType)
                .toList();
        var tuples = keys.stream().map(key -> tuple(key, keyTypes)).collect(Collectors.joining(", "));
        // A field's own text, in hexadecimal: it goes back as it came, whatever bytes it holds.
        var values = columns.stream()
                .map(column -> "hex(formatRowNoNewline('TabSeparated', "
                        + identifier(definition.columns().get(column).name()) + ")) AS v" + column)
                .collect(Collectors.joining(", "));
        // Which key a row has is decided by ClickHouse too: its text need not be the text that was sent.
        var sql = "SELECT indexOf([" + tuples + "], tuple(" + keyColumns + ")) AS i, " + values
                + " FROM (SELECT * FROM "
                + identifier(definition.target()) + " WHERE tuple(" + keyColumns + ") IN (" + tuples + ")"
                + (target.appendOnly() ? " AND " + SystemColumns.VERSION + " < toUInt128('" + before + "')" : "")
                + " ORDER BY " + SystemColumns.VERSION + " DESC LIMIT 1 BY " + keyColumns + ") WHERE NOT "
                + SystemColumns.IS_DELETED
                + " AND i > 0";
        for (var row : clickHouse.query(sql, Map.of())) {
            var key = keys.get(((Number) row.get("i")).intValue() - 1);
            for (int column : columns) {
                found.value(key, column, HexFormat.of().parseHex((String) row.get("v" + column)));
            }
        }
    }

    private static String tuple(RowKey key, List<String> types) {
        var literals = new ArrayList<String>();
        int from = 0;
        for (var type : types) {
            int to = from;
            while (to < key.encoded().limit() && key.encoded().get(to) != '\t') {
                to++;
            }
            literals.add(literal(key.encoded().slice(from, to - from), type));
            from = to + 1;
        }
        return "tuple(" + String.join(", ", literals) + ")";
    }

    /** A TabSeparated field, not NULL, as an expression of that type. */
    static String literal(ByteBuffer field, String type) {
        return "CAST(" + literal(field, type.startsWith("Array(")) + " AS " + type + ")";
    }

    /**
     * A TabSeparated field as a string literal.
     *
     * @param verbatim whether the field's backslashes belong to its value, as they do in an array; otherwise they are escapes,
     *     and mean the same in a literal
     */
    private static String literal(ByteBuffer field, boolean verbatim) {
        var literal = new StringBuilder("'");
        for (int i = 0; i < field.limit(); i++) {
            int b = field.get(i) & 0xFF;
            if (b == '\\' && !verbatim) {
                literal.append('\\').append((char) field.get(++i));
            } else if (b == '\\' || b == '\'') {
                literal.append('\\').append((char) b);
            } else if (b < 0x80) {
                literal.append((char) b);
            } else {
                literal.append("\\x").append(HexFormat.of().toHexDigits((byte) b));
            }
        }
        return literal.append('\'').toString();
    }
}
