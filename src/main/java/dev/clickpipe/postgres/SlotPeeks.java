package dev.clickpipe.postgres;

import static dev.clickpipe.postgres.SlotLock.literal;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyOut;
import org.postgresql.core.BaseConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A backlog, read through SQL: {@code pg_logical_slot_peek_binary_changes} (PostgreSQL documentation, 9.28.6) gives the messages
 * that the slot's stream would, and a COPY of it costs the server a fraction of sending each by itself.
 *
 * <p>One peek after another: each brings what was committed in the next stretch of the WAL, and the slot is advanced over it when
 * all of it is acknowledged. The server decodes from the slot's {@code restart_lsn} on, again with each peek; so the further that
 * lies back, the longer the stretch. It writes the result into a temporary file before it sends the first row. Where that takes too
 * long, for a transaction's size say, or {@code restart_lsn} is held far back by a long transaction, this source {@link #ended ends}
 * without having read anything of it, and the rest is the stream's.
 */
public final class SlotPeeks implements ChangeSource {
    private static final Logger LOG = LoggerFactory.getLogger(SlotPeeks.class);

    /** Bytes of WAL that one peek brings at most. */
    private static final long LONGEST = 256L << 20;
    /** Bytes of WAL that a peek may have to read before what it brings. */
    private static final long FURTHEST_BACK = 4 * LONGEST;
    /** For the server to decode a stretch, and for the first row to come. */
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    /** For the next row. */
    private static final Duration SILENCE = Duration.ofSeconds(30);

    private static final Duration LOG_INTERVAL = Duration.ofSeconds(10);
    private static final Duration CANCEL_PATIENCE = Duration.ofSeconds(1);

    /** Signature, flags and length of the extension (PostgreSQL documentation, COPY, "Binary Format"). */
    private static final int HEADER = 11 + 4 + 4;
    /** Before a row's message: the number of fields, a position with its length, the message's length. */
    private static final int BEFORE_MESSAGE = 2 + 4 + 8 + 4;

    private final String object;
    private final String slot;
    private final String options;
    private final long enough;
    private final long stretch;
    private final Connection connection;
    private final PgOutputDecoder decoder = new PgOutputDecoder();

    private boolean inTransaction;
    private Lsn position;
    private Lsn acknowledged;
    private Lsn current;

    private FutureTask<Opened> opening;
    private Opened peek;
    private FutureTask<Place> closing;
    private boolean rowCame;
    private long heardAt;
    private long loggedAt = System.nanoTime();
    private Lsn loggedPosition;
    private Ending ending;

    /** Why nothing more is read this way. */
    public enum Ending {
        /** The rest is little. */
        CAUGHT_UP,
        /** What comes next is no case for this. */
        UNSUITABLE
    }

    /** @param flushed where the WAL ended when it was asked for; no transaction beyond is decoded */
    private record Place(Lsn confirmed, Lsn restart, Lsn flushed) {}

    /**
     * @param upTo all that was committed before this comes with it
     * @param copy null: there is none, because of {@code ending}
     */
    private record Opened(Lsn upTo, Lsn flushed, CopyOut copy, Ending ending) {}

    private SlotPeeks(
            String object,
            String slot,
            String options,
            Lsn from,
            Lsn current,
            long enough,
            long stretch,
            Connection connection) {
        this.object = object;
        this.slot = slot;
        this.options = options;
        this.enough = enough;
        this.stretch = stretch;
        this.connection = connection;
        this.position = from;
        this.acknowledged = from;
        this.loggedPosition = from;
        this.current = current;
    }

    /**
     * Begins to read.
     *
     * @param from transactions whose commit record starts before this are not read; the slot is advanced to it
     * @param current where the WAL ends now
     * @param enough it has caught up when less WAL than this is left, in bytes
     * @param stretch bytes of WAL that one peek brings at least
     * @throws PipeException classified, such as a slot that is in use
     */
    public static SlotPeeks start(
            PostgresClient postgres,
            String slot,
            List<String> publications,
            Lsn from,
            Lsn current,
            long enough,
            long stretch) {
        var object = "replication slot " + slot;
        var connection = postgres.connectImpatiently("catches up");
        try {
            SlotLock.take(connection, slot);
            var options = "'proto_version', '1', 'publication_names', " + literal(ReplicationStream.names(publications))
                    + ", 'messages', 'true'";
            return new SlotPeeks(object, slot, options, from, current, enough, stretch, connection);
        } catch (SQLException e) {
            ReplicationStream.closeQuietly(connection);
            throw PostgresErrors.of(e, object);
        } catch (RuntimeException e) {
            ReplicationStream.closeQuietly(connection);
            throw e;
        }
    }

