package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.sql.SQLException;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * What an error of the source means: whether it passes by itself, and what to do. One table, first match wins (PostgreSQL
 * documentation, appendix A "PostgreSQL Error Codes"). What it doesn't know is fatal: an unknown error retried for ever would
 * hide from its user, with the WAL piling up behind it.
 */
public final class PostgresErrors {
    private static final boolean RETRYABLE = true;
    private static final boolean FATAL = false;

    private static final String RESYNC =
            "Changes since the slot's last position can't be read any more: set spec.resync to a new value, so that all tables are built anew";
    private static final String CHECK_NETWORK =
            "Check host, port, network policies and that the server runs; it is tried again";

    /**
     * @param state a pattern for the whole SQLSTATE
     * @param message a pattern found in the message; empty for any
     */
    private record Rule(Pattern state, Pattern message, String reason, boolean retryable, String remedy) {}

    private static final List<Rule> RULES = List.of(
            // Login
            rule(
                    "28P01",
                    "",
                    "LoginRefused",
                    RETRYABLE,
                    "Correct user name and password in the Secret; they are reread at every try"),
            rule(
                    "28000",
                    "no pg_hba.conf entry|pg_hba.conf rejects",
                    "ConnectionRefusedByServer",
                    RETRYABLE,
                    "Allow this host, user and database in the server's pg_hba.conf (also for replication: an entry for the database serves), and check tls.mode"),
            rule(
                    "28000",
                    "",
                    "LoginRefused",
                    RETRYABLE,
                    "Correct user name and password in the Secret; they are reread at every try"),
            rule(
                    "3D000",
                    "",
                    "DatabaseMissing",
                    FATAL,
                    "Correct spec.source.postgres.database, or create the database"),

            // Slot and WAL
            rule(
                    "55006",
                    "replication slot .* is active",
                    "SlotInUse",
                    RETRYABLE,
                    "Another process reads this slot; if it is not this pipe's former worker on its way out, stop it"),
            rule("42704", "replication slot", "SlotMissing", FATAL, RESYNC),
            rule(
                    "55000",
                    "was not created in this database",
                    "SlotOfAnotherDatabase",
                    FATAL,
                    "Name a slot of this pipe's own database"),
            rule(
                    "55000",
                    "logical decoding on standby requires|logical replication slot .* on (the )?standby requires",
                    "StandbyNotReady",
                    FATAL,
                    "Set wal_level = logical on the primary, or name the primary as the source"),
            rule(
                    "55000",
                    "replication slots cannot be used on RO|cannot be used on a? ?read.only",
                    "SourceIsReadOnly",
                    RETRYABLE,
                    "The host is a reader now: use the cluster's writer endpoint"),
            rule(
                    "55000",
                    "synchronized_standby_slots does not have|specified in parameter .?synchronized_standby_slots",
                    "StandbySlotsNotReady",
                    RETRYABLE,
                    "Postgres waits for the standbys in synchronized_standby_slots; check that they run"),
            rule(
                    "22023",
                    "synchronized_standby_slots",
                    "StandbySlotsInvalid",
                    FATAL,
                    "Correct the list in synchronized_standby_slots on the source"),
            rule(
                    "22023|55000",
                    "invalid snapshot identifier|could not import the requested snapshot",
                    "SnapshotGone",
                    RETRYABLE,
                    "The session that exported the snapshot ended; the load starts a new one"),
            rule(
                    "42704",
                    "snapshot",
                    "SnapshotGone",
                    RETRYABLE,
                    "The session that exported the snapshot ended; the load starts a new one"),
            rule(
                    "55000",
                    "cannot read from logical replication slot|can no longer (get changes from|access) replication slot|has been invalidated|cannot (use|acquire|copy) (invalidated )?replication slot",
                    "SlotInvalidated",
                    FATAL,
                    RESYNC),
            rule("58P01", "requested WAL segment .* has already been removed", "WalRemoved", FATAL, RESYNC),
            rule(
                    "53400",
                    "all replication slots are in use",
                    "NoFreeSlot",
                    FATAL,
                    "Raise max_replication_slots on the source (needs a restart), or drop a slot that nobody reads: SELECT slot_name, active FROM pg_replication_slots"),
            rule(
                    "53300",
                    "max_wal_senders",
                    "NoFreeSender",
                    RETRYABLE,
                    "Raise max_wal_senders on the source (needs a restart), or stop a replication connection"),
            rule(
                    "55000",
                    "wal_level|logical decoding requires",
                    "WalLevelTooLow",
                    FATAL,
                    "Set wal_level = logical on the source and restart it (managed services: the parameter for logical replication)"),
            rule(
                    "0A000",
                    "while in recovery|on (a )?standby",
                    "SourceIsStandby",
                    FATAL,
                    "Name the primary as the source"),
            rule(
                    "25006",
                    "",
                    "SourceIsReadOnly",
                    RETRYABLE,
                    "The server is read-only: a failover may be under way, or the host is a standby. Use the writer's address"),

            // Two Setups of one pipe, as when a node was lost and came back
            rule(
                    "42710",
                    "",
                    "MadeByAnother",
                    RETRYABLE,
                    "Another worker of this pipe seems to make it at the same moment; it is tried again"),

            // Publication
            rule(
                    "42704",
                    "publication",
                    "PublicationMissing",
                    FATAL,
                    "Changes made meanwhile were not published: create the publication again with the mapped tables, if it is yours; then set spec.resync to a new value, so that all tables are built anew"),

            // Rights and objects
            rule(
                    "42501",
                    "row-level security",
                    "RowsHidden",
                    FATAL,
                    "Let the role see all rows: ALTER ROLE … BYPASSRLS, or exempt the table"),
            rule("42501", "", "PermissionDenied", FATAL, "Grant the role what the message names"),
            rule("42P01", "", "SourceTableMissing", FATAL, "Restore the table, or take it out of spec.tableMappings"),
            rule(
                    "3F000",
                    "",
                    "SourceTableMissing",
                    FATAL,
                    "Restore the schema, or take its tables out of spec.tableMappings"),
            rule("42703", "", "SourceColumnMissing", FATAL, "The source table changed: restore the column"),

            // Bugs and limits of the server that pass, or don't
            rule(
                    "XX000",
                    "invalid memory alloc request size",
                    "PostgresBug",
                    FATAL,
                    "A bug of Postgres 17.5, 16.9, 15.13, 14.18 in logical decoding: upgrade to the next minor version. "
                            + RESYNC),
            rule(
                    "XX000",
                    "from the writer node",
                    "SourceIsReadOnly",
                    FATAL,
                    "Use the cluster's writer endpoint as host"),
            rule(
                    "XX000",
                    "pfree called with invalid pointer|unrecognized SI message ID|could not find block containing chunk|could not (open|rename|read|write).*(spill|snap|state)|ReorderBufferPreserveLastSpilledSnapshot|page server|pageserver",
                    "PostgresHiccup",
                    RETRYABLE,
                    "Postgres failed inside logical decoding; it is tried again. If it stays, see the server's log"),
            rule(
                    "58P01",
                    "spill|snapshots?/|\\.snap",
                    "PostgresHiccup",
                    RETRYABLE,
                    "Postgres lost a temporary file of logical decoding; it is tried again"),

            // The server is not there, is busy, or cut us off
            rule(
                    "57P0[1-5]",
                    "",
                    "ConnectionLost",
                    RETRYABLE,
                    "The server ended the session or is starting or stopping; it is tried again"),
            rule(
                    "57014",
                    "",
                    "QueryCancelled",
                    RETRYABLE,
                    "Someone or a timeout cancelled the statement; it is tried again"),
            rule(
                    "25P0[234]",
                    "",
                    "SessionTimeout",
                    RETRYABLE,
                    "A server-side timeout ended the session; it is tried again"),
            rule("40.{3}", "", "Conflict", RETRYABLE, "The server resolved a conflict against us; it is tried again"),
            rule("55P03", "", "LockTimeout", RETRYABLE, "Another session holds a lock; it is tried again"),
            rule("53100|58030", "", "SourceDiskFull", RETRYABLE, "Free disk space on the source"),
            rule("53200", "", "SourceOutOfMemory", RETRYABLE, "The source is out of memory; it is tried again"),
            rule(
                    "53[34]..",
                    "",
                    "SourceTooBusy",
                    RETRYABLE,
                    "Raise the limit that the message names, or close sessions; it is tried again"),
            rule("53.{3}|58P02|XX001|XX002", "", "SourceTrouble", RETRYABLE, "See the server's log; it is tried again"),
            rule(
                    "08P01",
                    "pooler|startup parameter|unsupported",
                    "PoolerInBetween",
                    FATAL,
                    "Connect to Postgres itself: a pooler does not pass replication or session settings on"),
            rule(
                    "08.{3}",
                    "SSL|certificate|PKIX|trust anchor|could not be verified",
                    "TlsFailed",
                    RETRYABLE,
                    "Check tls.mode, tls.ca and that the certificate names the host"),
            rule("08.{3}", "", "CannotConnect", RETRYABLE, CHECK_NETWORK));

