package dev.clickpipe.codec;

import dev.clickpipe.pipe.Problem;

/** A value for which the target has none, and for which none is made up. */
public final class UnrepresentableValue extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String remedy;

    /**
     * @param kind what sort of value it is, such as {@code NaN}; never the value itself, which is the user's and not for logs
     * @param type the target's
     * @param other target types that would hold it
     */
    UnrepresentableValue(String kind, String type, String other) {
        super(kind + " in a column of type " + type, null, false, false);
        this.remedy = other;
    }

    /** The problem for people, once the place is known. */
    public Problem in(String table, String column) {
        return new Problem(
                "UnrepresentableValue",
                "table " + table + ", column " + column,
                "the target has no value for " + getMessage(),
                "Give the column another targetType in the mapping's columns: " + remedy
                        + ". Or change the value in Postgres and load the table again; or exclude the column");
    }
}
