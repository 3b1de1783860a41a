package dev.clickpipe.codec;

/**
 * Numerics of no more digits than the target has: ClickHouse would cut the others' fractions off, without a word. NaN and the
 * infinities have no Decimal.
 *
 * @param wholeDigits before the point
 * @param fractionDigits after it
 */
record DecimalEncoder(String type, int wholeDigits, int fractionDigits) implements ValueEncoder {
    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        NumericText.requireFinite(text, to, type);
        int point = NumericText.point(text, from, to);
        int first = text[from] == '-' ? from + 1 : from;
        int whole = text[first] == '0' ? 0 : point - first; // Postgres prints one zero at most
        if (whole > wholeDigits) {
            throw NumericText.unrepresentable("a number with " + whole + " digits before the point", type);
        }
        int fraction = NumericText.fractionDigits(text, point, to);
        if (fraction > fractionDigits) {
            throw NumericText.unrepresentable("a number with " + fraction + " digits after the point", type);
        }
        out.rawBytes(text, from, fraction == 0 ? point : point + 1 + fraction);
    }
}
