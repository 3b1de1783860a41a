package dev.clickpipe.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * When the pipe is begun, loaded and ended while a scenario's steps are done.
 *
 * @param at before which step the load or the resync comes, counted from 0
 * @param batchRows pullBatchSize
 * @param restarts behind these steps the worker is killed, and another one started
 */
record RunShape(Kind kind, int at, int batchRows, Set<Integer> restarts) {
    private static final int MANY_ROWS = 100_000;

    enum Kind {
        /** All steps, then a load, and no stream. */
        SNAPSHOT_ONLY,
        /** The stream alone, from an empty table on. */
        CDC_ONLY,
        /** Steps, a load, then steps that the stream brings. */
        SPLIT,
        /** The stream runs from the first step on, and the load comes somewhere between. */
        LOAD_BESIDE,
        /** All steps are done before the worker reads the first: they come to it at once. */
        BACKLOG,
        /** Steps that the stream brings, a resync of everything, more steps. */
        RESYNC
    }

    RunShape(Kind kind, int at) {
        this(kind, at, MANY_ROWS, Set.of());
    }

    /** All shapes that scenarios of so many steps are run in. */
    static List<RunShape> upTo(int steps) {
        var shapes = new ArrayList<RunShape>();
        shapes.add(new RunShape(Kind.SNAPSHOT_ONLY, 0));
        shapes.add(new RunShape(Kind.CDC_ONLY, 0));
        for (int at = 1; at < steps; at++) {
            shapes.add(new RunShape(Kind.SPLIT, at));
        }
        shapes.add(new RunShape(Kind.LOAD_BESIDE, steps / 2));
        shapes.add(new RunShape(
                Kind.CDC_ONLY, 0, MANY_ROWS, IntStream.range(0, steps).boxed().collect(Collectors.toSet())));
        shapes.add(new RunShape(Kind.CDC_ONLY, 0, 1, Set.of()));
        shapes.add(new RunShape(Kind.BACKLOG, 0));
        shapes.add(new RunShape(Kind.RESYNC, steps / 2));
        return shapes;
    }

    /** Whether the scenario is run in it, and as something else than in another. */
    boolean suits(Scenario scenario) {
        return !scenario.without().contains(kind)
                && at <= Math.max(scenario.steps().size(), 1);
    }

    @Override
    public String toString() {
        return kind
                + (at == 0 ? "" : " before step " + (at + 1))
                + (batchRows == MANY_ROWS ? "" : ", batches of " + batchRows)
                + (restarts.isEmpty()
                        ? ""
                        : ", restarts behind steps "
                                + restarts.stream()
                                        .map(step -> step + 1)
                                        .sorted()
                                        .toList());
    }
}