    @Override
    public PgOutputMessage poll() {
        while (peek != null && closing == null) {
            byte[] row = read();
            if (ending != null) {
                return null;
            }
            if (row == null && peek.copy.isActive()) {
                requireSignOfLife();
                return null;
            }
            if (row == null) {
                closing = inBackground(this::look);
            } else {
                heardAt = System.nanoTime();
                int at = row.length >= HEADER && row[0] == 'P' ? HEADER : 0;
                if (row.length > at + 2) { // the trailer has no fields
                    return message(row, at);
                }
            }
        }
        goOn();
        return null;
    }

    /** Between two peeks. */
    private void goOn() {
        try {
            next();
        } catch (SQLException e) {
            failed(e);
        }
        requireSignOfLife();
    }

    private void next() throws SQLException {
        if (closing != null && closing.isDone()) {
            requireOurs(result(closing).confirmed);
            position = peek.upTo.compareTo(position) > 0 ? peek.upTo : position;
            closing = null;
            peek = null;
            log();
        }
        if (opening == null && peek == null && ending == null && position.equals(acknowledged)) {
            heardAt = System.nanoTime();
            rowCame = false;
            opening = inBackground(this::open);
        }
        if (opening != null && opening.isDone()) {
            var opened = result(opening);
            opening = null;
            current = opened.flushed;
            ending = opened.ending;
            peek = opened.copy == null ? null : opened;
        }
    }

    /** Lets the slot go on to what is acknowledged, and has the server decode what comes next. */
    private Opened open() throws SQLException {
        var before = look();
        requireOurs(before.confirmed);
        if (before.confirmed.compareTo(acknowledged) < 0) {
            Slots.advance(connection, slot, acknowledged);
        }
        var now = look();
        requireOurs(now.confirmed);
        if (now.flushed.since(acknowledged) < enough || !now.confirmed.equals(acknowledged)) {
            return new Opened(acknowledged, now.flushed, null, Ending.CAUGHT_UP);
        }
        long again = acknowledged.since(now.restart);
        if (again > FURTHEST_BACK) {
            LOG.info(
                    "slot {} has to be read from {} MiB of WAL further back, again with each peek: the stream does it once",
                    slot,
                    again >> 20);
            return new Opened(acknowledged, now.flushed, null, Ending.UNSUITABLE);
        }
        var end = new Lsn(acknowledged.value() + Math.clamp(2 * again, stretch, LONGEST));
        var upTo = end.compareTo(now.flushed) < 0 ? end : now.flushed;
        // The subquery is evaluated with the first row, when the function has read the slot: so it tells from where.
        var copy =
                connection.unwrap(PGConnection.class).getCopyAPI().copyOut("""
                COPY (SELECT (SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = %1$s), data
                      FROM pg_catalog.pg_logical_slot_peek_binary_changes(%1$s, '%2$s', NULL, %3$s)) TO STDOUT (FORMAT binary)""".formatted(literal(slot), upTo, options));
        return new Opened(upTo, now.flushed, copy, null);
    }

    private Place look() throws SQLException {
        try (var query = connection.prepareStatement("""
                SELECT confirmed_flush_lsn, restart_lsn,
                       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
                FROM pg_replication_slots WHERE slot_name = ?
                """)) {
            query.setString(1, slot);
            try (var row = query.executeQuery()) {
                if (!row.next() || row.getString(1) == null || row.getString(2) == null) {
                    throw moved("is gone or invalidated");
                }
                return new Place(Lsn.parse(row.getString(1)), Lsn.parse(row.getString(2)), Lsn.parse(row.getString(3)));
            }
        }
    }

    /** What the slot has been advanced over was not read: nothing after it may be acknowledged. */
    private void requireOurs(Lsn confirmed) {
        if (confirmed.compareTo(acknowledged) > 0) {
            throw moved("was advanced to " + confirmed + " by someone else, while only the commits before "
                    + acknowledged + " are in ClickHouse");
        }
    }

    /** Retryable: what it means is found out where the slot is taken up. */
    private PipeException moved(String what) {
        return PipeException.retryable(
                new Problem("SlotMoved", object, "it " + what, "It is looked at again, and said what to do"), null);
    }

