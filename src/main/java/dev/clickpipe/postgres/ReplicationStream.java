package dev.clickpipe.postgres;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyDual;

/**
 * Changes from a logical slot (PostgreSQL documentation, 54.4 "Streaming Replication Protocol"). For one thread, which calls
 * {@link #poll} or {@link #keepAlive} every second or so: the server takes a client that is silent for wal_sender_timeout for
 * dead. Neither of them waits for more than a millisecond, so that nothing ever keeps a status reply back.
 *
 * <p>pgjdbc's own PGReplicationStream is not used because it hides the server's keep-alives, from which the position between
 * transactions, a dead connection and a server that wants to shut down are known.
 */
public final class ReplicationStream implements ChangeSource {
    private static final long STATUS_INTERVAL = Duration.ofSeconds(2).toNanos();
    /** The server is asked for a sign of life after this long without one, and given up after twice the time again. */
    private static final long SILENCE = Duration.ofSeconds(10).toNanos();

    private static final long MICROSECONDS_TO_2000 = 946_684_800_000_000L;
    private static final int XLOG_DATA_HEADER = 1 + 8 + 8 + 8;

    private final String object;
    private final Connection connection;
    private final CopyDual copy;
    private final PgOutputDecoder decoder = new PgOutputDecoder();

    private boolean inTransaction;
    private Lsn position;
    private Lsn received;
    private Lsn acknowledged;
    private boolean replyRequested;
    private long statusSentAt;
    private long heardAt;
    /** When the server was asked for a sign of life that has not come; 0 when it was not. */
    private long askedAt;

    private ReplicationStream(String object, Connection connection, CopyDual copy, Lsn from) {
        this.object = object;
        this.connection = connection;
        this.copy = copy;
        this.position = from;
        this.received = from;
        this.acknowledged = from;
        this.heardAt = System.nanoTime();
    }

    /**
     * Starts to stream.
     *
     * @param from transactions whose commit record starts before this are not sent; the slot's confirmed_flush_lsn if that is
     *     greater
     * @throws PipeException classified, such as a slot that is in use
     */
    public static ReplicationStream start(PostgresClient postgres, String slot, List<String> publications, Lsn from) {
        var object = "replication slot " + slot;
        var connection = postgres.connectReplication("stream");
        try {
            SlotLock.take(connection, slot);
            var copy = connection
                    .unwrap(PGConnection.class)
                    .getCopyAPI()
                    .copyDual("START_REPLICATION SLOT \"" + slot + "\" LOGICAL " + from
                            + " (\"proto_version\" '1', \"publication_names\" " + SlotLock.literal(names(publications))
                            + ", \"messages\" 'true')");
            var stream = new ReplicationStream(object, connection, copy, from);
            stream.sendStatus();
            return stream;
        } catch (SQLException e) {
            closeQuietly(connection);
            throw PostgresErrors.of(e, object);
        } catch (RuntimeException e) {
            closeQuietly(connection);
            throw e;
        }
    }

    /** As pgoutput takes them: identifiers with commas between them. */
    static String names(List<String> publications) {
        return publications.stream()
                .map(name -> "\"" + name.replace("\"", "\"\"") + "\"")
                .collect(Collectors.joining(","));
    }

    @Override
    public PgOutputMessage poll() {
        while (true) {
            byte[] message = read();
            if (message == null) {
                keepAlive();
                if (askedAt != 0 && System.nanoTime() - askedAt > 2 * SILENCE) {
                    throw PipeException.retryable(
                            new Problem(
                                    "PostgresSilent",
                                    object,
                                    "the server has not answered for " + 3 * SILENCE / 1_000_000_000L + " seconds",
                                    "Connecting again"),
                            null);
                }
                return null;
            }
            heardAt = System.nanoTime();
            askedAt = 0;
            switch (message[0]) {
                case 'w' -> {
                    return data(message);
                }
                case 'k' -> serverKeepAlive(ByteBuffer.wrap(message, 1, message.length - 1));
                default ->
                    throw PipeException.fatal(new Problem(
                            "UnknownReplicationMessage",
                            object,
                            "the server sent a message of type " + message[0],
                            "Use a version of the operator that knows this Postgres version"));
            }
        }
    }

    /**
     * Between transactions it follows the server's keep-alives; inside one it stays where the transaction began, for a keep-alive
     * may then be ahead of commits that are still to come.
     */
    @Override
    public Lsn position() {
        return position;
    }

    @Override
    public boolean inTransaction() {
        return inTransaction;
    }

    @Override
    public boolean awaitsAcknowledgement() {
        return replyRequested;
    }

    /** It wants to know what is acknowledged, which it hears every two seconds anyway. */
    @Override
    public boolean shutsDown() {
        return replyRequested;
    }

    /** It goes on as long as the server does. */
    @Override
    public boolean ended() {
        return false;
    }

    @Override
    public void acknowledge(Lsn lsn) {
        if (lsn.compareTo(acknowledged) > 0) {
            acknowledged = lsn;
            sendStatus();
        }
    }

    @Override
    public Lsn acknowledged() {
        return acknowledged;
    }

    /** Sends a status if it is time. */
    @Override
    public void keepAlive() {
        if (System.nanoTime() - statusSentAt > STATUS_INTERVAL) {
            sendStatus();
        }
    }

    private PgOutputMessage data(byte[] message) {
        var start = new Lsn(ByteBuffer.wrap(message, 1, 8).getLong());
        received = start.compareTo(received) > 0 ? start : received;
        replyRequested = false;
        var decoded = decoder.decode(message, XLOG_DATA_HEADER);
        if (decoded instanceof PgOutputMessage.Begin) {
            inTransaction = true;
        } else if (decoded instanceof PgOutputMessage.Commit commit) {
            inTransaction = false;
            position = commit.endLsn();
        }
        return decoded;
    }

    private void serverKeepAlive(ByteBuffer message) {
        var walEnd = new Lsn(message.getLong());
        message.getLong(); // the server's clock
        replyRequested = message.get() != 0;
        received = walEnd.compareTo(received) > 0 ? walEnd : received;
        if (!inTransaction && walEnd.compareTo(position) > 0) {
            position = walEnd;
        }
        if (replyRequested) {
            sendStatus();
        }
    }

    private byte[] read() {
        try {
            // Not blocking: pgjdbc then looks at the socket for a millisecond. A blocking read would keep its lock from
            // writers.
            return copy.readFromCopy(false);
        } catch (SQLException e) {
            throw PostgresErrors.of(e, object);
        }
    }

    private void sendStatus() {
        long now = System.nanoTime();
        boolean ask = now - heardAt > SILENCE;
        if (ask && askedAt == 0) {
            askedAt = now;
        }
        var status = ByteBuffer.allocate(1 + 8 + 8 + 8 + 8 + 1)
                .put((byte) 'r')
                .putLong(received.value())
                .putLong(acknowledged.value())
                .putLong(acknowledged.value())
                .putLong(System.currentTimeMillis() * 1000 - MICROSECONDS_TO_2000)
                .put((byte) (ask ? 1 : 0))
                .array();
        try {
            copy.writeToCopy(status, 0, status.length);
            copy.flushCopy();
        } catch (SQLException e) {
            throw PostgresErrors.of(e, object);
        }
        statusSentAt = now;
    }

    @Override
    public void close() {
        closeQuietly(connection);
    }

    static void closeQuietly(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            // it was broken already
        }
    }
}
