package dev.clickpipe.codec;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;

/** Whole numerics of the target's range: ClickHouse would take others modulo its range, without a word. */
record IntegerEncoder(IntegerType type) implements ValueEncoder {
    /** No integer of ClickHouse has more. */
    private static final int MAX_LENGTH = 79;

    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        NumericText.requireFinite(text, to, type.name());
        int point = NumericText.point(text, from, to);
        if (NumericText.fractionDigits(text, point, to) > 0) {
            throw NumericText.unrepresentable("a number with a fraction", type.name());
        }
        if (point - from > MAX_LENGTH
                || !type.holds(new BigInteger(new String(text, from, point - from, StandardCharsets.US_ASCII)))) {
            throw NumericText.unrepresentable("a number outside of its range", type.name());
        }
        out.rawBytes(text, from, point);
    }
}
