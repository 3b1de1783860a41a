package dev.clickpipe.scenario;

/** Any name as the servers read it back unchanged. */
final class Names {
    private Names() {}

    static String postgres(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    static String clickHouse(String name) {
        return '`' + name.replace("\\", "\\\\").replace("`", "\\`") + '`';
    }

    static String literal(String text) {
        return '\'' + text.replace("'", "''") + '\'';
    }
}
