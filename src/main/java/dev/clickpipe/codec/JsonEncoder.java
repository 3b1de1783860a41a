package dev.clickpipe.codec;

/** JSON objects: ClickHouse's type holds nothing else, and would make NULL of the JSON null. */
record JsonEncoder() implements ValueEncoder {
    @Override
    public void encode(byte[] text, int from, int to, TsvBuffer out) {
        int at = from;
        while (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
            at++;
        }
        if (text[at] != '{') {
            throw new UnrepresentableValue("a JSON value that is no object", "JSON", "String");
        }
        out.escaped(text, from, to);
    }
}
