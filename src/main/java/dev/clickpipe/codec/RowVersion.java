package dev.clickpipe.codec;

/**
 * The version of a row: {@code (commit LSN << 64) | ordinal}, so that of two rows with one key the one wins that
 * Postgres committed later, whatever order they reach ClickHouse in.
 */
public final class RowVersion {
    private static final long BILLION = 1_000_000_000L;

    private RowVersion() {}

    /**
     * Appends the version as a decimal UInt128.
     *
     * @param commitLsn unsigned
     * @param ordinal position in the transaction from 1; 0 for rows of the initial load; unsigned
     */
    public static void append(TsvBuffer out, long commitLsn, long ordinal) {
        // Long division of four 32-bit digits by 10^9: five groups of nine decimals hold 2^128.
        long a = commitLsn >>> 32;
        long b = commitLsn & 0xFFFF_FFFFL;
        long c = ordinal >>> 32;
        long d = ordinal & 0xFFFF_FFFFL;
        var groups = new int[5];
        int used = 0;
        do {
            long rest = a % BILLION;
            a /= BILLION;
            b |= rest << 32;
            rest = b % BILLION;
            b /= BILLION;
            c |= rest << 32;
            rest = c % BILLION;
            c /= BILLION;
            d |= rest << 32;
            groups[used++] = (int) (d % BILLION);
            d /= BILLION;
        } while ((a | b | c | d) != 0);
        out.ascii(Integer.toString(groups[used - 1]));
        for (int i = used - 2; i >= 0; i--) {
            nineDigits(out, groups[i]);
        }
    }

    private static void nineDigits(TsvBuffer out, int group) {
        for (int power = 100_000_000; power > 0; power /= 10) {
            out.rawByte('0' + group / power % 10);
        }
    }
}
