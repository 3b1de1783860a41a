package dev.clickpipe.testbed;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;

/**
 * What the HTTP interface must know of a statement before the engine parses it. Positions are byte offsets, as data
 * that isn't text may follow.
 *
 * @param keyword the first word, in capitals; empty when there is none
 * @param kind how to run it
 * @param format the name after {@code FORMAT}, or null
 * @param sqlEnd where the statement ends that the engine gets: before FORMAT, when data follows
 * @param dataStart where the data of an INSERT starts
 * @param input where the word {@code input} stands that an INSERT reads its data from, or -1
 */
record SqlStatement(String keyword, Kind kind, String format, int sqlEnd, int dataStart, int input) {
    enum Kind {
        /** Answers rows that can be streamed. */
        SELECT,
        /** Answers rows: SHOW, DESCRIBE, EXPLAIN, … */
        ROWS,
        /** An INSERT whose data follows the statement. */
        INSERT_DATA,
        /** Everything else, {@code INSERT … SELECT} included. */
        COMMAND
    }

    private static final Set<String> STREAMED = Set.of("SELECT", "WITH", "FROM");
    private static final Set<String> ANSWERED = Set.of("SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK");

    static SqlStatement scan(byte[] text) {
        var lexer = new Lexer(new String(text, StandardCharsets.ISO_8859_1));
        String first = "";
        boolean insert = false;
        boolean selects = false;
        boolean fromFile = false;
        int input = -1;
        Token formatWord = null;
        String format = null;
        Token previous = Token.NONE;
        for (Token token = lexer.next(); token != null; previous = token, token = lexer.next()) {
            if (!token.isWord()) {
                continue;
            }
            if (first.isEmpty()) {
                first = token.text();
                insert = first.equals("INSERT");
            }
            if (formatWord != null && previous == formatWord) {
                format = lexer.spelling(token);
                if (insert && (!selects || input >= 0) && !fromFile) {
                    return new SqlStatement(
                            first, Kind.INSERT_DATA, format, formatWord.start(), lexer.skipToData(token.end()), input);
                }
            }
            if (token.depth() == 0) {
                switch (token.text()) {
                    case "INSERT" -> insert = true; // WITH … INSERT
                    case "FORMAT" -> formatWord = token;
                    case "SELECT", "WITH" -> selects |= insert;
                    case "INFILE" -> fromFile |= previous.is("FROM");
                    case "VALUES" -> {
                        if (insert && !selects && !previous.is("INTO") && !previous.is("TABLE")) {
                            return new SqlStatement(first, Kind.INSERT_DATA, "Values", token.start(), token.end(), -1);
                        }
                    }
                    default -> {}
                }
            }
            if (insert && selects && token.is("INPUT") && previous.is("FROM") && lexer.peeks('(')) {
                input = token.start();
            }
        }
        Kind kind = insert ? Kind.COMMAND : kind(first);
        return new SqlStatement(first, kind, format, text.length, text.length, input);
    }

    private static Kind kind(String keyword) {
        return STREAMED.contains(keyword) ? Kind.SELECT : ANSWERED.contains(keyword) ? Kind.ROWS : Kind.COMMAND;
    }

    /** A word (in capitals) or one other character; depth counts the brackets around it. */
    private record Token(String text, int start, int end, int depth) {
        static final Token NONE = new Token("", 0, 0, 0);

        boolean isWord() {
            return !text.isEmpty() && isWordPart(text.charAt(0));
        }

        boolean is(String word) {
            return text.equals(word);
        }

        static boolean isWordPart(char c) {
            return Character.isLetterOrDigit(c) || c == '_' || c == '$';
        }
    }

    /** Skips blanks, comments and the insides of quotes. */
    private static final class Lexer {
        private final String sql;
        private int position;
        private int depth;

        Lexer(String sql) {
            this.sql = sql;
        }

        Token next() {
            skipBlanks();
            if (position >= sql.length()) {
                return null;
            }
            int start = position;
            char c = sql.charAt(start);
            if (Token.isWordPart(c)) {
                while (position < sql.length() && Token.isWordPart(sql.charAt(position))) {
                    position++;
                }
                return new Token(sql.substring(start, position).toUpperCase(Locale.ROOT), start, position, depth);
            }
            switch (c) {
                case '\'', '"', '`' -> skipQuoted(c);
                case '(', '[', '{' -> {
                    depth++;
                    position++;
                }
                case ')', ']', '}' -> {
                    depth--;
                    position++;
                }
                default -> position++;
            }
            return new Token(String.valueOf(c), start, position, depth);
        }

        String spelling(Token token) {
            return sql.substring(token.start(), token.end());
        }

        boolean peeks(char expected) {
            skipBlanks();
            return position < sql.length() && sql.charAt(position) == expected;
        }

        /** Data starts after the format's name, blanks and one line end. */
        int skipToData(int from) {
            int at = from;
            while (at < sql.length() && " \t\f".indexOf(sql.charAt(at)) >= 0) {
                at++;
            }
            if (at < sql.length() && sql.charAt(at) == '\r') {
                at++;
            }
            if (at < sql.length() && sql.charAt(at) == '\n') {
                at++;
            }
            return at;
        }

        private void skipBlanks() {
            while (position < sql.length()) {
                if (Character.isWhitespace(sql.charAt(position))) {
                    position++;
                } else if (sql.startsWith("--", position)
                        || sql.startsWith("# ", position)
                        || sql.startsWith("#!", position)) {
                    position = after("\n");
                } else if (sql.startsWith("/*", position)) {
                    position = after("*/");
                } else {
                    return;
                }
            }
        }

        private int after(String end) {
            int found = sql.indexOf(end, position);
            return found < 0 ? sql.length() : found + end.length();
        }

        /** A quote inside is doubled or follows a backslash; a doubled one reads as two quoted pieces, which will do. */
        private void skipQuoted(char quote) {
            position++;
            while (position < sql.length() && sql.charAt(position) != quote) {
                position += sql.charAt(position) == '\\' ? 2 : 1;
            }
            position = Math.min(position + 1, sql.length());
        }
    }
}
