package dev.clickpipe.scenario;

import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.scenario.Scenario.Mapped;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.TableComparison;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** Scenarios in one shape, beside each other on one pipe: each in a schema of its own, their steps in turn. */
final class ScenarioRun implements AutoCloseable {
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final RunShape shape;
    private final List<Lane> lanes = new ArrayList<>();
    private final String number = String.valueOf(NUMBERS.incrementAndGet());
    private final int steps;
    private ScenarioPipe pipe;
    private Oracle oracle;

    private ScenarioRun(Postgres postgres, ClickHouse server, List<Scenario> scenarios, RunShape shape) {
        this.postgres = postgres;
        this.clickHouse = server.withDatabase("run_" + number);
        this.shape = shape;
        server.query("CREATE DATABASE " + clickHouse.database());
        scenarios.forEach(scenario -> lanes.add(new Lane(postgres, scenario, NUMBERS.incrementAndGet())));
        steps = scenarios.stream()
                .mapToInt(scenario -> scenario.steps().size())
                .max()
                .orElse(0);
    }

    /** What is wrong, by scenario; a pipe that fails as a whole throws. */
    static Map<Scenario, Throwable> of(Postgres postgres, ClickHouse server, List<Scenario> scenarios, RunShape shape)
            throws InterruptedException {
        try (var run = new ScenarioRun(postgres, server, scenarios, shape)) {
            return run.run();
        }
    }

    private Map<Scenario, Throwable> run() throws InterruptedException {
        for (var lane : lanes) {
            lane.throwFailure();
            lane.scenario().destination().forEach(sql -> clickHouse.query(lane.named(sql)));
        }
        switch (shape.kind()) {
            case SNAPSHOT_ONLY -> {
                make(ReplicationMode.SNAPSHOT);
                execute(0, steps);
                pipe.setUp();
                pipe.load();
            }
            case CDC_ONLY -> {
                make(ReplicationMode.CDC_ONLY);
                setUp();
                pipe.start();
                execute(0, steps);
            }
            case SPLIT -> {
                make(ReplicationMode.CDC);
                execute(0, shape.at());
                setUp();
                pipe.load();
                pipe.start();
                execute(shape.at(), steps);
            }
            case LOAD_BESIDE -> {
                make(ReplicationMode.CDC);
                setUp();
                pipe.start();
                execute(0, shape.at());
                pipe.load();
                execute(shape.at(), steps);
            }
            case BACKLOG -> {
                make(ReplicationMode.CDC_ONLY);
                setUp();
                execute(0, steps);
                pipe.start();
            }
            case RESYNC -> {
                make(ReplicationMode.CDC);
                setUp();
                pipe.start();
                pipe.load();
                execute(0, shape.at());
                pipe.resync();
                execute(shape.at(), steps);
                pipe.awaitSwapped();
            }
        }
        if (shape.kind() != RunShape.Kind.SNAPSHOT_ONLY) {
            pipe.awaitCaughtUp();
        }
        return failures();
    }

    private Map<Scenario, Throwable> failures() {
        var failures = new HashMap<Scenario, Throwable>();
        for (var lane : lanes) {
            try {
                lane.throwFailure();
                lane.scenario().tables().forEach(table -> assertEqual(lane, table));
            } catch (AssertionError | RuntimeException e) {
                failures.put(lane.scenario(), e);
            }
        }
        return failures;
    }

    private void make(ReplicationMode mode) {
        var published =
                lanes.stream().flatMap(lane -> lane.published().stream()).toList();
        var settings = new PostgresSettings(
                mode,
                published.isEmpty() ? null : "user's " + number,
                null,
                0,
                shape.batchRows(),
                null,
                1000,
                null,
                null,
                null,
                null);
        pipe = new ScenarioPipe(
                postgres,
                clickHouse,
                "run" + number,
                lanes.stream().flatMap(lane -> lane.mappings().stream()).toList(),
                settings);
        if (!published.isEmpty()) {
            pipe.publish(published);
        }
    }

    private void setUp() throws InterruptedException {
        pipe.setUp();
        if (lanes.stream().flatMap(lane -> lane.scenario().tables().stream()).anyMatch(table -> table.engine()
                .appendOnly())) {
            oracle = new Oracle(postgres, pipe.pipe());
        }
    }

    private void execute(int from, int to) throws InterruptedException {
        for (int step = from; step < to; step++) {
            for (var lane : lanes) {
                lane.execute(step);
            }
            if (shape.restarts().contains(step) && pipe.isRunning()) {
                pipe.kill();
                pipe.start();
            }
        }
    }

    private void assertEqual(Lane lane, Mapped table) {
        boolean streams = shape.kind() != RunShape.Kind.SNAPSHOT_ONLY;
        var target = lane.target(table);
        var problem = streams ? pipe.problem(target) : null;
        if (problem != null) {
            throw new AssertionError(target + " is not replicated: " + problem.sentence());
        }
        if (table.engine() == TableEngine.ReplacingMergeTree || !streams) {
            TableComparison.between(postgres, lane.source(table), clickHouse, Names.clickHouse(lane.compared(table)))
                    .assertEqual();
        } else {
            new History(postgres, clickHouse, lane.source(table), lane.compared(table))
                    .assertTold(
                            oracle,
                            lane.schema(table),
                            table.table(),
                            pipe.boundary(target),
                            table.ignored(),
                            // what a view has seen stays there when its table is loaded again
                            shape.kind() == RunShape.Kind.RESYNC
                                    && !table.engine().stores());
        }
    }

    @Override
    public void close() {
        if (oracle != null) {
            oracle.close();
        }
        if (pipe != null) {
            pipe.close();
        }
        lanes.forEach(Lane::close);
        postgres.execute("DROP PUBLICATION IF EXISTS \"user's " + number + "\"");
        clickHouse.withDatabase("default").query("DROP DATABASE " + clickHouse.database() + " SYNC");
    }
}
