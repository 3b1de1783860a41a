package dev.clickpipe.codec;

import dev.clickpipe.postgres.PgType;

/** Values of a source type would not be the same in a target type. */
public final class UnsuitableType extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String choices;

    UnsuitableType(PgType type, String target, String choices) {
        super("values of type " + type.name() + " would not all be the same in a column of type " + target);
        this.choices = choices;
    }

    /** The types that it can become, for people. */
    public String choices() {
        return choices;
    }
}
