package dev.clickpipe.clickhouse;

import com.clickhouse.client.api.ServerException;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;

/**
 * What an error of the destination means: whether it passes by itself, and what to do. One table by error code (ClickHouse
 * source, {@code ErrorCodes.cpp}), each code once. What it doesn't know is fatal when the server said it, and retryable when
 * the connection broke.
 */
public final class ClickHouseErrors {
    private static final boolean RETRYABLE = true;
    private static final boolean FATAL = false;

    /** @param codes numbers and names, as {@code errorCodeToName} has them */
    record Rule(Map<Integer, String> codes, String reason, boolean retryable, String remedy) {}

    private static final List<Rule> RULES = List.of(
            // Login and database
            rule(
                    "LoginRefused",
                    RETRYABLE,
                    "Correct user name and password in the Secret; they are reread at every try",
                    "516 AUTHENTICATION_FAILED, 192 UNKNOWN_USER, 193 WRONG_PASSWORD, 194 REQUIRED_PASSWORD"),
            rule(
                    "ConnectionRefusedByServer",
                    RETRYABLE,
                    "Allow this address in the ClickHouse user's HOST clause",
                    "195 IP_ADDRESS_NOT_ALLOWED"),
            rule(
                    "DatabaseMissing",
                    FATAL,
                    "Create the database in ClickHouse, or correct spec.destination.clickhouse.database",
                    "81 UNKNOWN_DATABASE"),
            rule(
                    "PermissionDenied",
                    FATAL,
                    "Grant the user what the message names",
                    "497 ACCESS_DENIED, 291 DATABASE_ACCESS_DENIED, 164 READONLY"),
            rule(
                    "SettingForbidden",
                    FATAL,
                    "The user's settings profile forbids a setting the pipe needs; relax the constraint the message names",
                    "452 SETTING_CONSTRAINT_VIOLATION"),
            rule(
                    "SettingUnknown",
                    FATAL,
                    "This version of ClickHouse and this version of the operator do not fit",
                    "115 UNKNOWN_SETTING"),

            // The target changed under us
            rule(
                    "TargetTableMissing",
                    FATAL,
                    "The table was dropped or renamed: restore it",
                    "60 UNKNOWN_TABLE, 218 TABLE_IS_DROPPED"),
            rule(
                    "TargetTableChanged",
                    FATAL,
                    "The target, or a materialized view on it, does not fit what the pipe writes: correct it",
                    "16 NO_SUCH_COLUMN_IN_TABLE, 47 UNKNOWN_IDENTIFIER, 8 THERE_IS_NO_COLUMN, 10 NOT_FOUND_COLUMN_IN_BLOCK, 7 INCORRECT_NUMBER_OF_COLUMNS, 20 NUMBER_OF_COLUMNS_DOESNT_MATCH, 122 INCOMPATIBLE_COLUMNS"),
            rule(
                    "TargetTableExists",
                    FATAL,
                    "Drop or rename the table, or choose another targetTable",
                    "57 TABLE_ALREADY_EXISTS"),
            rule(
                    "NotSupported",
                    FATAL,
                    "The target is not a table that can be written this way, or ClickHouse is too old or lacks a setting: see the message",
                    "48 NOT_IMPLEMENTED, 344 SUPPORT_IS_DISABLED"),

            // Values
            rule(
                    "ValueRefused",
                    FATAL,
                    "ClickHouse can't take a value into the column that the message names; exclude the column, or widen its type",
                    "6 CANNOT_PARSE_TEXT, 25 CANNOT_PARSE_ESCAPE_SEQUENCE, 26 CANNOT_PARSE_QUOTED_STRING, 27 CANNOT_PARSE_INPUT_ASSERTION_FAILED, 38 CANNOT_PARSE_DATE, 41 CANNOT_PARSE_DATETIME, 53 TYPE_MISMATCH, 69 ARGUMENT_OUT_OF_BOUND, 70 CANNOT_CONVERT_TYPE, 72 CANNOT_PARSE_NUMBER, 117 INCORRECT_DATA, 131 TOO_LARGE_STRING_SIZE, 190 SIZES_OF_ARRAYS_DONT_MATCH, 321 VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, 349 CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, 407 DECIMAL_OVERFLOW, 469 VIOLATED_CONSTRAINT"),

            // Short of something, for now
            rule(
                    "DestinationOutOfMemory",
                    RETRYABLE,
                    "Give ClickHouse or its user more memory, or lower pullBatchSize; it is tried again",
                    "241 MEMORY_LIMIT_EXCEEDED, 173 CANNOT_ALLOCATE_MEMORY"),
            rule(
                    "TooManyParts",
                    RETRYABLE,
                    "ClickHouse merges more slowly than rows come: raise syncIntervalSeconds, look at system.merges; it is tried again",
                    "252 TOO_MANY_PARTS"),
            rule(
                    "DestinationDiskFull",
                    RETRYABLE,
                    "Free disk space on ClickHouse; it is tried again",
                    "243 NOT_ENOUGH_SPACE"),
            rule(
                    "QuotaExceeded",
                    RETRYABLE,
                    "Raise the quota of the ClickHouse user; it is tried again",
                    "201 QUOTA_EXCEEDED"),
            rule(
                    "DestinationBusy",
                    RETRYABLE,
                    "Too much runs on ClickHouse at the same time; it is tried again",
                    "202 TOO_MANY_SIMULTANEOUS_QUERIES, 203 NO_FREE_CONNECTION, 745 SERVER_OVERLOADED, 439 CANNOT_SCHEDULE_TASK"),
            rule(
                    "DestinationReplicaTrouble",
                    RETRYABLE,
                    "Check ClickHouse Keeper and system.replicas; it is tried again",
                    "242 TABLE_IS_READ_ONLY, 225 NO_ZOOKEEPER, 244 UNEXPECTED_ZOOKEEPER_ERROR, 999 KEEPER_EXCEPTION, 319 UNKNOWN_STATUS_OF_INSERT, 285 TOO_FEW_LIVE_REPLICAS, 286 UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, 289 REPLICA_IS_NOT_IN_QUORUM, 254 NO_ACTIVE_REPLICAS, 369 ALL_REPLICAS_ARE_STALE, 415 ALL_REPLICAS_LOST, 416 REPLICA_STATUS_CHANGED, 517 CANNOT_ASSIGN_ALTER, 529 NOT_A_LEADER, 571 DATABASE_REPLICATION_FAILED, 341 UNFINISHED"),
            rule(
                    "DestinationTrouble",
                    RETRYABLE,
                    "See the message and ClickHouse's log; it is tried again",
                    "159 TIMEOUT_EXCEEDED, 160 TOO_SLOW, 198 DNS_ERROR, 209 SOCKET_TIMEOUT, 210 NETWORK_ERROR, 236 ABORTED, 279 ALL_CONNECTION_TRIES_FAILED, 373 SESSION_IS_LOCKED, 384 PART_IS_TEMPORARILY_LOCKED, 394 QUERY_WAS_CANCELLED, 735 QUERY_WAS_CANCELLED_BY_CLIENT, 425 SYSTEM_ERROR, 499 S3_ERROR, 3 UNEXPECTED_END_OF_FILE, 23 CANNOT_READ_FROM_ISTREAM, 32 ATTEMPT_TO_READ_AFTER_EOF, 33 CANNOT_READ_ALL_DATA, 40 CHECKSUM_DOESNT_MATCH, 74 CANNOT_READ_FROM_FILE_DESCRIPTOR, 75 CANNOT_WRITE_TO_FILE_DESCRIPTOR, 76 CANNOT_OPEN_FILE, 95 CANNOT_READ_FROM_SOCKET, 96 CANNOT_WRITE_TO_SOCKET, 1000 POCO_EXCEPTION, 1001 STD_EXCEPTION, 1002 UNKNOWN_EXCEPTION"));

