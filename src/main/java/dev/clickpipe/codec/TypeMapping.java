package dev.clickpipe.codec;

import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.util.Map;

/**
 * Which ClickHouse type a Postgres type becomes, and how its values get there. Both phases go by this one table.
 *
 * <p>Three rules beside it:
 *
 * <ul>
 *   <li>NULL stays NULL: {@code Nullable(T)} where the source allows it. There is no Nullable(Array): a NULL array becomes
 *       the empty array.
 *   <li>Dates and times outside the target's range, {@code infinity} among them, become the nearest end of the range, so
 *       that they sort and compare as before.
 *   <li>For what the target can't hold otherwise (NaN in a Decimal, an array of other dimensions than declared) no value
 *       is made up: NULL where the target is Nullable, else {@link UnrepresentableValue}.
 * </ul>
 */
public final class TypeMapping {
    /** What the text presumes of ClickHouse's parser, whatever the user's profile says: goes with every insert. */
    public static final Map<String, String> INSERT_SETTINGS = Map.ofEntries(
            Map.entry("precise_float_parsing", "1"),
            Map.entry("date_time_input_format", "basic"),
            Map.entry("input_format_null_as_default", "1"),
            Map.entry("format_tsv_null_representation", "\\N"),
            Map.entry("input_format_tsv_empty_as_default", "0"),
            Map.entry("input_format_tsv_enum_as_number", "0"),
            Map.entry("input_format_tsv_detect_header", "0"),
            Map.entry("input_format_tsv_crlf_end_of_line", "0"),
            Map.entry("input_format_tsv_skip_first_lines", "0"),
            Map.entry("input_format_allow_errors_num", "0"),
            Map.entry("input_format_allow_errors_ratio", "0"));

    /** Digits in ClickHouse's widest Decimal. */
    private static final int MAX_PRECISION = 76;

    /** OIDs from here on are given out at run time: a type with such an OID may have any name. */
    private static final long FIRST_USER_OID = 16384;

    private TypeMapping() {}

    /**
     * @param dimensions declared dimensions of an array; 0 counts as 1, because Postgres does not always record them
     * @param nullable whether the target may hold NULL
     */
    public static Mapping of(PgType type, int dimensions, boolean nullable) {
        if (isArray(type.undomained())) {
            return array(elementOf(type), Math.max(1, dimensions));
        }
        Scalar scalar = scalar(type, -1);
        return nullable
                ? new Mapping(nullable(scalar.type), nullWhereUnrepresentable(scalar.encoder), scalar.passthrough)
                : new Mapping(scalar.type, scalar.encoder, scalar.passthrough);
    }

    /** The table. */
    private static Scalar builtIn(String name, int typmod) {
        return switch (name) {
            case "bool" -> new Scalar("Bool", TypeMapping::bool, true, false);
            case "int2" -> number("Int16");
            case "int4" -> number("Int32");
            case "int8" -> number("Int64");
            case "oid" -> number("UInt32");
            case "float4" -> number("Float32");
            case "float8" -> number("Float64");
            case "numeric" -> numeric(typmod);
            case "uuid" -> new Scalar("UUID", TypeMapping::unescaped, true, true);
            case "date" -> new Scalar("Date32", new DateEncoder(), false, true);
            case "timestamp", "timestamptz" -> new Scalar("DateTime64(6, 'UTC')", new TimestampEncoder(), false, true);
            case "bytea" -> new Scalar("String", new ByteaEncoder(), false, true);
            case "text", "varchar", "bpchar", "name", "char" -> text("String");
            case "json", "jsonb" ->
                text("String"); // byte for byte: ClickHouse's JSON type would lose key order and digits
            case "time", "timetz" -> text("String"); // 24:00:00 and the offset are kept; it sorts as it should
            default -> text("String"); // Postgres' own text: interval, inet, ranges, xml, money, bit, tsvector, …
        };
    }

