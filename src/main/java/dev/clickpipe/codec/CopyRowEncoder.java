package dev.clickpipe.codec;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.util.List;

/**
 * Turns rows of {@code COPY … TO STDOUT} in text format (PostgreSQL documentation, SQL command COPY, "Text Format") into
 * TabSeparated rows. What ClickHouse reads alike is copied as it is. For one thread.
 */
public final class CopyRowEncoder {

    /** A column in the order of the COPY. */
    public record Column(String name, Mapping mapping) {}

    private final String table;
    private final List<Column> columns;
    private final byte[] prefix;
    private final boolean passthrough;
    private byte[] plain = new byte[256];

    /**
     * @param table for messages
     * @param prefix the fields that stand before the row's own, each with its tab
     */
    public CopyRowEncoder(String table, List<Column> columns, byte[] prefix) {
        this.table = table;
        this.columns = List.copyOf(columns);
        this.prefix = prefix.clone();
        this.passthrough = columns.stream().allMatch(column -> column.mapping().passthrough());
    }

    /**
     * Appends one row.
     *
     * @param row as COPY sent it, with its line feed
     * @throws PipeException fatal, for a value that the target can't hold
     */
    public void encode(byte[] row, TsvBuffer out) {
        out.rawBytes(prefix);
        if (passthrough) {
            out.rawBytes(row);
            return;
        }
        int end = row.length - 1;
        int from = 0;
        for (int i = 0; i < columns.size(); i++) {
            if (i > 0) {
                out.tab();
            }
            int to = from;
            boolean escapes = false;
            while (to < end && row[to] != '\t') {
                escapes |= row[to++] == '\\';
            }
            field(columns.get(i), row, from, to, escapes, out);
            from = to + 1;
        }
        out.newline();
    }

    private void field(Column column, byte[] row, int from, int to, boolean escapes, TsvBuffer out) {
        boolean isNull = escapes && to - from == 2 && row[from + 1] == 'N';
        if (isNull || column.mapping().passthrough()) {
            out.rawBytes(row, from, to);
            return;
        }
        try {
            if (escapes) {
                int length = unescape(row, from, to);
                column.mapping().encoder().encode(plain, 0, length, out);
            } else {
                column.mapping().encoder().encode(row, from, to, out);
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

    private int unescape(byte[] row, int from, int to) {
        if (plain.length < to - from) {
            plain = new byte[to - from]; // a large value's own size, and no more
        }
        int length = 0;
        for (int i = from; i < to; i++) {
            plain[length++] = row[i] != '\\' ? row[i] : letter(row[++i]);
        }
        return length;
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
