package dev.clickpipe.codec;

/** Turns Postgres' text of one type's values into ClickHouse's TabSeparated text. Immutable, so safe for threads. */
@FunctionalInterface
public interface ValueEncoder {
    /**
     * Appends one field, escaped, without the tab or line end after it.
     *
     * @param text holds the value as Postgres prints it (not COPY-escaped), UTF-8; never NULL, which the caller writes
     *     with {@link TsvBuffer#nullValue()} whatever the type: where the target is not Nullable, ClickHouse puts the
     *     type's default, for arrays the empty array
     * @throws UnrepresentableValue when no value of the target stands for it; {@code out} may then hold a part of it
     */
    void encode(byte[] text, int from, int to, TsvBuffer out);
}
