package dev.clickpipe.operator;

import static dev.clickpipe.operator.Given.NOW;
import static dev.clickpipe.operator.Given.cdc;
import static dev.clickpipe.operator.Given.ended;
import static dev.clickpipe.operator.Given.evicted;
import static dev.clickpipe.operator.Given.fatal;
import static dev.clickpipe.operator.Given.goneBy;
import static dev.clickpipe.operator.Given.live;
import static dev.clickpipe.operator.Given.loaded;
import static dev.clickpipe.operator.Given.mode;
import static dev.clickpipe.operator.Given.running;
import static dev.clickpipe.operator.Given.says;
import static dev.clickpipe.operator.Observed.Outcome.ACTIVE;
import static dev.clickpipe.operator.Observed.Outcome.FAILED;
import static dev.clickpipe.operator.Observed.Outcome.SUCCEEDED;
import static dev.clickpipe.operator.Role.SETUP;
import static dev.clickpipe.operator.Role.SNAPSHOT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.GeneratedFile;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus.State;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * Everything that can happen, in every state a pipe can be in: which phase, which Jobs and which stream follow. The table is
 * kept beside this test, to be read; a decision that changes shows in it as a line that differs.
 */
class PhaseTableTest {
    private static final Problem GONE = new Problem("SlotLost", "slot x", "is gone", "resync");
    private static final Problem DOWN =
            new Problem("SourceUnreachable", "postgres db:5432/shop", "refused", "start it");

    private static final Map<String, Given> STATES = states();
    private static final Map<String, UnaryOperator<Given>> EVENTS = events();

    private static Map<String, Given> states() {
        var streaming = cdc().accepted(Phase.Running, true).deployment().streamPod(running(), says(State.Working));
        var states = new LinkedHashMap<String, Given>();
        states.put("new", cdc());
        states.put(
                "Provisioning",
                cdc().phase(Phase.Provisioning).job(SETUP, 1, ACTIVE).pod());
        states.put("Setup", cdc().phase(Phase.Setup).job(SETUP, 1, ACTIVE).pod(running()));
        states.put(
                "Setup, done", cdc().phase(Phase.Setup).job(SETUP, 1, SUCCEEDED).pod(ended(loaded(0, 2, 0))));
        states.put(
                "Setup, refused", cdc().failedWith("no").job(SETUP, 1, FAILED).pod(ended(fatal("no"))));
        states.put(
                "Snapshot",
                streaming
                        .accepted(Phase.Snapshot, false)
                        .job(SNAPSHOT, 1, ACTIVE)
                        .pod(running()));
        states.put(
                "Snapshot, refused",
                streaming
                        .accepted(Phase.Snapshot, false)
                        .failedWith("no")
                        .job(SNAPSHOT, 1, FAILED)
                        .pod(ended(fatal("no"))));
        states.put(
                "Snapshot, done",
                streaming
                        .accepted(Phase.Snapshot, false)
                        .job(SNAPSHOT, 1, SUCCEEDED)
                        .pod(ended(loaded(2, 2, 0))));
        states.put("Running", live());
        states.put(
                "adding a table",
                added(live()).due(Phase.Snapshot).job(SETUP, 1, ACTIVE).pod(running()));
        states.put(
                "adding a table, refused",
                added(live()).due(Phase.Failed).job(SETUP, 1, FAILED).pod(ended(fatal("no"))));
        states.put(
                "adding a table, set up",
                added(live()).due(Phase.Snapshot).job(SETUP, 1, SUCCEEDED).pod(ended(loaded(2, 3, 0))));
        states.put(
                "Modifying",
                removed(live()).due(Phase.Modifying).job(SETUP, 1, ACTIVE).pod(running()));
        states.put(
                "Modifying, done",
                removed(live()).due(Phase.Modifying).job(SETUP, 1, SUCCEEDED).pod(ended(loaded(1, 1, 0))));
        states.put(
                "resync, set up",
                resynced(live()).due(Phase.Snapshot).job(SETUP, 1, SUCCEEDED).pod(ended(loaded(2, 4, 2))));
        states.put(
                "resync, loading",
                resynced(live())
                        .accepted(Phase.Snapshot, Load.REBUILDING)
                        .job(SNAPSHOT, 1, ACTIVE)
                        .pod(running()));
        states.put(
                "resync, loaded",
                resynced(live())
                        .accepted(Phase.Snapshot, Load.REBUILDING)
                        .job(SNAPSHOT, 1, SUCCEEDED)
                        .pod(ended(loaded(4, 4, 2))));
        states.put(
                "Resync",
                resynced(cdc())
                        .accepted(Phase.Resync, Load.SWAPPING)
                        .deployment()
                        .streamPod(running(), replacing()));
        states.put("Resync, done", resynced(live()).accepted(Phase.Resync, Load.SWAPPING));
        states.put(
                "stream failed",
                cdc().accepted(Phase.Failed, true).deployment().streamPod(running(), says(State.Failed, GONE, 1)));
        states.put(
                "Pausing",
                paused(cdc().accepted(Phase.Pausing, true)).streamPod(running(), goneBy(NOW.plusSeconds(20))));
        states.put("Paused", paused(cdc()).accepted(Phase.Paused, true));
        states.put("created Paused", paused(cdc()));
        states.put("Completed", mode("snapshot").accepted(Phase.Completed, true));
        states.put(
                "snapshot, swapping",
                resynced(mode("snapshot"))
                        .accepted(Phase.Snapshot, Load.REBUILDING)
                        .job(SNAPSHOT, 1, SUCCEEDED)
                        .pod(ended(loaded(4, 4, 2))));
        return states;
    }

