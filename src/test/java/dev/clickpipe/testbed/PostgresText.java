package dev.clickpipe.testbed;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** Postgres' text of values: reads COPY's fields and brings different spellings of one value to the same form. */
final class PostgresText {
    private static final Pattern FRACTION_ZEROS = Pattern.compile("(\\.\\d*?)0+$");

    private PostgresText() {}

    /** The value of a field of {@code COPY … TO STDOUT}, or null. */
    static String fromCopy(String field) {
        if (field.equals("\\N")) {
            return null;
        }
        if (field.indexOf('\\') < 0) {
            return field;
        }
        var text = new StringBuilder(field.length());
        for (int i = 0; i < field.length(); i++) {
            char c = field.charAt(i);
            text.append(c == '\\' ? unescape(field.charAt(++i)) : c);
        }
        return text.toString();
    }

    private static char unescape(char c) {
        return switch (c) {
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'v' -> '\u000b';
            default -> c;
        };
    }

    /**
     * The value in the one form that stands for all its spellings: a text, or a list for an array (elements alike, null
     * for NULL). What counts as spelling:
     *
     * <ul>
     *   <li>boolean: {@code t}, {@code true} and {@code 1}; {@code f}, {@code false} and {@code 0}
     *   <li>real, double precision: any decimal text that reads as the same number; {@code inf} and {@code Infinity}
     *   <li>numeric: zeros at the end of the fraction, exponents
     *   <li>timestamps and time without zone: zeros at the end of the fraction; zone {@code +00}
     *   <li>pgvector's vector and halfvec: each element like a real
     * </ul>
     *
     * @param type as {@code format_type} names it, without modifiers
     */
    static Object canonical(String type, String text) {
        if (type.endsWith("[]")) {
            String elementType = type.substring(0, type.length() - 2);
            // only arrays whose bounds are not 1 carry them: [0:1]={1,2}
            return new ArrayReader(text, text.indexOf('{'), delimiter(elementType)).read(elementType);
        }
        return switch (type) {
            case "boolean" -> canonicalBoolean(text);
            case "real" -> isNumber(text) ? Float.toString(Float.parseFloat(text)) : canonicalNonNumber(text);
            case "double precision" ->
                isNumber(text) ? Double.toString(Double.parseDouble(text)) : canonicalNonNumber(text);
            case "numeric" ->
                isNumber(text) ? new BigDecimal(text).stripTrailingZeros().toPlainString() : canonicalNonNumber(text);
            case "timestamp without time zone", "time without time zone" -> withoutFractionZeros(text);
            case "timestamp with time zone" ->
                withoutFractionZeros(text.endsWith("+00") ? text.substring(0, text.length() - 3) : text);
            case "vector", "halfvec" -> canonicalVector(text);
            default -> text;
        };
    }

    /** {@code [1,2.5]}, as pgvector and JSON have it alike. */
    private static List<Object> canonicalVector(String text) {
        return Pattern.compile(",")
                .splitAsStream(text.substring(1, text.length() - 1))
                .filter(element -> !element.isEmpty())
                .map(element -> canonical("real", element))
                .toList();
    }

    private static char delimiter(String elementType) {
        return switch (elementType) {
            case "box" -> ';';
            case "geometry", "geography", "shape" -> ':'; // PostGIS, and a test's own
            default -> ',';
        };
    }

    private static String canonicalBoolean(String text) {
        return switch (text) {
            case "t", "1" -> "true";
            case "f", "0" -> "false";
            default -> text;
        };
    }

    private static boolean isNumber(String text) {
        char last = text.isEmpty() ? ' ' : text.charAt(text.length() - 1);
        return Character.isDigit(last) || last == '.';
    }

    private static String canonicalNonNumber(String text) {
        return switch (text) {
            case "inf" -> "Infinity";
            case "-inf" -> "-Infinity";
            case "nan" -> "NaN";
            default -> text;
        };
    }

    private static String withoutFractionZeros(String text) {
        String shorter = FRACTION_ZEROS.matcher(text).replaceFirst("$1");
        return shorter.endsWith(".") ? shorter.substring(0, shorter.length() - 1) : shorter;
    }

    /** Reads <code>{a,"b,c",NULL,{…}}</code>. */
    private static final class ArrayReader {
        private final String text;
        private final char delimiter;
        private int position;

        ArrayReader(String text, int start, char delimiter) {
            this.text = text;
            this.delimiter = delimiter;
            position = start;
        }

        List<Object> read(String elementType) {
            var elements = new ArrayList<>();
            position++; // {
            while (text.charAt(position) != '}') {
                char c = text.charAt(position);
                if (c == delimiter) {
                    position++;
                    continue;
                }
                switch (c) {
                    case '{' -> elements.add(read(elementType));
                    case '"' -> elements.add(canonical(elementType, readQuoted()));
                    default -> {
                        String element = readPlain();
                        elements.add(element.equals("NULL") ? null : canonical(elementType, element));
                    }
                }
            }
            position++; // }
            return elements;
        }

        private String readQuoted() {
            var element = new StringBuilder();
            for (position++; text.charAt(position) != '"'; position++) {
                if (text.charAt(position) == '\\') {
                    position++;
                }
                element.append(text.charAt(position));
            }
            position++;
            return element.toString();
        }

        private String readPlain() {
            int start = position;
            while (text.charAt(position) != delimiter && text.charAt(position) != '}') {
                position++;
            }
            return text.substring(start, position);
        }
    }
}
