package dev.clickpipe.resync;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Swap;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.PipeLock;
import dev.clickpipe.postgres.PostgresClient;
import java.util.List;

/**
 * Lets every replacement take its live table's place, once all of the pipe's are loaded. Only without a change stream, which
 * would write to one while the other takes its name, and swaps by itself.
 */
public final class Resync implements Mode {
    private final Pipe pipe;
    private final PostgresClient postgres;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private volatile WorkerStatus.State state = WorkerStatus.State.Starting;
    private volatile Problem waiting;

    public Resync(Pipe pipe, PostgresClient postgres, ClickHouseClient clickHouse) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.definitions = new Definitions(clickHouse, pipe);
    }

    @Override
    public WorkerStatus status() {
        return new WorkerStatus("resync", state, waiting, null, null, List.of());
    }

    /** @throws PipeException fatal where a stream runs, and while a replacement is not loaded */
    @Override
    public void run(Stop stop) throws InterruptedException {
        state = WorkerStatus.State.Starting;
        if (pipe.settings().replicationMode().streams()) {
            throw PipeException.fatal(new Problem(
                    "StreamSwaps",
                    "pipe " + pipe,
                    "follows changes, and the change stream swaps what is loaded",
                    "Run the cdc mode"));
        }
        try (var lock = PipeLock.take(postgres, pipe, problem -> waiting = problem, stop)
                .orElse(null)) {
            if (lock == null) {
                return; // stopped
            }
            waiting = null;
            state = WorkerStatus.State.Working;
            swapAll(stop);
        }
    }

    private void swapAll(Stop stop) {
        var builds = definitions.all();
        var replacements = builds.stream().filter(TableDefinition::replaces).toList();
        var missing = replacements.stream()
                .filter(build -> !build.loaded())
                .map(TableDefinition::target)
                .toList();
        if (!missing.isEmpty()) {
            throw PipeException.fatal(new Problem(
                    "NotLoaded",
                    "pipe " + pipe,
                    "not loaded yet: " + String.join(", ", missing),
                    "Run the snapshot mode first"));
        }
        var swap = new Swap(clickHouse, pipe);
        for (var replacement : replacements) {
            if (stop.requested()) {
                return;
            }
            swap.run(replacement, builds);
        }
    }
}
