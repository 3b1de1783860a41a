package dev.clickpipe.clickhouse;

import com.clickhouse.client.api.ServerException;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What an error of the destination means: whether it passes by itself, and what to do. One table by error code (ClickHouse
 * source, {@code ErrorCodes.cpp}), first match wins. What it doesn't know is fatal when the server said it, and retryable when
 * the connection broke.
 */
public final class ClickHouseErrors {
    private static final boolean RETRYABLE = true;
    private static final boolean FATAL = false;

    /** @param message a pattern found in the message; empty for any */
    private record Rule(Set<Integer> codes, Pattern message, String reason, boolean retryable, String remedy) {}

    private static final List<Rule> RULES = List.of(
            // Login and database
            rule(
                    Set.of(516, 192, 193, 194, 195),
                    "",
                    "LoginRefused",
                    RETRYABLE,
                    "Correct user name and password in the Secret; they are reread at every try"),
            rule(
                    Set.of(81),
                    "",
                    "DatabaseMissing",
                    FATAL,
                    "Create the database in ClickHouse, or correct spec.destination.clickhouse.database"),
            rule(Set.of(497, 291, 164), "", "PermissionDenied", FATAL, "Grant the user what the message names"),
            rule(
                    Set.of(452, 472),
                    "",
                    "SettingForbidden",
                    FATAL,
                    "The user's settings profile forbids a setting the pipe needs; relax the constraint the message names"),
            rule(
                    Set.of(115),
                    "",
                    "SettingUnknown",
                    FATAL,
                    "ClickHouse is too old or too new for this version of the operator"),

            // The target changed under us
            rule(
                    Set.of(60, 218),
                    "",
                    "TargetTableMissing",
                    FATAL,
                    "The target table was dropped or renamed: restore it, or delete and create the pipe"),
            rule(
                    Set.of(16, 47, 8, 10),
                    "",
                    "TargetTableChanged",
                    FATAL,
                    "The target table lacks a column the pipe writes: add it again, or delete and create the pipe"),
            rule(
                    Set.of(48),
                    "write|insert|view",
                    "TargetTableChanged",
                    FATAL,
                    "The target is not a table that can be written: restore it"),
            rule(Set.of(57), "", "TargetTableExists", FATAL, "Drop or rename the table, or choose another targetTable"),
            rule(
                    Set.of(344, 48),
                    "",
                    "NotSupported",
                    FATAL,
                    "See the message; a newer ClickHouse or a setting may support it"),

            // Values
            rule(
                    Set.of(6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 131, 190, 349, 407, 441),
                    "",
                    "ValueRefused",
                    FATAL,
                    "ClickHouse can't take a value into the column the message names; exclude the column, or widen its type"),

            // Short of something, for now
            rule(
                    Set.of(241, 173),
                    "",
                    "DestinationOutOfMemory",
                    RETRYABLE,
                    "Give ClickHouse or its user more memory, or lower pullBatchSize; it is tried again"),
            rule(
                    Set.of(252),
                    "",
                    "TooManyParts",
                    RETRYABLE,
                    "ClickHouse merges too slowly for the inserts: raise syncIntervalSeconds, check merges and partitions; it is tried again"),
            rule(Set.of(243, 1001), "space|quota", "DestinationDiskFull", RETRYABLE, "Free disk space on ClickHouse"),
            rule(Set.of(243), "", "DestinationDiskFull", RETRYABLE, "Free disk space on ClickHouse"),
            rule(
                    Set.of(201),
                    "",
                    "QuotaExceeded",
                    RETRYABLE,
                    "Raise the quota of the ClickHouse user; it is tried again"),
            rule(
                    Set.of(202, 203, 745),
                    "",
                    "DestinationBusy",
                    RETRYABLE,
                    "Too many queries run at the same time; it is tried again"),
            rule(
                    Set.of(242),
                    "",
                    "DestinationReadOnly",
                    RETRYABLE,
                    "The table is read-only: check ClickHouse Keeper and system.replicas; it is tried again"),
            rule(
                    Set.of(225, 999, 319, 286, 285, 254, 289, 265, 305, 369, 415, 416, 529, 571, 578, 689),
                    "",
                    "DestinationReplicaTrouble",
                    RETRYABLE,
                    "Check ClickHouse Keeper and system.replicas; it is tried again"),
            rule(
                    Set.of(
                            159, 160, 209, 210, 236, 279, 335, 373, 394, 32, 33, 95, 96, 99, 101, 210, 425, 439, 598,
                            613, 666, 1000, 1002),
                    "",
                    "DestinationTrouble",
                    RETRYABLE,
                    "See the message and ClickHouse's log; it is tried again"));

    private ClickHouseErrors() {}

    /**
     * @param object what was being worked on, such as {@code table shop.orders}
     * @return retryable or fatal, with the server's own words; a {@link PipeException} among the causes is returned as it is
     */
    public static PipeException of(Exception e, String object) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof PipeException known) {
                return known;
            }
            if (cause instanceof ServerException server) {
                return of(server, object);
            }
        }
        var message = deepest(e);
        var tls = message.contains("SSL") || message.contains("PKIX") || message.contains("certificate");
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
            if (rule.codes.contains(e.getCode())
                    && rule.message.matcher(message).find()) {
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
                .replaceFirst("Stack trace:.*", "")
                .strip();
    }

    private static String deepest(Throwable e) {
        var cause = e;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause.getClass().getSimpleName() + ": "
                + String.valueOf(cause.getMessage()).replaceAll("\\s+", " ");
    }

    private static Rule rule(Set<Integer> codes, String message, String reason, boolean retryable, String remedy) {
        return new Rule(codes, Pattern.compile(message, Pattern.CASE_INSENSITIVE), reason, retryable, remedy);
    }
}
