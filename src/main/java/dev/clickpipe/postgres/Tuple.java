package dev.clickpipe.postgres;

import java.nio.charset.StandardCharsets;

/**
 * A row inside a message: a view on the message's bytes, nothing is copied. Columns are counted from 0 in the order of the
 * {@link PgOutputMessage.Relation}. Values are text, as the type's output function prints them.
 */
public final class Tuple {
    static final byte NULL = 'n';
    static final byte UNCHANGED = 'u';
    static final byte TEXT = 't';

    private final byte[] bytes;
    /** For each column where its kind stands; a text's length and bytes follow there. */
    private final int[] columns;

    Tuple(byte[] bytes, int[] columns) {
        this.bytes = bytes;
        this.columns = columns;
    }

    public int size() {
        return columns.length;
    }

    public boolean isNull(int column) {
        return bytes[columns[column]] == NULL;
    }

    /** The column's value is TOASTed and did not change, so that Postgres did not send it. */
    public boolean unchanged(int column) {
        return bytes[columns[column]] == UNCHANGED;
    }

    public boolean hasText(int column) {
        return bytes[columns[column]] == TEXT;
    }

    /** The message's bytes: the text of a column is what lies between {@link #from} and {@link #to}. Not to be changed. */
    public byte[] bytes() {
        return bytes;
    }

    /** Where the text begins; only for columns that {@link #hasText}. */
    public int from(int column) {
        return columns[column] + 5;
    }

    /** Where the text ends, exclusive; only for columns that {@link #hasText}. */
    public int to(int column) {
        int length = columns[column] + 1;
        return length
                + 4
                + ((bytes[length] & 0xFF) << 24
                        | (bytes[length + 1] & 0xFF) << 16
                        | (bytes[length + 2] & 0xFF) << 8
                        | bytes[length + 3] & 0xFF);
    }

    /** The column's text as a string; null when it has none. */
    public String text(int column) {
        return hasText(column)
                ? new String(bytes, from(column), to(column) - from(column), StandardCharsets.UTF_8)
                : null;
    }
}