    private static Map<String, UnaryOperator<Given>> events() {
        var events = new LinkedHashMap<String, UnaryOperator<Given>>();
        events.put("nothing", UnaryOperator.identity());
        events.put("spec: pause", PhaseTableTest::paused);
        events.put("spec: resume", given -> given.edited("state: \"Paused\"", "state: \"Running\""));
        events.put("spec: a table more", PhaseTableTest::added);
        events.put("spec: a table less", PhaseTableTest::removed);
        events.put("spec: resync", PhaseTableTest::resynced);
        events.put("spec: batch size", given -> given.edited("pullBatchSize: 100000", "pullBatchSize: 5"));
        events.put("pipe deleted", given -> given.deletedAt(NOW));
        events.put("status lost", Given::lostItsStatus);
        events.put("Jobs deleted", Given::jobsGone);
        events.put("Job's pod evicted", Given::jobEvicted);
        events.put("stream starts", given -> given.streamIs(running(), says(State.Starting)));
        events.put("stream works", given -> given.streamIs(running(), says(State.Working)));
        events.put("stream: source down", given -> given.streamIs(running(), says(State.Retrying, DOWN, 1)));
        events.put("stream: slot lost", given -> given.streamIs(running(), says(State.Failed, GONE, 1)));
        events.put("stream evicted", given -> given.streamIs(ended(evicted())));
        return events;
    }

    @Test
    void everyEventInEveryState() {
        var table = new StringBuilder("""
                What follows: the phase; ! when hindered, !! when it waits for a person, * when ready; the Jobs that shall be there;
                whether the stream shall run (+), stay as it is (=) or stop (-).

                """);
        STATES.forEach((state, given) -> {
            table.append("## ").append(state).append("\n\n");
            EVENTS.forEach((event, happen) -> {
                Given after;
                try {
                    after = happen.apply(given);
                } catch (IllegalArgumentException e) {
                    return; // it can't happen there
                }
                var plan = after.plan();
                assertThat(after.plan()).as("asked twice").isEqualTo(plan);
                table.append("    %-21s %s%n".formatted(event, describe(plan)));
            });
            table.append('\n');
        });
        GeneratedFile.check(Path.of("src/test/resources/golden/phases.md"), table.toString());
    }

    /** Whatever happened: no state is without a next look, and none stops a stream that nobody asked to stop. */
    @Test
    void nothingStopsAStreamThatShallRun() {
        STATES.forEach((state, given) -> EVENTS.forEach((event, happen) -> {
            Given after;
            try {
                after = happen.apply(given);
            } catch (IllegalArgumentException e) {
                return;
            }
            var plan = after.plan();
            var wanted = after.pipe().getSpec().settings().replicationMode().streams()
                    && after.pipe().getSpec().state() == dev.clickpipe.api.ClickPipeSpec.State.Running
                    && !after.pipe().isMarkedForDeletion();
            assertThat(wanted && plan.stream() == Stream.STOP)
                    .as(state + ", " + event)
                    .isFalse();
            assertThat(plan.lookAgain()).as(state + ", " + event).isPositive();
            assertThat(plan.jobs()).as("one thing at a time").hasSizeLessThanOrEqualTo(1);
        }));
    }

    private static String describe(Plan plan) {
        var standing = plan.standing() == Standing.READY
                ? "*"
                : plan.standing() == Standing.HINDERED ? "!" : plan.standing() == Standing.STALLED ? "!!" : "";
        var jobs = plan.jobs().stream()
                .map(ref -> " " + ref.role().word() + "-" + ref.attempt())
                .collect(Collectors.joining());
        var stream =
                Map.of(Stream.APPLY, " +", Stream.KEEP, " =", Stream.STOP, " -").get(plan.stream());
        var gone = plan.release().isPresent() ? " released" : "";
        return plan.phase() + standing + jobs + stream + gone;
    }

    private static Given paused(Given given) {
        return given.edited("state: \"Running\"", "state: \"Paused\"");
    }

    private static Given added(Given given) {
        return given.edited(
                "  tableMappings:\n",
                "  tableMappings:\n  - {sourceSchemaName: public, sourceTable: items, targetTable: items}\n");
    }

    private static Given removed(Given given) {
        return given.with(Pipes.without(given.pipe(), "orders"));
    }

    private static Given resynced(Given given) {
        return given.with(Pipes.resync(given.pipe(), "g" + Worker.generation(given.pipe())));
    }

    private static Given.PodState replacing() {
        return Given.report(new Observed.Report(
                FakeKubelet.streaming(new dev.clickpipe.pipe.WorkerStatus.Table(
                        "public.orders", "orders_resync", 4, 4, 1, true, "orders", null)),
                NOW,
                null,
                null));
    }
}
