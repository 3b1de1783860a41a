package dev.clickpipe.postgres;

/**
 * A position in the write-ahead log (PostgreSQL documentation, 8.20 "pg_lsn Type").
 *
 * @param value unsigned 64 bits
 */
public record Lsn(long value) implements Comparable<Lsn> {
    public static final Lsn ZERO = new Lsn(0);

    /** Reads {@code X/Y}, hexadecimal. */
    public static Lsn parse(String text) {
        int slash = text.indexOf('/');
        if (slash < 1) {
            throw new IllegalArgumentException("not an LSN: " + text);
        }
        return new Lsn(Long.parseLong(text, 0, slash, 16) << 32 | Long.parseLong(text, slash + 1, text.length(), 16));
    }

    /** Bytes of WAL from {@code other} to this; 0 when this is not ahead. */
    public long since(Lsn other) {
        return compareTo(other) <= 0 ? 0 : value - other.value;
    }

    @Override
    public int compareTo(Lsn other) {
        return Long.compareUnsigned(value, other.value);
    }

    @Override
    public String toString() {
        return Long.toHexString(value >>> 32).toUpperCase(java.util.Locale.ROOT) + "/"
                + Long.toHexString(value & 0xFFFF_FFFFL).toUpperCase(java.util.Locale.ROOT);
    }
}
