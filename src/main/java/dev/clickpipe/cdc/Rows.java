package dev.clickpipe.cdc;

import dev.clickpipe.codec.TsvBuffer;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * The rows of one batch for one table, encoded, in the order of their versions. Built by the reading thread, then handed over
 * to the applier. Where a value must be looked up before the rows can be sent there is a {@link Hole}.
 */
final class Rows {
    private final Target target;
    private final TsvBuffer encoded = new TsvBuffer();
    private final List<Hole> holes = new ArrayList<>();
    private int count;
    private Version first;
    private Version last;
    /** Where the row begins that is being appended. */
    private int begin;
    /** How many holes the rows before it have. */
    private int holesBefore;

    Rows(Target target) {
        this.target = target;
    }

    Target target() {
        return target;
    }

    /** Where the next row is appended; {@link #ended} counts it. */
    TsvBuffer encoded() {
        return encoded;
    }

    void ended() {
        encoded.newline();
        for (; holesBefore < holes.size(); holesBefore++) {
            holes.get(holesBefore).end = encoded.size();
        }
        begin = encoded.size();
        count++;
    }

    /**
     * Leaves out a value here, to be filled in before the rows are sent.
     *
     * @param before the key that the row had before this change
     * @param after the key that it has now
     */
    void leaveOut(int column, RowKey before, RowKey after) {
        holes.add(new Hole(begin, encoded.size(), column, before, after));
    }

    int count() {
        return count;
    }

    /** A row of this version, or two, were added. */
    void added(Version version) {
        first = first == null ? version : first;
        last = version;
    }

    /** The least version; null when there is no row. */
    Version first() {
        return first;
    }

    /** The greatest version; null when there is no row. */
    Version last() {
        return last;
    }

    /** In the order of their positions. */
    List<Hole> holes() {
        return holes;
    }

    /**
     * Writes the rows with their holes filled in.
     *
     * <p>Where a value was not found, its row was deleted or got another key later on, and that change is on its way. A history
     * keeps the row, with NULL. A ReplacingMergeTree does without it: nothing would be left of it anyway, and the next change must
     * not take the NULL for the value.
     */
    void writeTo(OutputStream out) throws IOException {
        int written = 0;
        for (int first = 0, next; first < holes.size(); first = next) {
            next = first + 1;
            boolean complete = holes.get(first).value.found();
            for (; next < holes.size() && holes.get(next).begin == holes.get(first).begin; next++) {
                complete &= holes.get(next).value.found();
            }
            if (complete || target.appendOnly()) {
                for (var hole : holes.subList(first, next)) {
                    encoded.writeTo(out, written, hole.position);
                    out.write(hole.value.encoded());
                    written = hole.position;
                }
            } else {
                encoded.writeTo(out, written, holes.get(first).begin);
                written = holes.get(first).end;
            }
        }
        encoded.writeTo(out, written, encoded.size());
    }

    /** A place in the encoded rows where the value of a column is missing: Postgres did not send it, as it did not change. */
    static final class Hole {
        private final int begin;
        private final int position;
        private final int column;
        private final RowKey before;
        private final RowKey after;
        private int end;
        private Value value;

        private Hole(int begin, int position, int column, RowKey before, RowKey after) {
            this.begin = begin;
            this.position = position;
            this.column = column;
            this.before = before;
            this.after = after;
        }

        int position() {
            return position;
        }

        /** In the definition. */
        int column() {
            return column;
        }

        /** The key that the row had before this change. */
        RowKey before() {
            return before;
        }

        Value value() {
            return value;
        }

        /** The value is this one, which other holes may share. */
        void fill(Value with) {
            value = with;
            with.alsoUnder(after);
        }
    }

    /** A value that may be found later than the place it belongs to. */
    static final class Value {
        private static final byte[] NULL = {'\\', 'N'};

        private final List<RowKey> keys = new ArrayList<>();
        private byte[] encoded;

        /** The keys that the row had, the former first. */
        List<RowKey> keys() {
            return keys;
        }

        void alsoUnder(RowKey key) {
            if (keys.isEmpty() || !keys.getLast().equals(key)) {
                keys.add(key);
            }
        }

        /** As a TabSeparated field; NULL as long as it was not found. */
        byte[] encoded() {
            return encoded == null ? NULL : encoded;
        }

        boolean found() {
            return encoded != null;
        }

        void found(byte[] field) {
            encoded = field;
        }
    }
}
