package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.postgres.Lsn;
import java.util.List;

/** Looks, while one connection goes on, whether something is due that ends it. For one thread. */
final class AgendaWatch {
    private final RecordedDefinitions recorded;
    private final Builds builds;
    private final Progress progress;
    private final Agenda begun;

    /** It changes only with what is recorded and with how far we are. */
    private Agenda agenda;

    private boolean due;
    private boolean postponed;
    private List<TableDefinition> of;
    private Lsn at;

    /** @param begun by which the connection goes */
    AgendaWatch(RecordedDefinitions recorded, Builds builds, Progress progress, Agenda begun) {
        this.recorded = recorded;
        this.builds = builds;
        this.progress = progress;
        this.begun = begun;
    }

    /** @param acknowledged all commits before this are in ClickHouse */
    boolean isDue(Lsn acknowledged) {
        var latest = recorded.latest();
        boolean mayNotSwap = builds.swapPostponed();
        if (latest != of || !acknowledged.equals(at) || mayNotSwap != postponed) {
            postponed = mayNotSwap;
            of = latest;
            at = acknowledged;
            agenda = Agenda.of(latest, acknowledged);
            due = (mayNotSwap ? agenda.withoutSwap() : agenda).isDue(begun);
            progress.tables(latest);
            progress.awaited(agenda.awaited());
        }
        return due;
    }

    /** The next position at which something is due, as of the last look. */
    Lsn awaited() {
        return agenda.awaited();
    }
}
