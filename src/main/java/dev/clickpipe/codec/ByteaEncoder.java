package dev.clickpipe.codec;

import java.util.HexFormat;

/** Both output formats of bytea (PostgreSQL documentation, 8.4 "Binary Data Types") to the raw bytes. */
record ByteaEncoder() implements ValueEncoder {
    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        if (to - from >= 2 && text[from] == '\\' && text[from + 1] == 'x') {
            int length = (to - from) / 2;
            out.reserve(length + length / 16); // eight bytes of 256 are escaped
            for (int i = from + 2; i < to; i += 2) {
                out.escapedByte(HexFormat.fromHexDigit(text[i]) << 4 | HexFormat.fromHexDigit(text[i + 1]));
            }
        } else {
            escapeFormat(text, from, to, out); // a role or database may have set bytea_output
        }
    }

    private static void escapeFormat(byte[] text, int from, int to, TsvBuffer out) {
        for (int i = from; i < to; i++) {
            if (text[i] != '\\') {
                out.escapedByte(text[i]);
            } else if (text[i + 1] == '\\') {
                out.escapedByte('\\');
                i += 1;
            } else {
                out.escapedByte((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | text[i + 3] - '0');
                i += 3;
            }
        }
    }
}