    private static Scalar scalar(PgType type, int inheritedTypmod) {
        int typmod = type.typmod() != -1 ? type.typmod() : inheritedTypmod;
        return switch (type.kind()) {
            case DOMAIN -> scalar(type.base(), typmod);
            case ENUM -> text("LowCardinality(String)");
            case SCALAR -> type.oid() < FIRST_USER_OID ? builtIn(type.name(), typmod) : text("String");
            case ARRAY, OTHER -> text("String"); // int2vector, composites, ranges, arrays within arrays by a domain
        };
    }

    /** Decimal where it holds every value of the declared type; otherwise the digits as text. */
    private static Scalar numeric(int typmod) {
        if (typmod < 4) {
            return text("String"); // no declared precision: up to 131072 digits before the point, 16383 after
        }
        // PostgreSQL's numeric.c: precision in the upper 16 bits, scale as 11 bits with sign in the lower, 4 added.
        int precision = (typmod - 4) >> 16 & 0xFFFF;
        int scale = ((typmod - 4 & 0x7FF) ^ 1024) - 1024;
        int digits = scale < 0 ? precision - scale : Math.max(precision, scale);
        if (digits > MAX_PRECISION) {
            return text("String");
        }
        String type = "Decimal(" + digits + ", " + Math.max(0, scale) + ")";
        return new Scalar(type, new DecimalEncoder(type), false, false);
    }

    private static Mapping array(PgType element, int dimensions) {
        Scalar scalar = scalar(element, -1);
        String type = nullable(scalar.type);
        for (int i = 0; i < dimensions; i++) {
            type = "Array(" + type + ")";
        }
        // Of all types only box separates array elements by another character (pg_type.typdelim).
        byte delimiter = (byte) (element.undomained().name().equals("box") ? ';' : ',');
        return new Mapping(
                type, new ArrayEncoder(scalar.encoder, scalar.quotedInArray, dimensions, delimiter, type), false);
    }

    /** int2vector and oidvector call themselves arrays, but print no braces. */
    private static boolean isArray(PgType type) {
        return type.kind() == Kind.ARRAY
                && !type.name().equals("int2vector")
                && !type.name().equals("oidvector");
    }

    /** The element type, with the modifiers that the column or a domain over the array gave. */
    private static PgType elementOf(PgType type) {
        int typmod = type.typmod();
        PgType array = type;
        while (array.kind() == Kind.DOMAIN) {
            array = array.base();
            typmod = typmod != -1 ? typmod : array.typmod();
        }
        PgType element = array.base();
        return element.typmod() != -1
                ? element
                : new PgType(element.oid(), element.name(), element.kind(), typmod, element.base());
    }

    private static String nullable(String type) {
        return type.equals("LowCardinality(String)") ? "LowCardinality(Nullable(String))" : "Nullable(" + type + ")";
    }

    private static ValueEncoder nullWhereUnrepresentable(ValueEncoder encoder) {
        return (text, from, to, out) -> {
            int start = out.size();
            try {
                encoder.encode(text, from, to, out);
            } catch (UnrepresentableValue e) {
                out.truncate(start);
                out.nullValue();
            }
        };
    }

    private static Scalar number(String type) {
        return new Scalar(type, TypeMapping::unescaped, true, false);
    }

    private static Scalar text(String type) {
        return new Scalar(type, (text, from, to, out) -> out.escaped(text, from, to), true, true);
    }

    private static void unescaped(byte[] text, int from, int to, TsvBuffer out) {
        out.rawBytes(text, from, to);
    }

    private static void bool(byte[] text, int from, int to, TsvBuffer out) {
        out.ascii(text[from] == 't' ? "true" : "false"); // t and f alone are not understood inside arrays
    }

    /** @param quotedInArray whether ClickHouse wants such a value in quotes inside an array */
    private record Scalar(String type, ValueEncoder encoder, boolean passthrough, boolean quotedInArray) {}
}
