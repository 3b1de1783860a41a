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
        count++;
    }

    /** Leaves out a value here, to be filled in before the rows are sent. */
    void leaveOut(int column, RowKey key) {
        holes.add(new Hole(encoded.size(), column, key));
    }

    int count() {
        return count;
    }

    /** In the order of their positions. */
    List<Hole> holes() {
        return holes;
    }

    /** Writes the rows with their holes filled in. */
    void writeTo(OutputStream out) throws IOException {
        int written = 0;
        for (var hole : holes) {
            encoded.writeTo(out, written, hole.position);
            out.write(hole.value.encoded());
            written = hole.position;
        }
        encoded.writeTo(out, written, encoded.size());
    }

    /** A place in the encoded rows where the value of a column is missing: Postgres did not send it, as it did not change. */
    static final class Hole {
        private final int position;
        private final int column;
        private final RowKey key;
        private Value value;

        private Hole(int position, int column, RowKey key) {
            this.position = position;
            this.column = column;
            this.key = key;
        }

        int position() {
            return position;
        }

        /** In the definition. */
        int column() {
            return column;
        }

        /** The key that the row had before this change. */
        RowKey key() {
            return key;
        }

        Value value() {
            return value;
        }

        void fill(Value with) {
            value = with;
        }
    }

    /** A value that may be found later than the place it belongs to. */
    static final class Value {
        private static final byte[] NULL = {'\\', 'N'};

        private byte[] encoded;

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