    /** Reasons that lie in the table that was being worked on. */
    private static final Set<String> OF_TABLE = Set.of("SourceTableMissing", "SourceColumnMissing");

    private PostgresErrors() {}

    /** Whether the problem lies in the one table that was being worked on, and other tables do not have it. */
    public static boolean concernTable(Problem problem) {
        return OF_TABLE.contains(problem.reason());
    }

    /**
     * @param object what was being worked on, such as {@code table public.orders}
     * @return retryable or fatal, with the server's own words
     */
    public static PipeException of(SQLException e, String object) {
        var state = e.getSQLState() == null ? "" : e.getSQLState();
        var message = message(e);
        for (var rule : RULES) {
            if (rule.state.matcher(state).matches()
                    && rule.message.matcher(message).find()) {
                var problem = new Problem(rule.reason, object, message, rule.remedy);
                return rule.retryable ? PipeException.retryable(problem, e) : PipeException.fatal(problem, e);
            }
        }
        // Without a SQLSTATE it is pgjdbc speaking: its socket broke.
        if (state.isEmpty()) {
            return PipeException.retryable(new Problem("ConnectionLost", object, message, CHECK_NETWORK), e);
        }
        return PipeException.fatal(
                new Problem(
                        "PostgresError",
                        object,
                        message + " (SQLSTATE " + state + ")",
                        "See the message and the server's log"),
                e);
    }

    private static String message(SQLException e) {
        if (e instanceof PSQLException server && server.getServerErrorMessage() != null) {
            return said(server.getServerErrorMessage());
        }
        var message = String.valueOf(e.getMessage());
        // pgjdbc says only "The connection attempt failed."; the reason is its cause.
        if (e.getCause() != null
                && e.getCause().getMessage() != null
                && !message.contains(e.getCause().getMessage())) {
            message += " (" + e.getCause().getClass().getSimpleName() + ": "
                    + e.getCause().getMessage() + ")";
        }
        return message.replaceAll("\\s+", " ").strip();
    }

    private static String said(ServerErrorMessage error) {
        return Stream.of(error.getMessage(), error.getDetail(), error.getHint())
                .filter(Objects::nonNull)
                .collect(Collectors.joining(". "))
                .replaceAll("\\s+", " ");
    }

    private static Rule rule(String state, String message, String reason, boolean retryable, String remedy) {
        return new Rule(
                Pattern.compile(state), Pattern.compile(message, Pattern.CASE_INSENSITIVE), reason, retryable, remedy);
    }
}
