package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.postgres.SnapshotSession;

/**
 * The chunks that one of several workers may read in a session: those that it claims first, and that the ledger does not know as
 * loaded then. A table that is read in one session is that session's anyway.
 *
 * @param session whose the claims are, so that they end with it
 */
record ClaimedChunks(SnapshotSession session, ChunkLedger ledger) implements Schedule.Claims {

    @Override
    public boolean take(Schedule.Work work) {
        var table = work.table();
        if (table.wholeInSession) {
            return true;
        }
        var chunk = table.plan.name(work.entry());
        if (!session.claim(chunk)) {
            return false;
        }
        if (ledger.isLoaded(table.plan, work.entry())) {
            session.release(chunk);
            return false;
        }
        return true;
    }

    @Override
    public void release(Schedule.Work work) {
        if (!work.table().wholeInSession) {
            session.release(work.table().plan.name(work.entry()));
        }
    }
}
