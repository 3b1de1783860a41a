package dev.clickpipe.bench;

import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.replication.LogSequenceNumber;

/**
 * Reads a slot's backlog and throws it away: what any client of one slot has to spend at least. {@code stream|peek|batches SLOT
 * PUBLICATION END}, where END is the position to read to; the source comes by the environment variables of libpq.
 */
final class SlotReader {
    /** Signature, flags and length of the extension (PostgreSQL documentation, COPY, "Binary Format"). */
    private static final int HEADER = 11 + 4 + 4;
    /** A batch of a worker, by default. */
    private static final int CHANGES_AT_ONCE = 100_000;

    private SlotReader() {}

    public static void main(String[] args) throws SQLException {
        long start;
        long messages;
        try (var connection = connect(args[0].equals("stream"))) {
            start = System.nanoTime();
            var end = LogSequenceNumber.valueOf(args[3]);
            messages = switch (args[0]) {
                case "stream" -> stream(connection, args[1], args[2], end);
                case "peek" -> peek(connection, args[1], args[2]);
                default -> batches(connection, args[1], args[2], end);
            };
            System.out.printf("read %d in %.3f s%n", messages, (System.nanoTime() - start) / 1e9);
            System.out.flush();
            Runtime.getRuntime().halt(0); // closing would read on
        }
    }

    private static Connection connect(boolean replication) throws SQLException {
        Map<String, String> environment = System.getenv();
        var properties = new Properties();
        PGProperty.USER.set(properties, environment.get("PGUSER"));
        PGProperty.PASSWORD.set(properties, environment.get("PGPASSWORD"));
        if (replication) {
            PGProperty.REPLICATION.set(properties, "database");
            PGProperty.ASSUME_MIN_SERVER_VERSION.set(properties, "10");
            PGProperty.PREFER_QUERY_MODE.set(properties, "simple");
        }
        return DriverManager.getConnection(
                "jdbc:postgresql://%s:%s/%s"
                        .formatted(environment.get("PGHOST"), environment.get("PGPORT"), environment.get("PGDATABASE")),
                properties);
    }

    /** The replication protocol, through pgjdbc's own interface. */
    private static long stream(Connection connection, String slot, String publication, LogSequenceNumber end)
            throws SQLException {
        try (var stream = connection
                .unwrap(PGConnection.class)
                .getReplicationAPI()
                .replicationStream()
                .logical()
                .withSlotName(slot)
                .withSlotOption("proto_version", 1)
                .withSlotOption("publication_names", publication)
                .start()) {
            for (long messages = 1; ; messages++) {
                if (isCommitFrom(stream.read(), end)) {
                    return messages;
                }
            }
        }
    }

    /** Commit: its letter, flags, where the commit record starts, where it ends. */
    private static boolean isCommitFrom(ByteBuffer message, LogSequenceNumber end) {
        int position = message.position();
        return message.get(position) == 'C' && message.getLong(position + 10) >= end.asLong();
    }

    /** Plain SQL, all at once. */
    private static long peek(Connection connection, String slot, String publication) throws SQLException {
        return peek(connection, slot, publication, "NULL").messages;
    }

    /** Plain SQL, as many changes at once as a worker can hold, and the slot goes on after each. */
    private static long batches(Connection connection, String slot, String publication, LogSequenceNumber end)
            throws SQLException {
        long messages = 0;
        try (var advance = connection.prepareStatement("SELECT pg_replication_slot_advance(?, ?::pg_lsn)")) {
            for (long position = 0; position < end.asLong(); ) {
                var batch = peek(connection, slot, publication, String.valueOf(CHANGES_AT_ONCE));
                if (batch.messages == 0) {
                    return messages;
                }
                messages += batch.messages;
                position = batch.end;
                advance.setString(1, slot);
                advance.setString(2, LogSequenceNumber.valueOf(position).asString());
                advance.execute();
            }
        }
        return messages;
    }

    /** @param end of the last commit in it */
    private record Peeked(long messages, long end) {}

    private static Peeked peek(Connection connection, String slot, String publication, String changes)
            throws SQLException {
        var copy =
                connection.unwrap(PGConnection.class).getCopyAPI().copyOut("""
                COPY (SELECT lsn, data FROM pg_logical_slot_peek_binary_changes('%s', NULL, %s,
                    'proto_version', '1', 'publication_names', '%s')) TO STDOUT (FORMAT binary)""".formatted(slot, changes, publication));
        long messages = 0;
        long end = 0;
        for (byte[] row = copy.readFromCopy(); row != null; row = copy.readFromCopy()) {
            // Two fields, the first of 8 bytes; the header and the trailer are other than that.
            int at = row.length > HEADER && row[0] == 'P' ? HEADER : 0;
            if (row.length >= at + 14 && row[at + 1] == 2) {
                messages++;
                end = ByteBuffer.wrap(row, at + 6, 8).getLong();
            }
        }
        return new Peeked(messages, end);
    }
}
