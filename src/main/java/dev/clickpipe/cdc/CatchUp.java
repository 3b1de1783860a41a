package dev.clickpipe.cdc;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.postgres.ChangeSource;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.ReplicationStream;
import dev.clickpipe.postgres.SlotPeeks;
import dev.clickpipe.postgres.Slots;
import java.sql.SQLException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Decides how the slot is read: a backlog through SQL, which is several times faster, and what comes now by the stream. */
final class CatchUp {
    private static final Logger LOG = LoggerFactory.getLogger(CatchUp.class);

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final Limits limits;
    /** What was there when it turned out to be no case for peeks is read by the stream. */
    private Lsn streamUntil = Lsn.ZERO;

    /**
     * All in bytes of WAL.
     *
     * @param backlog from which on it is read through SQL
     * @param rest from which on it is left to the stream; 0: never
     * @param stretch at least, of one peek
     */
    record Limits(long backlog, long rest, long stretch) {
        static final Limits USUAL = new Limits(64L << 20, 8L << 20, 16L << 20);
    }

    CatchUp(Pipe pipe, PostgresClient postgres, Limits limits) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.limits = limits;
    }

    /**
     * Begins to read.
     *
     * @param possible whether what is read is acknowledged sooner or later, without which the slot can't be advanced
     */
    ChangeSource open(List<String> publications, Lsn from, boolean possible) {
        if (possible) {
            var current = current();
            if (current.since(from) >= limits.backlog && from.compareTo(streamUntil) >= 0) {
                LOG.info(
                        "slot {} is {} MiB of WAL behind: catching up through SQL",
                        pipe.slot(),
                        current.since(from) >> 20);
                return SlotPeeks.start(postgres, pipe.slot(), publications, from, current, limits.rest, limits.stretch);
            }
        }
        return ReplicationStream.start(postgres, pipe.slot(), publications, from);
    }

    /**
     * Whether a stream has fallen so far behind in reading that the backlog is better read through SQL. Not in the midst of a
     * transaction, which would have to be read again.
     *
     * @param current where the WAL ended a while ago
     */
    boolean isBehind(ChangeSource source, Lsn current) {
        return source instanceof ReplicationStream
                && !source.inTransaction()
                && source.acknowledged().compareTo(streamUntil) >= 0
                && current.since(source.position()) >= limits.backlog;
    }

    /** Learns from why a source ended. */
    void ended(ChangeSource source) {
        if (source instanceof SlotPeeks peeks && peeks.ending() == SlotPeeks.Ending.UNSUITABLE) {
            streamUntil = peeks.current();
        }
    }

    private Lsn current() {
        try (var connection = postgres.connectImpatiently("stream checks")) {
            return Slots.retention(connection, pipe.slot()).current();
        } catch (SQLException e) {
            throw PostgresErrors.of(e, postgres.object());
        }
    }
}
