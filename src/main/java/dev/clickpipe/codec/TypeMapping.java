package dev.clickpipe.codec;

import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Which ClickHouse type a Postgres type becomes, and how its values get there. Both phases go by these two tables:
 * {@link #DEFAULTS}, what a type becomes by itself, and {@link #RULES}, what it can become.
 *
 * <p>Rules beside them:
 *
 * <ul>
 *   <li>NULL stays NULL: {@code Nullable(T)} where the source allows it. There is no Nullable(Array): a NULL array becomes
 *       the empty array. Elements of arrays may always be NULL.
 *   <li>Dates and times outside the target's range, {@code infinity} among them, become the nearest end of the range, so
 *       that they sort and compare as before; in a key only where no two values become one: {@link Mapping#ofKey}.
 *   <li>For anything else that the target can't hold (NaN in a Decimal, an array of other dimensions than the column's) no
 *       value is made up, and NULL would be one: {@link UnrepresentableValue}.
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

    /** What an enum is listed as, whatever it is called. */
    private static final String ENUM = "an enum";

    /** What pgvector's types of dense vectors are listed as; their text is ClickHouse's own for an array of numbers. */
    private static final String VECTOR = "a vector of pgvector";

    private static final Set<String> VECTORS = Set.of("vector", "halfvec");
    private static final String VECTOR_TYPE = "Array(Float32)";

    /** Digits in ClickHouse's widest Decimal. */
    private static final int MAX_PRECISION = 76;

    /** OIDs from here on are given out at run time: a type with such an OID may have any name. */
    private static final long FIRST_USER_OID = 16384;

    private static final Scalar NUMBER = new Scalar(TypeMapping::unescaped, true, false);
    private static final Scalar QUOTED = new Scalar(TypeMapping::unescaped, true, true);
    private static final Scalar TEXT = new Scalar((text, from, to, out) -> out.escaped(text, from, to), true, true);

    /**
     * What a type becomes by itself. What is not listed becomes a String with Postgres' own text: json byte for byte, time with
     * its 24:00:00, numeric without a precision with every digit, all that extensions bring.
     */
    private static final Map<String, String> DEFAULTS = Map.ofEntries(
            Map.entry("bool", "Bool"),
            Map.entry("int2", "Int16"),
            Map.entry("int4", "Int32"),
            Map.entry("int8", "Int64"),
            Map.entry("oid", "UInt32"),
            Map.entry("float4", "Float32"),
            Map.entry("float8", "Float64"),
            Map.entry("uuid", "UUID"),
            Map.entry("date", "Date32"),
            Map.entry("timestamp", "DateTime64(6, 'UTC')"),
            Map.entry("timestamptz", "DateTime64(6, 'UTC')"),
            Map.entry(ENUM, "LowCardinality(String)"));

    /**
     * What a type can become, by itself or by choice: the first rule that fits counts, and what fits none is refused. Through
     * each of them a value arrives as the same value, or its encoder refuses it.
     */
    static final List<Rule> RULES = List.of(
            rule("bool", "Bool", "Bool", (type, to) -> new Scalar(TypeMapping::bool, true, false)),
            rule("int2 int4 int8 oid", "an Int or UInt that holds all of it", "U?Int\\d+", TypeMapping::integer),
            rule("float4", "Float32", "Float32", (type, to) -> NUMBER),
            rule("float8", "Float64", "Float64", (type, to) -> NUMBER),
            rule("numeric", "Decimal(P, S)", "Decimal\\((\\d{1,2}), (\\d{1,2})\\)", TypeMapping::decimal),
            rule("numeric", "an Int or UInt", "U?Int\\d+", TypeMapping::wholeNumber),
            rule("uuid", "UUID", "UUID", (type, to) -> QUOTED),
            rule("date", "Date32", "Date32", (type, to) -> new Scalar(new DateEncoder(), false, true)),
            rule("date timestamp timestamptz", "DateTime64(P)", "DateTime64\\((\\d), 'UTC'\\)", TypeMapping::timestamp),
            rule("time", "Time64(P)", "Time64\\((\\d)\\)", (type, to) -> fractionFits(type, to) ? QUOTED : null),
            rule("json jsonb", "JSON", "JSON", (type, to) -> new Scalar(new JsonEncoder(), false, true)),
            rule("bytea", "String", "String", (type, to) -> new Scalar(new ByteaEncoder(), false, true)),
            rule("", "String, LowCardinality(String)", "String", (type, to) -> TEXT));

    private TypeMapping() {}

    /**
     * What becomes of a type by itself.
     *
     * @param dimensions declared dimensions of an array; 0 counts as 1, because Postgres does not always record them
     * @param nullable whether the target may hold NULL
     */
    public static Mapping of(PgType type, int dimensions, boolean nullable) {
        if (listed(plain(type)).equals(VECTOR)) {
            return into(type, VECTOR_TYPE);
        }
        boolean array = isArray(type.undomained());
        var source = plain(array ? elementOf(type) : type);
        var name = listed(source).equals("numeric")
                ? numeric(source.typmod())
                : DEFAULTS.getOrDefault(listed(source), "String");
        return into(
                type,
                TargetType.parse(name)
                        .with(array || nullable, array ? Math.max(1, dimensions) : 0)
                        .toString());
    }

    /**
     * What becomes of a type by choice.
     *
     * @param chosen the target's type, in which NULL goes without saying
     * @param nullable whether the target may hold NULL
     * @throws UnsuitableType where values would not be the same in it
     */
    public static Mapping chosen(PgType type, String chosen, boolean nullable) {
        var target = TargetType.parse(chosen);
        return target.toString().equals(VECTOR_TYPE) && listed(plain(type)).equals(VECTOR)
                ? into(type, VECTOR_TYPE)
                : into(
                        type,
                        target.with(nullable || target.dimensions() > 0, target.dimensions())
                                .toString());
    }

    /**
     * How values of a source type get into a column.
     *
     * @param clickHouseType the column's whole type, such as {@code Array(Nullable(Int32))}
     * @throws UnsuitableType where they would not be the same in it
     */
    public static Mapping into(PgType type, String clickHouseType) {
        if (clickHouseType.equals(VECTOR_TYPE) && listed(plain(type)).equals(VECTOR)) {
            return new Mapping(VECTOR_TYPE, TypeMapping::unescaped, true);
        }
        var target = TargetType.parse(clickHouseType);
        boolean elements = target.dimensions() > 0;
        if (elements && !isArray(type.undomained())) {
            throw new UnsuitableType(type, clickHouseType, choices(type));
        }
        var source = plain(elements ? elementOf(type) : type);
        var scalar = scalar(source, target).orElseThrow(() -> new UnsuitableType(type, clickHouseType, choices(type)));
        return elements
                ? new Mapping(
                        clickHouseType,
                        new ArrayEncoder(
                                scalar.encoder,
                                scalar.quotedInArray,
                                target.dimensions(),
                                (byte) source.delimiter(),
                                clickHouseType),
                        false)
                : new Mapping(clickHouseType, scalar.encoder, scalar.passthrough);
    }

    private static Optional<Scalar> scalar(PgType source, TargetType target) {
        for (var rule : RULES) {
            var match = rule.target.matcher(target.name());
            if (rule.takes(listed(source)) && match.matches()) {
                return Optional.ofNullable(rule.scalar.apply(source, match.toMatchResult()))
                        .filter(scalar ->
                                !target.lowCardinality() || target.name().equals("String"));
            }
        }
        return Optional.empty();
    }

    /** The types that a source type can become, for people. */
    private static String choices(PgType type) {
        boolean array = isArray(type.undomained());
        var name = listed(plain(array ? elementOf(type) : type));
        var scalars = RULES.stream()
                .filter(rule -> rule.takes(name))
                .map(Rule::offered)
                .distinct()
                .collect(Collectors.joining(", "));
        return array ? "String, or an Array of: " + scalars : scalars;
    }

    private static Scalar integer(PgType source, MatchResult target) {
        var to = IntegerType.of(target.group());
        return to.filter(IntegerType.of(DEFAULTS.get(source.name())).orElseThrow()::within)
                        .isPresent()
                ? NUMBER
                : null;
    }

    private static Scalar wholeNumber(PgType source, MatchResult target) {
        return IntegerType.of(target.group())
                .map(type -> new Scalar(new IntegerEncoder(type), false, false))
                .orElse(null);
    }

    private static Scalar decimal(PgType source, MatchResult target) {
        int precision = Integer.parseInt(target.group(1));
        int scale = Integer.parseInt(target.group(2));
        return precision >= 1 && precision <= MAX_PRECISION && scale <= precision
                ? new Scalar(new DecimalEncoder(target.group(), precision - scale, scale), false, false)
                : null;
    }

    private static Scalar timestamp(PgType source, MatchResult target) {
        return fractionFits(source, target)
                ? new Scalar(new TimestampEncoder(Integer.parseInt(target.group(1))), false, true)
                : null;
    }

    /** Digits of a second: of more than six ClickHouse's range would be shorter. */
    private static boolean fractionFits(PgType source, MatchResult target) {
        int declared = source.name().equals("date") ? 0 : source.typmod() == -1 ? 6 : source.typmod();
        int digits = Integer.parseInt(target.group(1));
        return digits >= declared && digits <= 6;
    }

    /** Decimal where it holds every value of the declared type; otherwise the digits as text. */
    private static String numeric(int typmod) {
        if (typmod < 4) {
            return "String"; // no declared precision: up to 131072 digits before the point, 16383 after
        }
        // PostgreSQL's numeric.c: precision in the upper 16 bits, scale as 11 bits with sign in the lower, 4 added.
        int precision = (typmod - 4) >> 16 & 0xFFFF;
        int scale = ((typmod - 4 & 0x7FF) ^ 1024) - 1024;
        int digits = scale < 0 ? precision - scale : Math.max(precision, scale);
        return digits > MAX_PRECISION ? "String" : "Decimal(" + digits + ", " + Math.max(0, scale) + ")";
    }

    /** As what the tables list a type that is no domain. */
    private static String listed(PgType type) {
        return switch (type.kind()) {
            case ENUM -> ENUM;
            case SCALAR -> type.oid() < FIRST_USER_OID ? type.name() : VECTORS.contains(type.name()) ? VECTOR : "other";
            case ARRAY, DOMAIN, OTHER -> "other"; // int2vector, composites, ranges, arrays within arrays by a domain
        };
    }

    /** The type below all domains, with the modifiers that the column or the outermost domain gave. */
    private static PgType plain(PgType type) {
        var plain = type;
        int typmod = type.typmod();
        while (plain.kind() == Kind.DOMAIN) {
            plain = plain.base();
            typmod = typmod != -1 ? typmod : plain.typmod();
        }
        return plain.withTypmod(typmod);
    }

    /** int2vector and oidvector call themselves arrays, but print no braces. */
    private static boolean isArray(PgType type) {
        return type.kind() == Kind.ARRAY
                && !type.name().equals("int2vector")
                && !type.name().equals("oidvector");
    }

    /** The element type, with the modifiers that the column or a domain over the array gave. */
    private static PgType elementOf(PgType type) {
        var array = plain(type);
        var element = array.base();
        return element.typmod() != -1 ? element : element.withTypmod(array.typmod());
    }

    private static void unescaped(byte[] text, int from, int to, TsvBuffer out) {
        out.rawBytes(text, from, to);
    }

    private static void bool(byte[] text, int from, int to, TsvBuffer out) {
        out.ascii(text[from] == 't' ? "true" : "false"); // t and f alone are not understood inside arrays
    }

    private static Rule rule(
            String sources, String offered, String target, BiFunction<PgType, MatchResult, Scalar> scalar) {
        return new Rule(
                sources.isEmpty() ? Set.of() : Set.of(sources.split(" ")), offered, Pattern.compile(target), scalar);
    }

    /**
     * @param sources types as listed; empty for any
     * @param offered the target types, for people
     * @param target their names
     * @param scalar what becomes of values; null where the target does not hold them all
     */
    record Rule(Set<String> sources, String offered, Pattern target, BiFunction<PgType, MatchResult, Scalar> scalar) {
        private boolean takes(String listed) {
            return sources.isEmpty() || sources.contains(listed);
        }
    }

    /** @param quotedInArray whether ClickHouse wants such a value in quotes inside an array */
    record Scalar(ValueEncoder encoder, boolean passthrough, boolean quotedInArray) {}
}
