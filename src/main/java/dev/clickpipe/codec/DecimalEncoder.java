package dev.clickpipe.codec;

/** Finite numbers pass; NaN and the infinities have no Decimal. */
record DecimalEncoder(String type) implements ValueEncoder {
    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        byte last = text[to - 1];
        if (last < '0' || last > '9') {
            throw new UnrepresentableValue(
                    (last == 'N' ? "NaN" : "Infinity") + " in a " + type + " column that is not Nullable",
                    "Let the source column be NULL and set allowNullableColumns to true, exclude the column, or change the value in Postgres");
        }
        out.rawBytes(text, from, to);
    }
}
