package dev.clickpipe.postgres;

import java.util.Optional;

/**
 * A part of a table that is read in one go: a range of its heap's blocks, told by the rows' ctid (PostgreSQL documentation,
 * 5.6 "System Columns").
 *
 * @param relid the table, or the partition of it
 * @param filenode the file that the blocks are counted in; another one means that the rows moved. 0 where there is no file
 * @param firstBlock from its first row on
 * @param endBlock before its first row; {@link #END} for all that follows
 * @param bytes estimate of what is stored there, TOAST included
 */
public record Chunk(long relid, long filenode, long firstBlock, long endBlock, long bytes) {
    public static final long END = -1;

    static Chunk whole(long relid, long filenode, long bytes) {
        return new Chunk(relid, filenode, 0, END, bytes);
    }

    /** The condition on ctid; empty for the whole table, which may have no ctid then. */
    Optional<String> condition() {
        if (firstBlock == 0 && endBlock == END) {
            return Optional.empty();
        }
        return Optional.of("ctid >= '(" + firstBlock + ",0)'::tid"
                + (endBlock == END ? "" : " AND ctid < '(" + endBlock + ",0)'::tid"));
    }
}
