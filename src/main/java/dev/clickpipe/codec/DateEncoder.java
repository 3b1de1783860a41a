package dev.clickpipe.codec;

/** ISO dates; Date32 holds 1900-01-01 to 2299-12-31, the rest becomes the nearer end. */
record DateEncoder() implements ValueEncoder {
    private static final String FIRST = "1900-01-01";
    private static final String LAST = "2299-12-31";

    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        int year = IsoYear.of(text, from, to);
        if (year < 1900) {
            out.ascii(FIRST);
            out.clamped();
        } else if (year > 2299) {
            out.ascii(LAST);
            out.clamped();
        } else {
            out.rawBytes(text, from, to);
        }
    }
}
