package dev.clickpipe.cdc;

import dev.clickpipe.postgres.Lsn;
import java.time.Duration;

/**
 * Whether to write a message into the source's WAL so that the slot moves. The server's keep-alives move it as a rule, whatever
 * WAL the changes of other tables and databases make; a commit that is sent to us moves it where they don't come. On an idle
 * database nothing is written: there is nothing to let go of. For one thread.
 */
final class Heartbeat {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    /** WAL is recycled by segments; less is not worth a write. */
    private static final long SEGMENT = 16 * 1024 * 1024;

    private Lsn seen = Lsn.ZERO;
    private long since;

    /**
     * @param now {@link System#nanoTime}
     * @param current where the source writes
     * @param confirmed what we acknowledged
     * @param pending changes are on the way to ClickHouse: they will move the slot
     */
    boolean due(long now, Lsn current, Lsn confirmed, boolean pending) {
        boolean stuck = !pending && !confirmed.equals(Lsn.ZERO) && current.since(confirmed) >= SEGMENT;
        if (!stuck || !confirmed.equals(seen)) {
            seen = confirmed;
            since = now;
            return false;
        }
        if (now - since < PATIENCE.toNanos()) {
            return false;
        }
        since = now;
        return true;
    }
}
