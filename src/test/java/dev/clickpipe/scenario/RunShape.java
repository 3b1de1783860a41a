package dev.clickpipe.scenario;

import java.util.ArrayList;
import java.util.List;

/**
 * When the pipe is begun, loaded and ended while a scenario's steps are done.
 *
 * @param at before which step, where the kind has a place; otherwise 0
 */
record RunShape(Kind kind, int at) {

    enum Kind {
        /** All steps, then a load, and no stream. */
        SNAPSHOT_ONLY,
        /** The stream alone, from an empty table on. */
        CDC_ONLY,
        /** Steps, a load, then steps that the stream brings. */
        SPLIT,
        /** The stream runs from the first step on, and the load comes somewhere between. */
        LOAD_BESIDE,
        /** The worker is killed and another one started after every step. */
        RESTARTS,
        /** Batches of one row. */
        ONE_ROW,
        /** All steps are done before the worker reads the first: they come to it at once. */
        BACKLOG,
        /** Steps that the stream brings, a resync of everything, more steps. */
        RESYNC
    }

    /** All shapes that scenarios of so many steps are run in. */
    static List<RunShape> upTo(int steps) {
        var shapes = new ArrayList<RunShape>();
        for (var kind : Kind.values()) {
            switch (kind) {
                case SPLIT, LOAD_BESIDE -> {
                    for (int at = 1; at < steps; at++) {
                        shapes.add(new RunShape(kind, at));
                    }
                }
                case RESYNC -> shapes.add(new RunShape(kind, steps / 2));
                default -> shapes.add(new RunShape(kind, 0));
            }
        }
        return shapes;
    }

    /** Whether the scenario is run in it, and as something else than in another. */
    boolean suits(Scenario scenario) {
        return !scenario.without().contains(kind)
                && at <= Math.max(scenario.steps().size(), 1);
    }

    @Override
    public String toString() {
        return kind + (at == 0 ? "" : " before step " + (at + 1));
    }
}