    private PgOutputMessage message(byte[] row, int at) {
        var in = ByteBuffer.wrap(row, at, row.length - at);
        if (in.getShort() != 2 || in.getInt() != 8) {
            throw moved("is gone or invalidated");
        }
        var confirmed = new Lsn(in.getLong());
        if (!rowCame) {
            requireOurs(confirmed);
            rowCame = true;
        }
        var decoded = decoder.decode(row, at + BEFORE_MESSAGE);
        if (decoded instanceof PgOutputMessage.Begin) {
            inTransaction = true;
        } else if (decoded instanceof PgOutputMessage.Commit commit) {
            inTransaction = false;
            position = commit.endLsn();
        }
        return decoded;
    }

    private void requireSignOfLife() {
        if (opening == null && peek == null && closing == null) {
            return;
        }
        var silence = Duration.ofNanos(System.nanoTime() - heardAt);
        if (closing == null && !rowCame && silence.compareTo(PATIENCE) > 0) {
            unsuitable("the server takes longer than " + PATIENCE.toSeconds() + " s to decode them");
        } else if (silence.compareTo(SILENCE) > 0) {
            throw PipeException.retryable(
                    new Problem(
                            "PostgresSilent",
                            object,
                            "the server has not answered for " + SILENCE.toSeconds() + " seconds",
                            "Connecting again"),
                    null);
        }
    }

    private void log() {
        long now = System.nanoTime();
        if (now - loggedAt > LOG_INTERVAL.toNanos()) {
            double seconds = (now - loggedAt) / 1e9;
            LOG.info(
                    "catching up: at {}, {} MiB of WAL per second, {} MiB to go",
                    position,
                    Math.round((position.since(loggedPosition) >> 20) / seconds),
                    current.since(position) >> 20);
            loggedAt = now;
            loggedPosition = position;
        }
    }

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
        return opening == null && peek == null && !position.equals(acknowledged);
    }

    @Override
    public boolean shutsDown() {
        return false;
    }

    @Override
    public void acknowledge(Lsn lsn) {
        if (lsn.compareTo(acknowledged) > 0) {
            acknowledged = lsn;
        }
    }

    @Override
    public Lsn acknowledged() {
        return acknowledged;
    }

    /** No walsender waits for us; and the server is not silent while we do not read. */
    @Override
    public void keepAlive() {
        heardAt = System.nanoTime();
    }

    @Override
    public boolean ended() {
        return ending != null;
    }

    /** Why; null as long as it goes on. */
    public Ending ending() {
        return ending;
    }

    /** Where the WAL ended when it was looked at last. */
    public Lsn current() {
        return current;
    }

    private byte[] read() {
        try {
            return peek.copy.readFromCopy(false);
        } catch (SQLException e) {
            failed(e);
            return null;
        }
    }

    /** A server may let a role stream, and not read through SQL. */
    private void failed(SQLException e) {
        if (!"42501".equals(e.getSQLState()) || rowCame) {
            throw PostgresErrors.of(e, object);
        }
        unsuitable(e.getMessage());
    }

    /** Only before anything of a peek has been read. */
    private void unsuitable(String why) {
        LOG.info("the next changes of slot {} can't be read through SQL, and the stream brings them: {}", slot, why);
        opening = null;
        peek = null;
        ending = Ending.UNSUITABLE;
    }

    private static <T> FutureTask<T> inBackground(Callable<T> work) {
        var task = new FutureTask<>(work);
        Thread.ofVirtual().name("peek").start(task);
        return task;
    }

    private static <T> T result(FutureTask<T> done) throws SQLException {
        try {
            return done.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof SQLException sql) {
                throw sql;
            }
            throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            throw new IllegalStateException("it was done", e);
        }
    }

    /** Cancels what the server does: as long as it decodes, nobody else gets the slot. */
    @Override
    public void close() {
        try {
            Thread.ofVirtual().start(this::cancel).join(CANCEL_PATIENCE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        try {
            connection.abort(Runnable::run);
        } catch (SQLException e) {
            // it was broken already
        }
    }

    private void cancel() {
        try {
            connection.unwrap(BaseConnection.class).cancelQuery();
        } catch (SQLException e) {
            LOG.debug("the server can't be reached to cancel a peek", e);
        }
    }
}
