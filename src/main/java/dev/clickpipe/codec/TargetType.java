package dev.clickpipe.codec;

/**
 * A ClickHouse type, taken apart.
 *
 * @param name without what is around it, such as {@code Decimal(10, 2)}
 * @param nullable whether a value, or an element of an array, may be NULL
 * @param dimensions Arrays around it
 */
record TargetType(String name, boolean lowCardinality, boolean nullable, int dimensions) {

    /** Reads a type as ClickHouse or people spell it. */
    static TargetType parse(String text) {
        var name = text.strip()
                .replaceAll("\\s*,\\s*", ", ")
                .replaceAll("\\(\\s+", "(")
                .replaceAll("\\s+\\)", ")");
        int dimensions = 0;
        for (; wrapped(name, "Array("); dimensions++) {
            name = unwrap(name, "Array(");
        }
        boolean lowCardinality = wrapped(name, "LowCardinality(");
        name = lowCardinality ? unwrap(name, "LowCardinality(") : name;
        boolean nullable = wrapped(name, "Nullable(");
        name = nullable ? unwrap(name, "Nullable(") : name;
        // Without one the server's time zone would be the column's.
        name = name.replaceFirst("^DateTime64\\((\\d+)\\)$", "DateTime64($1, 'UTC')");
        return new TargetType(name, lowCardinality, nullable, dimensions);
    }

    TargetType with(boolean nullable, int dimensions) {
        return new TargetType(name, lowCardinality, nullable, dimensions);
    }

    /** As ClickHouse spells it. */
    @Override
    public String toString() {
        var type = nullable ? "Nullable(" + name + ")" : name;
        type = lowCardinality ? "LowCardinality(" + type + ")" : type;
        return "Array(".repeat(dimensions) + type + ")".repeat(dimensions);
    }

    private static boolean wrapped(String type, String wrapper) {
        return type.startsWith(wrapper) && type.endsWith(")");
    }

    private static String unwrap(String type, String wrapper) {
        return type.substring(wrapper.length(), type.length() - 1);
    }
}
