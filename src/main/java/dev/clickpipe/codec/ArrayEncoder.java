package dev.clickpipe.codec;

/**
 * Postgres' array text (PostgreSQL documentation, 8.15.6 "Array Input and Output Syntax") to ClickHouse's. Lower bounds are
 * dropped: ClickHouse counts from 1. NULL elements stay NULL.
 *
 * <p>Postgres does not hold values to the declared dimensions. A value of other dimensions has no place in the target's type:
 * flattened or wrapped it would be another value.
 *
 * @param quoted whether ClickHouse wants the elements in quotes
 * @param dimensions brackets around each element
 * @param type the whole type, for messages
 */
record ArrayEncoder(ValueEncoder element, boolean quoted, int dimensions, byte delimiter, String type)
        implements ValueEncoder {

    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        int depth = 0;
        int at = from;
        if (text[at] == '[') { // lower bounds, such as [0:1]={7,8}
            while (text[at++] != '=') {}
        }
        while (at < to) {
            byte b = text[at];
            if (b == '{') {
                depth++;
                out.rawByte('[');
                at++;
            } else if (b == '}') {
                depth--;
                out.rawByte(']');
                at++;
            } else if (b == delimiter) {
                out.rawByte(',');
                at++;
            } else if (depth != dimensions) {
                throw new UnrepresentableValue(
                        "a " + depth + "-dimensional array",
                        type,
                        "Array(…) as often as the values have dimensions, or String");
            } else if (b == '"') {
                at = quotedElement(text, at + 1, out);
            } else {
                at = plainElement(text, at, to, out);
            }
        }
    }

    private int plainElement(byte[] text, int from, int to, TsvBuffer out) {
        int end = from;
        while (end < to && text[end] != delimiter && text[end] != '}') {
            end++;
        }
        if (isNull(text, from, end)) {
            out.ascii("NULL");
        } else {
            append(text, from, end, out);
        }
        return end;
    }

    /** From after the opening quote to after the closing one. */
    private int quotedElement(byte[] text, int from, TsvBuffer out) {
        int end = from;
        boolean escapes = false;
        while (text[end] != '"') {
            if (text[end] == '\\') {
                escapes = true;
                end++;
            }
            end++;
        }
        if (!escapes) {
            append(text, from, end, out);
        } else {
            var plain = new byte[end - from];
            int length = 0;
            for (int i = from; i < end; i++) {
                if (text[i] == '\\') {
                    i++;
                }
                plain[length++] = text[i];
            }
            append(plain, 0, length, out);
        }
        return end + 1;
    }

    private void append(byte[] text, int from, int to, TsvBuffer out) {
        if (quoted) {
            out.rawByte('\'');
        }
        element.encode(text, from, to, out);
        if (quoted) {
            out.rawByte('\'');
        }
    }

    private static boolean isNull(byte[] text, int from, int to) {
        return to - from == 4
                && text[from] == 'N'
                && text[from + 1] == 'U'
                && text[from + 2] == 'L'
                && text[from + 3] == 'L';
    }
}
