package dev.clickpipe.codec;

/** A numeric as Postgres prints it: a sign, digits, a fraction; never an exponent. */
final class NumericText {
    private NumericText() {}

    /** @throws UnrepresentableValue for NaN and the infinities */
    static void requireFinite(byte[] text, int to, String type) {
        byte last = text[to - 1];
        if (last < '0' || last > '9') {
            throw unrepresentable(last == 'N' ? "NaN" : "Infinity", type);
        }
    }

    /** Where the decimal point is; {@code to} where there is none. */
    static int point(byte[] text, int from, int to) {
        int point = from;
        while (point < to && text[point] != '.') {
            point++;
        }
        return point;
    }

    /** Digits after the point, without zeros at the end. */
    static int fractionDigits(byte[] text, int point, int to) {
        int end = to;
        while (end > point + 1 && text[end - 1] == '0') {
            end--;
        }
        return Math.max(0, end - point - 1);
    }

    static UnrepresentableValue unrepresentable(String what, String type) {
        return new UnrepresentableValue(what, type, "a Decimal of more digits, or String");
    }
}
