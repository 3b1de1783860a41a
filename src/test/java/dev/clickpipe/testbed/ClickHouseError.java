package dev.clickpipe.testbed;

import java.util.regex.Pattern;

/** An error as ClickHouse words and numbers it: {@code Code: 60. DB::Exception: … (UNKNOWN_TABLE)}. */
final class ClickHouseError extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private static final Pattern CODE = Pattern.compile("Code: (\\d+)");
    /** UNKNOWN_EXCEPTION. */
    private static final int UNKNOWN = 1002;

    private final int code;

    private ClickHouseError(int code, String message) {
        super(message);
        this.code = code;
    }

    static ClickHouseError of(int code, String name, String message) {
        return new ClickHouseError(code, "Code: %d. DB::Exception: %s. (%s)".formatted(code, message, name));
    }

    /** From the engine's own text. */
    static ClickHouseError parse(String text) {
        var matcher = CODE.matcher(text);
        return new ClickHouseError(matcher.find() ? Integer.parseInt(matcher.group(1)) : UNKNOWN, text.strip());
    }

    /** Whatever went wrong, told as ClickHouse would. */
    static ClickHouseError from(Throwable failure) {
        return failure instanceof ClickHouseError error ? error : of(UNKNOWN, "UNKNOWN_EXCEPTION", failure.toString());
    }

    static ClickHouseError syntax(String message) {
        return of(62, "SYNTAX_ERROR", message);
    }

    int code() {
        return code;
    }

    /** The status with which a server answers this error. */
    int httpStatus() {
        return switch (code) {
            case 194 -> 401; // REQUIRED_PASSWORD
            case 192, 193, 497, 512, 516 -> 403; // users, grants and roles
            case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511 -> 404; // UNKNOWN_…
            case 6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676 -> 400; // CANNOT_PARSE_…
            case 8, 15, 36, 37, 44, 53, 62, 117, 123, 167, 168, 223, 321, 427 -> 400;
            case 159 -> 408; // TIMEOUT_EXCEEDED
            case 381 -> 411; // HTTP_LENGTH_REQUIRED
            case 229 -> 413; // QUERY_IS_TOO_LARGE
            case 48 -> 501; // NOT_IMPLEMENTED
            case 76, 209, 439 -> 503; // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
            default -> 500;
        };
    }
}
