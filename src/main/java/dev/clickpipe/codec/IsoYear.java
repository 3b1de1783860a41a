package dev.clickpipe.codec;

/** The year of a date or timestamp as Postgres prints it with DateStyle ISO. */
final class IsoYear {
    static final int BEFORE_ALL = Integer.MIN_VALUE;
    static final int AFTER_ALL = Integer.MAX_VALUE;

    private IsoYear() {}

    /** The year; {@link #BEFORE_ALL} for -infinity and years BC, {@link #AFTER_ALL} for infinity and from 10000 on. */
    static int of(byte[] text, int from, int to) {
        if (text[from] == 'i') {
            return AFTER_ALL;
        }
        if (text[from] == '-' || text[to - 1] == 'C') {
            return BEFORE_ALL;
        }
        int year = 0;
        int at = from;
        while (at < to && text[at] >= '0' && text[at] <= '9') {
            year = year * 10 + text[at++] - '0'; // Postgres' years have six digits at most
        }
        if (at - from < 4 || at == to || text[at] != '-') {
            throw new IllegalStateException("a date that is not in ISO format: the session's DateStyle is not ours");
        }
        return at - from == 4 ? year : AFTER_ALL;
    }
}
