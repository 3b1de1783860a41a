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
    /** What a hole takes with its keys, roughly. */
    private static final int HOLE_BYTES = 300;

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

    /** That it takes in memory, roughly. */
    long bytes() {
        return encoded.size() + (long) HOLE_BYTES * holes.size();
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

    /** The places in each row where a value is missing, in the order of the rows. */
    List<List<Hole>> incomplete() {
        var rowsWithHoles = new ArrayList<List<Hole>>();
        for (int first = 0, next; first < holes.size(); first = next) {
            next = first + 1;
            while (next < holes.size() && holes.get(next).begin == holes.get(first).begin) {
                next++;
            }
            rowsWithHoles.add(holes.subList(first, next));
        }
        return rowsWithHoles;
    }

    /**
     * Writes all that stands before this place, as far as it is not written yet, and then the row that has these holes.
     *
     * <p>Where a value was not found, its row was deleted or got another key later on, and that change is on its way. A history
     * keeps the row, with NULL. A ReplacingMergeTree does without it: nothing would be left of it anyway, and the next change must
     * not take the NULL for the value.
     *
     * @param from what was returned last; 0 at first
     * @param row filled
     * @return up to where it is written
     */
    int writeTo(OutputStream out, int from, List<Hole> row) throws IOException {
        if (!target.appendOnly() && row.stream().anyMatch(hole -> !hole.value.found())) {
            encoded.writeTo(out, from, row.getFirst().begin);
            return row.getLast().end;
        }
        int written = from;
        for (var hole : row) {
            encoded.writeTo(out, written, hole.position);
            hole.value.writeTo(out, encoded);
            written = hole.position;
        }
        return written;
    }

    /** Writes what stands behind the last row that has holes. */
    void writeRest(OutputStream out, int from) throws IOException {
        encoded.writeTo(out, from, encoded.size());
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

    /** A value that Postgres left out: another row of the batch has it, or it is sought elsewhere when it is needed. */
    static final class Value {
        private static final byte[] NULL = {'\\', 'N'};

        private final RowKey before;
        private final int column;
        private final List<RowKey> keys = new ArrayList<>();
        /** Where it stands in the encoded rows, if it does; a large value need not be there twice. */
        private final int from;

        private final int to;
        private byte[] field;

        private Value(RowKey before, int column, int from, int to) {
            this.before = before;
            this.column = column;
            this.from = from;
            this.to = to;
        }

        /** Which the row had under that key, before it was changed. */
        static Value sought(RowKey before, int column) {
            return new Value(before, column, -1, -1);
        }

        /** Which stands there in the encoded rows. */
        static Value at(int from, int to) {
            return new Value(null, -1, from, to);
        }

        RowKey before() {
            return before;
        }

        int column() {
            return column;
        }

        /** The keys that the row had, the former first. */
        List<RowKey> keys() {
            return keys;
        }

        void alsoUnder(RowKey key) {
            if (keys.isEmpty() || !keys.getLast().equals(key)) {
                keys.add(key);
            }
        }

        boolean inBatch() {
            return from >= 0;
        }

        boolean found() {
            return inBatch() || field != null;
        }

        /** @param tabSeparated null: it is forgotten */
        void found(byte[] tabSeparated) {
            field = tabSeparated;
        }

        private void writeTo(OutputStream out, TsvBuffer encoded) throws IOException {
            if (inBatch()) {
                encoded.writeTo(out, from, to);
            } else {
                out.write(field == null ? NULL : field);
            }
        }
    }
}
