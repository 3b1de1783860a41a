package dev.clickpipe.cdc;

import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.ValueEncoder;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Changes of a column's type that leave its rows as they are: what Postgres makes of a value is what ClickHouse makes of it, or
 * there is nothing to be made. Everything else needs the rows once more. What {@code ALTER COLUMN … TYPE … USING} computes is not
 * to be seen from outside. Pure.
 */
final class Widening {
    private static final List<String> INTEGERS = List.of("int2", "int4", "int8");
    private static final List<String> TEXTS = List.of("text", "varchar");

    /** Their modifier is a precision or a greatest length: a greater one, or none, changes no value. */
    private static final List<String> LIMITED =
            List.of("varchar", "varbit", "time", "timetz", "timestamp", "timestamptz");

    private static final Pattern DECIMAL = Pattern.compile("Decimal\\((\\d+), (\\d+)\\)");

    /** Those that a stream may have had between two looks at the catalogue, by OID. */
    private static final Map<Long, String> BUILT_IN = Map.of(
            21L, "int2", 23L, "int4", 20L, "int8", 700L, "float4", 701L, "float8", 25L, "text", 1043L, "varchar");

    private Widening() {}

    /**
     * Whether rows of the one type are rows of the other.
     *
     * @param clickHouse the target's types before and after, without Nullable and LowCardinality
     */
    static boolean keepsValues(PgType from, PgType to, String clickHouseFrom, String clickHouseTo) {
        return postgresKeeps(plain(from), plain(to)) && clickHouseKeeps(bare(clickHouseFrom), bare(clickHouseTo));
    }

    private static boolean postgresKeeps(PgType from, PgType to) {
        if (from.kind() == Kind.ARRAY && to.kind() == Kind.ARRAY) {
            return from.oid() == to.oid() ? sameModifier(from, to) : integers(from.base(), to.base());
        }
        if (from.kind() == Kind.ENUM) {
            return from.oid() == to.oid() || to.typmod() == -1 && TEXTS.contains(to.name());
        }
        if (integers(from, to)) {
            return true;
        }
        return switch (from.name()) {
            case "float4" -> to.name().equals("float8");
            case "varchar", "text" ->
                TEXTS.contains(to.name()) && (to.typmod() == -1 || from.typmod() != -1 && to.typmod() >= from.typmod());
            case "numeric" -> to.name().equals("numeric") && widerNumeric(from.typmod(), to.typmod());
            default -> from.oid() == to.oid() && sameModifier(from, to);
        };
    }

    private static boolean sameModifier(PgType from, PgType to) {
        return from.typmod() == to.typmod()
                || LIMITED.contains(from.name())
                        && (to.typmod() == -1 || from.typmod() != -1 && to.typmod() >= from.typmod());
    }

    private static boolean integers(PgType from, PgType to) {
        int narrow = INTEGERS.indexOf(from.name());
        return narrow >= 0 && INTEGERS.indexOf(to.name()) >= narrow;
    }

    /** Precision in the upper 16 bits, scale as 11 bits with sign in the lower, 4 added (PostgreSQL source, numeric.c). */
    private static boolean widerNumeric(int from, int to) {
        return from == to
                || from != -1
                        && to != -1
                        && scale(to) >= scale(from)
                        && precision(to) - scale(to) >= precision(from) - scale(from);
    }

    private static int precision(int typmod) {
        return typmod - 4 >> 16 & 0xFFFF;
    }

    private static int scale(int typmod) {
        return ((typmod - 4 & 0x7FF) ^ 1024) - 1024;
    }

    private static boolean clickHouseKeeps(String from, String to) {
        if (from.equals(to)) {
            return true;
        }
        if (from.startsWith("Array(") && to.startsWith("Array(")) {
            return clickHouseKeeps(bare(inner(from)), bare(inner(to)));
        }
        var narrow = DECIMAL.matcher(from);
        var wide = DECIMAL.matcher(to);
        if (narrow.matches() && wide.matches()) {
            return number(wide, 2) >= number(narrow, 2)
                    && number(wide, 1) - number(wide, 2) >= number(narrow, 1) - number(narrow, 2);
        }
        return from.startsWith("Int")
                        && to.startsWith("Int")
                        && Integer.parseInt(from.substring(3)) <= Integer.parseInt(to.substring(3))
                || from.equals("Float32") && to.equals("Float64");
    }

    private static int number(Matcher decimal, int group) {
        return Integer.parseInt(decimal.group(group));
    }

    private static String inner(String wrapped) {
        return wrapped.substring(wrapped.indexOf('(') + 1, wrapped.length() - 1);
    }

    private static String bare(String type) {
        return type.startsWith("Nullable(") || type.startsWith("LowCardinality(") ? bare(inner(type)) : type;
    }

    /** A domain's values are its base type's. */
    private static PgType plain(PgType type) {
        if (type.kind() != Kind.DOMAIN) {
            return type;
        }
        var base = plain(type.base());
        return base.typmod() == -1 && type.typmod() != -1
                ? new PgType(base.oid(), base.name(), base.kind(), type.typmod(), base.base())
                : base;
    }

    /** What a type that the stream tells only by OID is; empty where that is not known. */
    static Optional<PgType> builtIn(long oid, int typmod) {
        return Optional.ofNullable(BUILT_IN.get(oid)).map(name -> new PgType(oid, name, Kind.SCALAR, typmod, null));
    }

    /** How text of the former type becomes a value of the present one, when it is one that {@link #keepsValues}. */
    static ValueEncoder encoder(PgType from, PgType to, ValueEncoder encoder) {
        if (!plain(from).name().equals("float4") || !plain(to).name().equals("float8")) {
            return encoder;
        }
        // Postgres widens the binary number: its shortest text in the former precision is another number in the latter.
        return (text, start, end, out) -> {
            var number = new String(text, start, end - start, StandardCharsets.US_ASCII);
            boolean finite = !number.endsWith("y") && !number.equals("NaN");
            var wide =
                    (finite ? Double.toString(Float.parseFloat(number)) : number).getBytes(StandardCharsets.US_ASCII);
            encoder.encode(wide, 0, wide.length, out);
        };
    }

    /** A value as it is written into a row. */
    static byte[] encoded(ValueEncoder encoder, String text) {
        var out = new TsvBuffer(64);
        var bytes = text.getBytes(StandardCharsets.UTF_8);
        encoder.encode(bytes, 0, bytes.length, out);
        return out.toByteArray();
    }
}
