package dev.clickpipe.operator;

import static dev.clickpipe.operator.Given.NOW;
import static dev.clickpipe.operator.Given.ended;
import static dev.clickpipe.operator.Given.evicted;
import static dev.clickpipe.operator.Given.fatal;
import static dev.clickpipe.operator.Given.killed;
import static dev.clickpipe.operator.Given.loaded;
import static dev.clickpipe.operator.Given.report;
import static dev.clickpipe.operator.Given.running;
import static dev.clickpipe.operator.Given.says;
import static dev.clickpipe.operator.Given.stuck;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Given.PodState;
import dev.clickpipe.operator.Observed.End;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Report;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.pipe.WorkerStatus.State;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A load that two pods share: what is said of it, and when it counts as failed or done. */
class SeveralPodsTest {
    private static final Problem DOWN = new Problem("Down", "postgres h:5432/d", "refused", "Start it");
    private static final Problem WAITS = new Problem(Problem.ANOTHER_LOAD_RUNS, "pipe", "another reads", "Wait");

    private static Given load(Outcome outcome) {
        return Given.cdc()
                .edited("snapshotParallelism: 1", "snapshotParallelism: 2")
                .accepted(Phase.Snapshot, false)
                .job(Role.SNAPSHOT, 1, outcome);
    }

    @Test
    void oneGetsOnAndTheOtherHasNoNode() {
        var plan = load(Outcome.ACTIVE)
                .pod(running(), says(State.Working))
                .pod(stuck("Unschedulable", "pod orders-2: 0/3 nodes"))
                .plan();
        assertThat(plan.standing()).isEqualTo(Standing.PROGRESSING);
        assertThat(plan.cause().message())
                .isEqualTo("Loading 2 tables. 1 of 2 pods are at work: pod orders-2: 0/3 nodes");
    }

    @Test
    void oneWasKilledAndIsNotReplacedYet() {
        var given = load(Outcome.ACTIVE).pod(running(), says(State.Working)).pod(ended(killed(137, "OOMKilled")));
        assertThat(given.plan().standing()).isEqualTo(Standing.PROGRESSING);
        assertThat(given.plan().cause().message()).contains("1 of 2 pods", "OOMKilled");
        assertThat(given.pod(running(), says(State.Working)).plan().cause().message())
                .isEqualTo("Loading 2 tables.");
    }

    @Test
    void whoWaitsForTheOtherIsNoTrouble() {
        var given = load(Outcome.ACTIVE).pod(running(), says(State.Working, WAITS, 1));
        assertThat(given.pod(running(), says(State.Working)).plan().cause().message())
                .isEqualTo("Loading 2 tables.");
        var plan = given.pod(running(), says(State.Retrying, DOWN, 1)).plan();
        assertThat(plan.standing()).isEqualTo(Standing.HINDERED);
        assertThat(plan.cause().reason()).isEqualTo("Down");
        plan = given.pod(running(), says(State.Working, WAITS, 1)).plan();
        assertThat(plan.standing()).isEqualTo(Standing.HINDERED);
        assertThat(plan.cause().reason()).isEqualTo(Problem.ANOTHER_LOAD_RUNS);
    }

    @Test
    void whatNoRetryCuresIsSaidThoughKubernetesReplacesThePod() {
        var given = load(Outcome.ACTIVE).pod(ended(fatal("no permission"))).pod(running(), says(State.Working));
        assertThat(given.plan().phase()).isEqualTo(Phase.Failed);
        assertThat(given.plan().cause().message()).contains("no permission");
        assertThat(given.plan().jobs()).extracting(Plan.JobRef::attempt).containsExactly(1);
    }

    @Test
    void aFailedRunSaysWhatOneDiedOfAndNotThatTheOtherWasStopped() {
        var stopped = new End(11, "Error", Termination.stopped(), null);
        var plan = load(Outcome.FAILED)
                .endedAt(NOW.minusSeconds(1))
                .pod(ended(evicted()))
                .pod(ended(stopped))
                .plan();
        assertThat(plan.standing()).isEqualTo(Standing.HINDERED);
        assertThat(plan.cause().reason()).isEqualTo("Evicted");
    }

    @Test
    void theLastWordsAreOfOneThatFoundAllDone() {
        var given = load(Outcome.SUCCEEDED).pod(ended(loaded(2, 2, 1))).pod(ended(evicted()));
        assertThat(given.plan().reached().load()).isEqualTo(Plan.Load.SWAPPING);
    }

    @Test
    void figuresAreTheLedgersAndRatesAddUp() {
        var given = load(Outcome.ACTIVE)
                .pod(running(), loading(new WorkerStatus.Load(1, 2, 0, 900, 50, 100, 50, 300, 20L), 3))
                .pod(running(), loading(new WorkerStatus.Load(1, 2, 0, 1000, 60, 100, 60, 200, null), 4))
                .pod(
                        ended(killed(137, "Error")),
                        loading(new WorkerStatus.Load(1, 2, 0, 5000, 80, 100, 80, 900, 1L), 9));
        var status = Status.of(given.pipe(), given.plan(), given.observed(), NOW);
        assertThat(status.initialLoad().progress()).isEqualTo("60 % 1.0k rows 500/s 20s left");
        assertThat(status.initialLoad().rows()).isEqualTo(1000);
        assertThat(status.tables().getFirst().partitionsDone()).isEqualTo(4);
    }

    private static PodState loading(WorkerStatus.Load load, int chunks) {
        var table = new WorkerStatus.Table("public.orders", "orders", chunks, 9, load.rows(), false, null, null);
        return report(new Report(
                new WorkerStatus("snapshot", State.Working, null, load, null, List.of(table)),
                NOW.minusSeconds(1),
                null,
                null));
    }
}
