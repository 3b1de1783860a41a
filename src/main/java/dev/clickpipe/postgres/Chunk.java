package dev.clickpipe.postgres;

import java.util.Optional;

/**
 * A part of a table that is read in one go: a range of its heap's blocks, told by the rows' ctid (PostgreSQL documentation,
 * 5.6 "System Columns"), or the rows with certain values of a column.
 *
 * @param relid the table, or the partition of it
 * @param filenode the file that the blocks are counted in; another one means that the rows moved. 0 where there is no file
 * @param firstBlock from its first row on
 * @param endBlock before its first row; {@link #END} for all that follows
 * @param bytes estimate of what is stored there, TOAST included
 * @param keys in whichever blocks; null: all rows of the blocks
 */
public record Chunk(long relid, long filenode, long firstBlock, long endBlock, long bytes, Keys keys) {
    public static final long END = -1;

    /**
     * Values of a column, in the order of its type. Bounds are text that Postgres wrote and reads again: every value other than
     * NULL is in one of the ranges that follow one another, whatever the text.
     *
     * @param from with this; null: from the least one on
     * @param to without this; null: to the greatest one
     * @param nulls the rows that have none, and no others
     */
    public record Keys(String column, String from, String to, boolean nulls) {
        static Keys none(String column) {
            return new Keys(column, null, null, true);
        }

        private String condition() {
            var name = Publications.identifier(column);
            if (nulls) {
                return name + " IS NULL";
            }
            var least = from == null ? null : name + " >= " + literal(from);
            var most = to == null ? null : name + " < " + literal(to);
            return least == null
                    ? (most == null ? name + " IS NOT NULL" : most)
                    : most == null ? least : least + " AND " + most;
        }

        /** Of the type of what it is compared with. */
        private static String literal(String text) {
            return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
        }
    }

    public Chunk(long relid, long filenode, long firstBlock, long endBlock, long bytes) {
        this(relid, filenode, firstBlock, endBlock, bytes, null);
    }

    static Chunk whole(long relid, long filenode, long bytes) {
        return new Chunk(relid, filenode, 0, END, bytes);
    }

    /** Empty for the whole table, which may have no ctid then. */
    Optional<String> condition() {
        if (keys != null) {
            return Optional.of(keys.condition());
        }
        if (firstBlock == 0 && endBlock == END) {
            return Optional.empty();
        }
        return Optional.of("ctid >= '(" + firstBlock + ",0)'::tid"
                + (endBlock == END ? "" : " AND ctid < '(" + endBlock + ",0)'::tid"));
    }
}
