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
 * Reads a slot's backlog and throws it away: what any client of one slot has to spend at least. {@code stream|peek SLOT
 * PUBLICATION END}, where END is the position to read to; the source comes by the environment variables of libpq.
 */
final class SlotReader {
    private SlotReader() {}

    public static void main(String[] args) throws SQLException {
        long start;
        long messages;
        try (var connection = connect(args[0].equals("stream"))) {
            start = System.nanoTime();
            messages = args[0].equals("stream")
                    ? stream(connection, args[1], args[2], LogSequenceNumber.valueOf(args[3]))
                    : peek(connection, args[1], args[2]);
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

    /** Plain SQL. */
    private static long peek(Connection connection, String slot, String publication) throws SQLException {
        var copy = connection.unwrap(PGConnection.class).getCopyAPI().copyOut("""
                COPY (SELECT lsn, data FROM pg_logical_slot_peek_binary_changes('%s', NULL, NULL,
                    'proto_version', '1', 'publication_names', '%s')) TO STDOUT (FORMAT binary)""".formatted(slot, publication));
        long messages = 0;
        while (copy.readFromCopy() != null) {
            messages++;
        }
        return messages;
    }
}
