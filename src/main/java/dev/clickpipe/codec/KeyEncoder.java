package dev.clickpipe.codec;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Dates and times that tell rows apart: what the source has as two values must not become one. So {@code infinity} alone becomes
 * the last value of the target's range; what lies beyond the range otherwise, or is that value itself, is refused.
 *
 * @param type the target's
 * @param last what infinity becomes
 */
record KeyEncoder(ValueEncoder encoder, String type, byte[] last) implements ValueEncoder {
    private static final byte[] INFINITY = "infinity".getBytes(StandardCharsets.US_ASCII);

    static KeyEncoder of(ValueEncoder encoder, String type) {
        var last = new TsvBuffer(32);
        encoder.encode(INFINITY, 0, INFINITY.length, last);
        return new KeyEncoder(encoder, type, last.toByteArray());
    }

    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        if (!Arrays.equals(text, from, to, INFINITY, 0, INFINITY.length)) {
            var alone = new TsvBuffer(32);
            encoder.encode(text, from, to, alone);
            if (alone.takeClamped() > 0 || Arrays.equals(alone.toByteArray(), last)) {
                throw new UnrepresentableValue("a key at the end of the range or beyond", type, "String");
            }
        }
        encoder.encode(text, from, to, out);
    }
}