    /** Reasons that lie in the table that was being worked on. */
    private static final Set<String> OF_TABLE =
            Set.of("TargetTableMissing", "TargetTableChanged", "ReplacementMissing", "NotSupported", "ValueRefused");

    private ClickHouseErrors() {}

    /** Whether the problem lies in the one table that was being worked on, and other tables do not have it. */
    public static boolean concernTable(Problem problem) {
        return OF_TABLE.contains(problem.reason());
    }

    /**
     * @param object what was being worked on, such as {@code table shop.orders}
     * @return retryable or fatal, with the server's own words; a {@link PipeException} among the causes is returned as it is
     */
    public static PipeException of(Exception e, String object) {
        for (var cause : causes(e).toList()) {
            if (cause instanceof PipeException known) {
                return known;
            }
            if (cause instanceof ServerException server) {
                return of(server, object);
            }
        }
        var deepest = causes(e).reduce((outer, inner) -> inner).orElseThrow();
        var message = deepest.getClass().getSimpleName() + ": "
                + String.valueOf(deepest.getMessage()).replaceAll("\\s+", " ");
        boolean tls =
                causes(e).anyMatch(cause -> cause instanceof SSLException || cause instanceof GeneralSecurityException);
        return PipeException.retryable(
                new Problem(
                        tls ? "TlsFailed" : "CannotConnect",
                        object,
                        message,
                        tls
                                ? "Check tls.enabled, tls.ca, the HTTPS port and that the certificate names the host; it is tried again"
                                : "Check host, HTTP port, network policies and that ClickHouse runs; it is tried again"),
                e);
    }

    private static PipeException of(ServerException e, String object) {
        var message = shorten(e.getMessage());
        for (var rule : RULES) {
            if (rule.codes.containsKey(e.getCode())) {
                var problem = new Problem(rule.reason, object, message, rule.remedy);
                return rule.retryable ? PipeException.retryable(problem, e) : PipeException.fatal(problem, e);
            }
        }
        // A proxy's or a starting server's answer, without ClickHouse's own code.
        if (e.getCode() <= 0) {
            return PipeException.retryable(
                    new Problem(
                            "DestinationTrouble",
                            object,
                            message,
                            "What answers there may be no ClickHouse, or not ready; it is tried again"),
                    e);
        }
        return PipeException.fatal(
                new Problem("ClickHouseError", object, message, "See the message and ClickHouse's log"), e);
    }

    /** Drops the version, the stack and the echo of the data that ClickHouse appends; rows of a user's table are not for logs. */
    private static String shorten(String message) {
        return message.replaceAll("\\s+", " ")
                .replaceFirst("\\(version [^)]*\\(official build\\)\\).*", "")
                .replaceFirst("(: )?\\(at row \\d+\\).*", "")
                .replaceFirst(" before: '.*", "")
                .replaceFirst("Stack trace:.*", "")
                .strip();
    }

    /** The exception and what caused it, the deepest last. */
    private static Stream<Throwable> causes(Throwable e) {
        return Stream.iterate(e, Objects::nonNull, Throwable::getCause);
    }

    /** For the test that holds the codes against a server's. */
    static List<Rule> rules() {
        return RULES;
    }

    private static Rule rule(String reason, boolean retryable, String remedy, String codes) {
        return new Rule(
                Arrays.stream(codes.split(", "))
                        .map(code -> code.split(" "))
                        .collect(Collectors.toUnmodifiableMap(code -> Integer.valueOf(code[0]), code -> code[1])),
                reason,
                retryable,
                remedy);
    }
}
