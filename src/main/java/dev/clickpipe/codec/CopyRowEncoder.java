package dev.clickpipe.codec;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Turns rows of {@code COPY … TO STDOUT} in text format (PostgreSQL documentation, SQL command COPY, "Text Format") into
 * TabSeparated rows. What ClickHouse reads alike is copied as it is, all that stands between two other fields at once. For one
 * thread.
 */
public final class CopyRowEncoder {
    private static final VarHandle EIGHT_BYTES =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final long LOW_BITS = 0x0101_0101_0101_0101L;
    private static final long HIGH_BITS = 0x8080_8080_8080_8080L;
    private static final long TABS = '\t' * LOW_BITS;

    private final String table;
    private final byte[] prefix;
    private final Set<String> clamped = new TreeSet<>();
    private final List<Column> columns;
    /** Positions of the columns that are encoded. */
    private final int[] encoded;

    /** A column in the order of the COPY. */
    public record Column(String name, Mapping mapping) {}

    /**
     * @param table for messages
     * @param prefix the fields that stand before the row's own, each with its tab
     */
    public CopyRowEncoder(String table, List<Column> columns, byte[] prefix) {
        this.table = table;
        this.prefix = prefix.clone();
        this.columns = List.copyOf(columns);
        this.encoded = IntStream.range(0, columns.size())
                .filter(i -> !columns.get(i).mapping().passthrough())
                .toArray();
    }

    /**
     * Appends one row.
     *
     * @param row as COPY sent it, with its line feed; afterwards it holds something else
     * @throws PipeException fatal, for a value that the target can't hold
     */
    public void encode(byte[] row, TsvBuffer out) {
        out.rawBytes(prefix);
        int end = row.length - 1;
        int copied = 0;
        int from = 0;
        int position = 0;
        for (int next : encoded) {
            from = skipFields(row, from, next - position);
            int to = fieldEnd(row, from, end);
            if (to - from != 2 || row[from] != '\\' || row[from + 1] != 'N') {
                out.rawBytes(row, copied, from);
                field(columns.get(next), row, from, to, out);
                copied = to;
            }
            from = to + 1;
            position = next + 1;
        }
        out.rawBytes(row, copied, row.length);
    }

    /** Where the field begins that comes so many fields after the one that begins at {@code from}. */
    private static int skipFields(byte[] row, int from, int fields) {
        int at = from;
        int left = fields;
        while (left > 0 && at <= row.length - Long.BYTES) {
            long tabs = tabs(row, at);
            int found = Long.bitCount(tabs);
            if (found < left) {
                left -= found;
                at += Long.BYTES;
            } else {
                while (--left > 0) {
                    tabs &= tabs - 1;
                }
                return at + Long.numberOfTrailingZeros(tabs) / Byte.SIZE + 1;
            }
        }
        while (left > 0) {
            if (row[at++] == '\t') {
                left--;
            }
        }
        return at;
    }

    private static int fieldEnd(byte[] row, int from, int end) {
        int at = from;
        for (; at <= end - Long.BYTES; at += Long.BYTES) {
            long tabs = tabs(row, at);
            if (tabs != 0) {
                return at + Long.numberOfTrailingZeros(tabs) / Byte.SIZE;
            }
        }
        while (at < end && row[at] != '\t') {
            at++;
        }
        return at;
    }

    /** Of eight bytes the high bits of those that are tabs; exact, unlike the shorter formula that borrows. */
    private static long tabs(byte[] row, int at) {
        long differs = (long) EIGHT_BYTES.get(row, at) ^ TABS;
        return ~((differs & ~HIGH_BITS) + ~HIGH_BITS | differs | ~HIGH_BITS);
    }

    /** Columns of which values became the nearest end of the target's range. */
    public Set<String> clamped() {
        return Set.copyOf(clamped);
    }

    private void field(Column column, byte[] row, int from, int to, TsvBuffer out) {
        try {
            long before = out.clampedValues();
            int end = hasEscapes(row, from, to) ? unescape(row, from, to) : to;
            column.mapping().encoder().encode(row, from, end, out);
            if (out.clampedValues() != before) {
                clamped.add(column.name());
            }
        } catch (UnrepresentableValue e) {
            throw PipeException.fatal(e.in(table, column.name()), e);
        } catch (RuntimeException e) {
            throw PipeException.fatal(
                    new Problem(
                            "UnexpectedText",
                            "table " + table + ", column " + column.name(),
                            "Postgres sent what is no text of this type: " + e.getMessage(),
                            "Exclude the column, and please report it"),
                    e);
        }
    }

    private static boolean hasEscapes(byte[] row, int from, int to) {
        for (int i = from; i < to; i++) {
            if (row[i] == '\\') {
                return true;
            }
        }
        return false;
    }

    /** In place, as a large value should not be there twice; returns where the text ends. */
    private static int unescape(byte[] row, int from, int to) {
        int end = from;
        for (int i = from; i < to; i++) {
            row[end++] = row[i] != '\\' ? row[i] : letter(row[++i]);
        }
        return end;
    }

    private static byte letter(byte escaped) {
        return switch (escaped) {
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'v' -> 0x0B;
            default -> escaped;
        };
    }
}
