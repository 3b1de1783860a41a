package dev.clickpipe.cdc;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.SystemColumns;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Looks rows up in the target table by key, as their latest version has them; in a history the latest before the rows that are
 * to be sent, so that sending them again finds the same.
 */
final class TargetLookup implements UnchangedValues.Lookup {
    private static final int KEYS_PER_QUERY = 500;
    /** They stand in the query four times. */
    private static final int KEY_BYTES_PER_QUERY = 50_000;

    private final ClickHouseClient clickHouse;

    TargetLookup(ClickHouseClient clickHouse) {
        this.clickHouse = clickHouse;
    }

    @Override
    public void find(
            Target target,
            Version before,
            List<RowKey> keys,
            List<Integer> columns,
            long atMost,
            UnchangedValues.Found found) {
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
            findSome(target, before, keys.subList(from, to), columns, atMost, found);
            from = to;
        }
    }

    private void findSome(
            Target target,
            Version before,
            List<RowKey> keys,
            List<Integer> columns,
            long atMost,
            UnchangedValues.Found found) {
        var definition = target.definition();
        var key = definition.keyColumns().stream()
                .map(ClickHouseClient::identifier)
                .collect(Collectors.joining(", ", "tuple(", ")"));
        var keyTypes = definition.keyColumns().stream()
                .map(name -> definition.columns().get(target.column(name)))
                .map(TableDefinition.Column::clickHouseType)
                .toList();
        var tuples = keys.stream().map(one -> tuple(one, keyTypes)).collect(Collectors.joining(", "));
        // A field's own text: it goes back as it came, whatever bytes it holds.
        var values = columns.stream()
                .map(column -> "formatRowNoNewline('TabSeparated', "
                        + identifier(definition.columns().get(column).name()) + ")")
                .map(text -> "length(" + text + "), if(length(" + text + ") <= " + atMost + ", " + text + ", '')")
                .collect(Collectors.joining(", "));
        var version = SystemColumns.VERSION;
        var earlier = version + " < toUInt128('" + before + "')";
        // The row as it was before the rows that are to be sent, of which some may be there after a crash; where a
        // merge
        // has left nothing earlier, the latest. No value is sorted, for the server would hold all of them at once.
        // Which key a row has is decided by ClickHouse too: its text need not be the text that was sent.
        clickHouse.read(
                "SELECT toUInt32(indexOf([" + tuples + "], " + key + ")), " + values + " FROM "
                        + identifier(definition.target()) + " WHERE " + key + " IN (" + tuples + ") AND (" + key + ", "
                        + version + ") IN (SELECT " + key + ", argMax(" + version + ", (" + earlier + ", " + version
                        + ")) FROM " + identifier(definition.target()) + " WHERE " + key + " IN (" + tuples + ")"
                        + (target.appendOnly() ? " AND " + earlier : "") + " GROUP BY " + key + ") AND NOT "
                        + SystemColumns.IS_DELETED,
                in -> report(in, keys, columns, atMost, found));
    }

    /** Reads RowBinary (ClickHouse documentation, Formats): numbers little-endian, strings behind their length. */
    private static void report(
            InputStream from, List<RowKey> keys, List<Integer> columns, long atMost, UnchangedValues.Found found)
            throws IOException {
        var in = new DataInputStream(new BufferedInputStream(from));
        for (int first = in.read(); first >= 0; first = in.read()) {
            int key = first | in.readUnsignedByte() << 8 | in.readUnsignedByte() << 16 | in.readUnsignedByte() << 24;
            for (int column : columns) {
                long size = Long.reverseBytes(in.readLong());
                var field = string(in);
                if (key > 0) {
                    found.value(keys.get(key - 1), column, size, size <= atMost ? field : null);
                }
            }
        }
    }

    private static byte[] string(DataInputStream in) throws IOException {
        var bytes = new byte[length(in)];
        in.readFully(bytes);
        return bytes;
    }

    /** In groups of seven bits, the last without the eighth. */
    private static int length(DataInputStream in) throws IOException {
        int length = 0;
        for (int shift = 0; ; shift += 7) {
            int b = in.readUnsignedByte();
            length |= (b & 0x7F) << shift;
            if (b < 0x80) {
                return length;
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
