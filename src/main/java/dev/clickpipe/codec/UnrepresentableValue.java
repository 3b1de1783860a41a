package dev.clickpipe.codec;

import dev.clickpipe.pipe.Problem;

/** A value for which the target has none, and for which none is made up. */
public final class UnrepresentableValue extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String kind;
    private final String remedy;

    /**
     * @param kind what sort of value it is, such as {@code NaN in a Decimal(10, 2) column}; never the value itself, which
     *     is the user's and not for logs
     */
    UnrepresentableValue(String kind, String remedy) {
        super(kind, null, false, false);
        this.kind = kind;
        this.remedy = remedy;
    }

    /** The problem for people, once the place is known. */
    public Problem in(String table, String column) {
        return new Problem(
                "UnrepresentableValue",
                "table " + table + ", column " + column,
                "the target has no value for " + kind,
                remedy);
    }
}
