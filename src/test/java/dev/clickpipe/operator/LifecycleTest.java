package dev.clickpipe.operator;

import static dev.clickpipe.operator.Given.NOW;
import static dev.clickpipe.operator.Given.cdc;
import static dev.clickpipe.operator.Given.crashed;
import static dev.clickpipe.operator.Given.ended;
import static dev.clickpipe.operator.Given.evicted;
import static dev.clickpipe.operator.Given.fatal;
import static dev.clickpipe.operator.Given.goneBy;
import static dev.clickpipe.operator.Given.killed;
import static dev.clickpipe.operator.Given.live;
import static dev.clickpipe.operator.Given.loaded;
import static dev.clickpipe.operator.Given.mode;
import static dev.clickpipe.operator.Given.report;
import static dev.clickpipe.operator.Given.restartedAfter;
import static dev.clickpipe.operator.Given.running;
import static dev.clickpipe.operator.Given.runningFor;
import static dev.clickpipe.operator.Given.says;
import static dev.clickpipe.operator.Given.stuck;
import static dev.clickpipe.operator.Given.succeeded;
import static dev.clickpipe.operator.Observed.Outcome.ACTIVE;
import static dev.clickpipe.operator.Observed.Outcome.FAILED;
import static dev.clickpipe.operator.Observed.Outcome.SUCCEEDED;
import static dev.clickpipe.operator.Plan.Standing.HINDERED;
import static dev.clickpipe.operator.Plan.Standing.PROGRESSING;
import static dev.clickpipe.operator.Plan.Standing.READY;
import static dev.clickpipe.operator.Plan.Standing.STALLED;
import static dev.clickpipe.operator.Plan.Stream.APPLY;
import static dev.clickpipe.operator.Plan.Stream.KEEP;
import static dev.clickpipe.operator.Plan.Stream.STOP;
import static dev.clickpipe.operator.Role.SETUP;
import static dev.clickpipe.operator.Role.SNAPSHOT;
import static dev.clickpipe.operator.Role.TEARDOWN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Observed.Report;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.pipe.WorkerStatus.State;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The phase table, row by row. */
class LifecycleTest {

    private static final Problem DOWN =
            new Problem("SourceUnreachable", "postgres db:5432/shop", "connection refused", "start it");

    /** What shall follow. {@code jobs}: role-attempt, such as {@code setup-1}; empty for none. */
    record Then(Phase phase, Standing standing, String reason, String jobs, Stream stream) {
        static Then of(Plan plan) {
            return new Then(
                    plan.phase(),
                    plan.standing(),
                    plan.cause().reason(),
                    plan.jobs().stream()
                            .map(ref -> ref.role().word() + "-" + ref.attempt())
                            .collect(Collectors.joining(" ")),
                    plan.stream());
        }
    }

    static List<Arguments> rows() {
        return List.of(
                // ---- Provisioning and Setup
                row("a new pipe", cdc(), Phase.Provisioning, PROGRESSING, "Provisioning", "setup-1", KEEP),
                row(
                        "its setup pod is not there yet",
                        cdc().phase(Phase.Provisioning).job(SETUP, 1, ACTIVE),
                        Phase.Provisioning,
                        PROGRESSING,
                        "Provisioning",
                        "setup-1",
                        KEEP),
                row(
                        "its setup pod is being scheduled",
                        cdc().phase(Phase.Provisioning).job(SETUP, 1, ACTIVE).pod(),
                        Phase.Provisioning,
                        PROGRESSING,
                        "Provisioning",
                        "setup-1",
                        KEEP),
                row(
                        "no node takes the setup pod",
                        cdc().phase(Phase.Provisioning)
                                .job(SETUP, 1, ACTIVE)
                                .pod(stuck("Unschedulable", "0/3 nodes are available")),
                        Phase.Provisioning,
                        HINDERED,
                        "Unschedulable",
                        "setup-1",
                        KEEP),
                row(
                        "no setup pod may be made",
                        cdc().phase(Phase.Provisioning)
                                .job(SETUP, 1, ACTIVE)
                                .jobWarning("FailedCreate", "exceeded quota"),
                        Phase.Provisioning,
                        HINDERED,
                        "FailedCreate",
                        "setup-1",
                        KEEP),
                row(
                        "the setup pod runs",
                        cdc().phase(Phase.Provisioning).job(SETUP, 1, ACTIVE).pod(running()),
                        Phase.Setup,
                        PROGRESSING,
                        "Setup",
                        "setup-1",
                        KEEP),
                row(
                        "the setup pod ended, its Job does not know yet",
                        cdc().phase(Phase.Setup).job(SETUP, 1, ACTIVE).pod(ended(succeeded())),
                        Phase.Setup,
                        PROGRESSING,
                        "Setup",
                        "setup-1",
                        KEEP),
                row(
                        "setup can't reach the source and retries",
                        cdc().phase(Phase.Setup).job(SETUP, 1, ACTIVE).pod(running(), says(State.Retrying, DOWN, 1)),
                        Phase.Setup,
                        HINDERED,
                        "SourceUnreachable",
                        "setup-1",
                        KEEP),
                row(
                        "setup succeeded",
                        cdc().phase(Phase.Setup).job(SETUP, 1, SUCCEEDED).pod(ended(succeeded())),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the same once more: nothing was written the first time",
                        cdc().phase(Phase.Setup).job(SETUP, 1, SUCCEEDED).job(SNAPSHOT, 1, ACTIVE),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "setup succeeded, cdc_only",
                        mode("cdc_only").phase(Phase.Setup).job(SETUP, 1, SUCCEEDED),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "setup succeeded while the operator was down",
                        cdc().phase(Phase.Provisioning).job(SETUP, 1, SUCCEEDED),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),

                // ---- Failed from Setup
                row(
                        "setup refuses",
                        cdc().phase(Phase.Setup).job(SETUP, 1, FAILED).pod(ended(fatal("wal_level is replica"))),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "setup-1",
                        KEEP),
                row(
                        "setup is not understood by its worker",
                        cdc().phase(Phase.Setup).job(SETUP, 1, FAILED).pod(ended(killed(2, "Error"))),
                        Phase.Failed,
                        STALLED,
                        "Error",
                        "setup-1",
                        KEEP),
                row(
                        "setup refused 15 s ago: time to look again",
                        cdc().failedWith("wal_level is replica")
                                .job(SETUP, 1, FAILED)
                                .endedAt(NOW.minusSeconds(15))
                                .pod(ended(fatal("wal_level is replica"))),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "setup-2",
                        KEEP),
                row(
                        "it looks again, and the refusal stands until it passes",
                        cdc().failedWith("wal_level is replica")
                                .job(SETUP, 2, ACTIVE)
                                .pod(running()),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "setup-2",
                        KEEP),
                row(
                        "the second look is evicted",
                        cdc().failedWith("wal_level is replica")
                                .job(SETUP, 2, FAILED)
                                .endedAt(NOW.minusSeconds(1))
                                .pod(ended(evicted())),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "setup-2",
                        KEEP),
                row(
                        "the remedy worked",
                        cdc().failedWith("wal_level is replica")
                                .job(SETUP, 2, SUCCEEDED)
                                .pod(ended(succeeded())),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the remedy worked, cdc_only",
                        mode("cdc_only").failedWith("no slot").job(SETUP, 2, SUCCEEDED),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "the spec was changed: a new Job",
                        cdc().job(SETUP, 1, FAILED)
                                .pod(ended(fatal("no table public.orders")))
                                .failedWith("no table public.orders")
                                .edited("sourceTable: \"orders\"", "sourceTable: \"orders2\""),
                        Phase.Setup,
                        PROGRESSING,
                        "Setup",
                        "setup-1",
                        KEEP),
                row(
                        "another node was asked for: at once, without a pause",
                        cdc().job(SETUP, 1, FAILED)
                                .endedAt(NOW)
                                .pod(ended(killed(137, "OOMKilled")))
                                .phase(Phase.Setup)
                                .edited("nodeSelector: {}", "nodeSelector: {disk: ssd}"),
                        Phase.Setup,
                        HINDERED,
                        "OOMKilled",
                        "setup-2",
                        KEEP),

                // ---- ends that a retry cures
                row(
                        "the setup pod was evicted just now",
                        cdc().phase(Phase.Setup)
                                .job(SETUP, 1, FAILED)
                                .endedAt(NOW.minusSeconds(4))
                                .pod(ended(evicted())),
                        Phase.Setup,
                        HINDERED,
                        "Evicted",
                        "setup-1",
                        KEEP),
                row(
                        "the setup pod was evicted a while ago",
                        cdc().phase(Phase.Setup)
                                .job(SETUP, 1, FAILED)
                                .endedAt(NOW.minusSeconds(5))
                                .pod(ended(evicted())),
                        Phase.Setup,
                        HINDERED,
                        "Evicted",
                        "setup-2",
                        KEEP),
                row(
                        "the snapshot was killed for its memory, with the exit code of a refusal",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, FAILED)
                                .pod(ended(killed(10, "OOMKilled"))),
                        Phase.Snapshot,
                        HINDERED,
                        "OOMKilled",
                        "snapshot-2",
                        APPLY),
                row(
                        "the snapshot's pod is gone with its node",
                        cdc().accepted(Phase.Snapshot, false).job(SNAPSHOT, 3, FAILED),
                        Phase.Snapshot,
                        HINDERED,
                        "PodLost",
                        "snapshot-3",
                        APPLY),
                row(
                        "the Job's end is known, the pod's not yet",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, FAILED)
                                .endedAt(NOW.minusSeconds(1))
                                .pod(running()),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "somebody deleted the setup Job",
                        cdc().phase(Phase.Setup),
                        Phase.Setup,
                        PROGRESSING,
                        "Setup",
                        "setup-1",
                        KEEP),
                row(
                        "somebody deleted the snapshot Job",
                        cdc().accepted(Phase.Snapshot, false),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "somebody deleted the snapshot Job, its pod still stops",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 2, ACTIVE)
                                .pod(running(), goneBy(NOW.plusSeconds(20)))
                                .jobsGone(),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "",
                        APPLY),
                row(
                        "it overstays: its node is lost",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 2, ACTIVE)
                                .pod(running(), goneBy(NOW.minusSeconds(30)))
                                .jobsGone(),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the workers' settings change under a running snapshot: it makes room for the next",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE)
                                .pod(running())
                                .edited("nodeSelector: {}", "nodeSelector: {disk: ssd}"),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "",
                        APPLY),
                row(
                        "the snapshot's settings change under it: likewise",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE)
                                .pod(running())
                                .edited("initialLoadParallelism: 4", "initialLoadParallelism: 8"),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "",
                        APPLY),
                row(
                        "what only the stream minds does not disturb the snapshot",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE)
                                .pod(running())
                                .edited("syncIntervalSeconds: 5", "syncIntervalSeconds: 9"),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the operator was upgraded under a running snapshot",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE, null, "clickpipe:0.9")
                                .pod(running()),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the image can't be pulled, and the operator now has another",
                        cdc().phase(Phase.Provisioning)
                                .job(SETUP, 1, ACTIVE, null, "clickpipe:0.9")
                                .pod(stuck("ErrImagePull", "not found")),
                        Phase.Provisioning,
                        PROGRESSING,
                        "Provisioning",
                        "",
                        KEEP),

                // ---- Snapshot
                row(
                        "the snapshot runs, its setup Job is long gone",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE)
                                .pod(running(), says(State.Working)),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the snapshot can't reach the source and retries",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, ACTIVE)
                                .pod(running(), says(State.Retrying, DOWN, 1)),
                        Phase.Snapshot,
                        HINDERED,
                        "SourceUnreachable",
                        "snapshot-1",
                        APPLY),
                row(
                        "the snapshot refuses",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, FAILED)
                                .pod(ended(fatal("permission denied"))),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "snapshot-1",
                        APPLY),
                row(
                        "the snapshot succeeded",
                        cdc().accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, SUCCEEDED)
                                .pod(ended(succeeded())),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "the snapshot succeeded, snapshot only",
                        mode("snapshot")
                                .accepted(Phase.Snapshot, false)
                                .job(SNAPSHOT, 1, SUCCEEDED)
                                .pod(ended(loaded(2, 2, 0))),
                        Phase.Completed,
                        READY,
                        "Completed",
                        "",
                        STOP),
                row(
                        "completed, every Job long gone",
                        mode("snapshot").accepted(Phase.Completed, true),
                        Phase.Completed,
                        READY,
                        "Completed",
                        "",
                        STOP),

                // ---- Running
                row(
                        "the cdc pod is not there yet",
                        cdc().accepted(Phase.Running, true).deployment(),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "somebody deleted the Deployment",
                        cdc().accepted(Phase.Running, true),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "no cdc pod may be made",
                        cdc().accepted(Phase.Running, true).deploymentFailure("FailedCreate", "exceeded quota"),
                        Phase.Running,
                        HINDERED,
                        "FailedCreate",
                        "",
                        APPLY),
                row(
                        "the cdc pod can't be started",
                        cdc().accepted(Phase.Running, true).deployment().streamPod(stuck("FailedMount", "no secret")),
                        Phase.Running,
                        HINDERED,
                        "FailedMount",
                        "",
                        APPLY),
                row(
                        "the cdc worker starts",
                        cdc().accepted(Phase.Running, true).deployment().streamPod(runningFor(2), says(State.Starting)),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "the cdc worker streams",
                        cdc().accepted(Phase.Running, true).deployment().streamPod(running(), says(State.Working)),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "the cdc worker can't reach a database",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(running(), says(State.Retrying, DOWN, 1)),
                        Phase.Running,
                        HINDERED,
                        "SourceUnreachable",
                        "",
                        APPLY),
                row(
                        "one table is in trouble, the rest streams on",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(
                                        running(),
                                        report(new Report(
                                                new WorkerStatus(
                                                        "cdc",
                                                        State.Working,
                                                        null,
                                                        null,
                                                        null,
                                                        List.of(
                                                                new WorkerStatus.Table(
                                                                        "public.orders",
                                                                        "orders",
                                                                        0,
                                                                        0,
                                                                        0,
                                                                        true,
                                                                        null,
                                                                        new Problem(
                                                                                "ColumnType", "table x", "no", "y")))),
                                                NOW,
                                                null,
                                                null))),
                        Phase.Running,
                        HINDERED,
                        "ColumnType",
                        "",
                        APPLY),
                row(
                        "a new operator has not asked the worker yet",
                        cdc().accepted(Phase.Running, true).deployment().streamPod(runningFor(1_000_000)),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "nobody has asked the worker yet, which started after the pipe was ready",
                        cdc().accepted(Phase.Running, true).deployment().streamPod(runningFor(2)),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),
                row(
                        "it did not answer once or twice",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(
                                        running(),
                                        report(new Report(
                                                new WorkerStatus("cdc", State.Working, null, null, null, null),
                                                NOW.minusSeconds(14),
                                                "timed out",
                                                null))),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "it has not answered for too long",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(
                                        running(),
                                        report(new Report(
                                                new WorkerStatus("cdc", State.Working, null, null, null, null),
                                                NOW.minusSeconds(15),
                                                "timed out",
                                                null))),
                        Phase.Running,
                        HINDERED,
                        "WorkerUnreachable",
                        "",
                        APPLY),
                row(
                        "the cdc worker was killed",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(crashed(killed(137, "OOMKilled")), says(State.Working)),
                        Phase.Running,
                        HINDERED,
                        "OOMKilled",
                        "",
                        APPLY),
                row(
                        "the cdc worker refuses",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(crashed(fatal("slot is gone")), says(State.Working)),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "",
                        APPLY),
                row(
                        "it is restarted, and what was said before it ended counts no more",
                        cdc().accepted(Phase.Running, true)
                                .failedWith("slot is gone")
                                .deployment()
                                .streamPod(restartedAfter(fatal("slot is gone")), says(State.Working, null, 6)),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "",
                        APPLY),
                row(
                        "its pod was replaced and has said nothing yet",
                        cdc().accepted(Phase.Running, true)
                                .failedWith("slot is gone")
                                .deployment()
                                .streamPod(runningFor(1)),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "",
                        APPLY),
                row(
                        "it works again",
                        cdc().accepted(Phase.Running, true)
                                .failedWith("slot is gone")
                                .deployment()
                                .streamPod(restartedAfter(fatal("slot is gone")), says(State.Working)),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "an edit rolls the pod: the old one still stops",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(running(), says(State.Working), goneBy(NOW.plusSeconds(20))),
                        Phase.Running,
                        PROGRESSING,
                        "WorkerStarting",
                        "",
                        APPLY),

                // ---- edits and losses on a live pipe
                row(
                        "a batch setting of a running pipe",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(running(), says(State.Working))
                                .edited("pullBatchSize: 100000", "pullBatchSize: 5000"),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "a table less and another one: Setup, and the stream goes on",
                        live().edited("sourceTable: \"orders\"", "sourceTable: \"orders2\""),
                        Phase.Modifying,
                        PROGRESSING,
                        "Modifying",
                        "setup-1",
                        APPLY),
                row(
                        "Setup refuses the edit, the stream goes on",
                        live().edited("sourceTable: \"orders\"", "sourceTable: \"orders2\"")
                                .job(SETUP, 1, FAILED)
                                .pod(ended(fatal("no such table"))),
                        Phase.Failed,
                        STALLED,
                        "Refused",
                        "setup-1",
                        APPLY),
                row(
                        "another slot: the stream is not led there before Setup has been there",
                        live().edited("database: \"shop\"", "database: \"other\""),
                        Phase.Setup,
                        PROGRESSING,
                        "Setup",
                        "setup-1",
                        KEEP),
                row(
                        "Setup accepts the edit: there is something to load",
                        live().edited("sourceTable: \"orders\"", "sourceTable: \"orders2\"")
                                .job(SETUP, 1, SUCCEEDED)
                                .pod(ended(loaded(1, 2, 0))),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),
                row(
                        "the edit is taken back",
                        cdc().accepted(Phase.Running, true)
                                .failedWith("no such table")
                                .deployment()
                                .streamPod(running(), says(State.Working)),
                        Phase.Running,
                        READY,
                        "Running",
                        "",
                        APPLY),
                row(
                        "the status was lost, the stream goes on",
                        cdc().deployment().streamPod(running(), says(State.Working)),
                        Phase.Provisioning,
                        PROGRESSING,
                        "Provisioning",
                        "setup-1",
                        KEEP),
                row(
                        "the status was lost, Setup found all as it was",
                        cdc().phase(Phase.Setup)
                                .deployment()
                                .streamPod(running(), says(State.Working))
                                .job(SETUP, 1, SUCCEEDED),
                        Phase.Snapshot,
                        PROGRESSING,
                        "Snapshot",
                        "snapshot-1",
                        APPLY),

                // ---- deletion
                row(
                        "deleted before anything was done",
                        cdc().deletedAt(NOW),
                        Phase.Provisioning,
                        PROGRESSING,
                        "Deleting",
                        "",
                        STOP),
                row(
                        "deleted while running: workers stop first",
                        cdc().accepted(Phase.Running, true)
                                .deployment()
                                .streamPod(running())
                                .deletedAt(NOW),
                        Phase.Running,
                        PROGRESSING,
                        "Deleting",
                        "",
                        STOP),
                row(
                        "deleted, workers stopped: teardown",
                        cdc().accepted(Phase.Running, true).deletedAt(NOW.minusSeconds(30)),
                        Phase.Running,
                        PROGRESSING,
                        "Deleting",
                        "teardown-1",
                        STOP),
                row(
                        "deleted, a worker's node is lost: teardown",
                        cdc().accepted(Phase.Running, true)
                                .streamPod(running(), goneBy(NOW.minusSeconds(30)))
                                .deletedAt(NOW.minusSeconds(60)),
                        Phase.Running,
                        PROGRESSING,
                        "Deleting",
                        "teardown-1",
                        STOP),
                row(
                        "teardown failed a while ago: again",
                        cdc().accepted(Phase.Running, true)
                                .deletedAt(NOW.minusSeconds(30))
                                .job(TEARDOWN, 1, FAILED)
                                .pod(ended(fatal("permission denied"))),
                        Phase.Running,
                        PROGRESSING,
                        "Deleting",
                        "teardown-2",
                        STOP));
    }

    private static Arguments row(
            String situation, Given given, Phase phase, Standing standing, String reason, String jobs, Stream stream) {
        return Arguments.of(situation, given, new Then(phase, standing, reason, jobs, stream));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("rows")
    void row(String situation, Given given, Then then) {
        assertThat(Then.of(given.plan())).isEqualTo(then);
        assertThat(given.plan()).as("the same event twice").isEqualTo(given.plan());
    }

    @Test
    void setupIsRememberedOnlyOnceItSucceeded() {
        assertThat(cdc().job(SETUP, 1, ACTIVE).plan().reached().setup().accepted())
                .isFalse();
        var given = cdc().job(SETUP, 1, SUCCEEDED);
        assertThat(given.plan().reached().setup())
                .isEqualTo(new SetupMark(Manifest.setupKey(given.pipe()), 1, true, Manifest.streamKey(given.pipe())));
    }

    @Test
    void anEditUnderwayForgetsNeitherSetupNorLoad() {
        var before = cdc().accepted(Phase.Running, true);
        var edited = before.edited("sourceTable: \"orders\"", "sourceTable: \"orders2\"");
        assertThat(edited.plan().reached().setup().acceptedOnce()).isTrue();
        assertThat(edited.plan().reached().load()).isEqualTo(Load.COMPLETE);
        assertThat(edited.job(SETUP, 1, SUCCEEDED).plan().reached().load()).isEqualTo(Load.INCOMPLETE);
    }

    @Test
    void theLoadIsComplete() {
        assertThat(cdc().accepted(Phase.Snapshot, false)
                        .job(SNAPSHOT, 1, ACTIVE)
                        .plan()
                        .reached()
                        .load())
                .isEqualTo(Load.INCOMPLETE);
        assertThat(cdc().accepted(Phase.Snapshot, false)
                        .job(SNAPSHOT, 1, SUCCEEDED)
                        .plan()
                        .reached()
                        .load())
                .isEqualTo(Load.COMPLETE);
        assertThat(mode("cdc_only").job(SETUP, 1, SUCCEEDED).plan().reached().load())
                .isEqualTo(Load.NONE_WANTED);
    }

    @Test
    void pausesGrowToFiveMinutes() {
        assertThat(pauseAfter(1, fatal("no"))).isEqualTo(Duration.ofSeconds(15));
        assertThat(pauseAfter(2, fatal("no"))).isEqualTo(Duration.ofSeconds(30));
        assertThat(pauseAfter(6, fatal("no"))).isEqualTo(Duration.ofMinutes(5));
        assertThat(pauseAfter(1000, fatal("no"))).isEqualTo(Duration.ofMinutes(5));
        assertThat(pauseAfter(1, evicted())).isEqualTo(Duration.ofSeconds(5));
        assertThat(pauseAfter(3, evicted())).isEqualTo(Duration.ofSeconds(20));
    }

    private static Duration pauseAfter(int attempt, Observed.End end) {
        return cdc().phase(Phase.Setup)
                .job(SETUP, attempt, FAILED)
                .endedAt(NOW)
                .pod(ended(end))
                .plan()
                .lookAgain();
    }

    @Test
    void theWorkersWordsAreTheMessage() {
        var plan = cdc().job(SETUP, 1, FAILED)
                .pod(ended(fatal("table public.orders: does not exist")))
                .plan();
        assertThat(plan.cause().message()).isEqualTo("table public.orders: does not exist");
        var evicted = cdc().phase(Phase.Setup)
                .job(SETUP, 1, FAILED)
                .pod(ended(evicted()))
                .plan();
        assertThat(evicted.cause().message()).contains("The node was low on resource: memory.");
    }

    // ---- when a deleted pipe may go

    @Test
    void aPipeThatNeverRanAnythingMayGoAtOnce() {
        assertReleasedClean(cdc().deletedAt(NOW));
        assertReleasedClean(
                cdc().phase(Phase.Provisioning).job(SETUP, 1, ACTIVE).deletedAt(NOW));
        assertReleasedClean(cdc().phase(Phase.Provisioning)
                .job(SETUP, 1, ACTIVE)
                .pod(stuck("FailedMount", "secret not found"))
                .deletedAt(NOW));
    }

    @Test
    void aPipeThatMayHaveRunSomethingIsTornDown() {
        assertThat(cdc().phase(Phase.Provisioning).deletedAt(NOW).plan().release())
                .as("its setup Job is gone, nobody knows what it did")
                .isEmpty();
        assertThat(cdc().phase(Phase.Provisioning)
                        .job(SETUP, 1, ACTIVE)
                        .pod(running())
                        .deletedAt(NOW)
                        .plan()
                        .release())
                .isEmpty();
        assertThat(cdc().phase(Phase.Failed).deletedAt(NOW).plan().release()).isEmpty();
        assertThat(cdc().deployment().deletedAt(NOW).plan().release())
                .as("its status was lost")
                .isEmpty();
    }

    @Test
    void aPausedPipeThatLostItsStatusMayHaveASlot() {
        var paused = cdc().accepted(Phase.Paused, true)
                .edited("state: \"Running\"", "state: \"Paused\"")
                .lostItsStatus();
        assertThat(paused.deletedAt(NOW).plan().release()).isEmpty();
        assertThat(paused.plan().reached().setup()).as("kept in the status").isNotNull();
    }

    @Test
    void aPipeWhoseTeardownIsDoneMayGo() {
        assertReleasedClean(
                cdc().accepted(Phase.Running, true).job(TEARDOWN, 2, SUCCEEDED).deletedAt(NOW.minusSeconds(300)));
    }

    @Test
    void nothingHoldsAPipeLongerThanTwoMinutes() {
        var unreachable = cdc().accepted(Phase.Running, true)
                .job(TEARDOWN, 1, ACTIVE)
                .pod(running(), says(State.Retrying, DOWN, 1));
        var stillTrying = unreachable.deletedAt(NOW.minusSeconds(119)).plan();
        assertThat(stillTrying.release()).isEmpty();
        assertThat(stillTrying.cause().message()).contains("connection refused");

        var plan = unreachable.deletedAt(NOW.minusSeconds(120)).plan();
        assertThat(plan.jobs()).isEmpty();
        assertThat(plan.release().orElseThrow().leftBehind().message())
                .contains("connection refused")
                .contains("database shop at postgres.shop.svc:5432")
                .contains("SELECT pg_drop_replication_slot('clickpipe_orders_6f1c1a52_slot');")
                .contains(
                        "DROP PUBLICATION IF EXISTS clickpipe_orders_6f1c1a52_pub, clickpipe_orders_6f1c1a52_pub_ins;");
    }

    @Test
    void aWorkerThatDoesNotStopHoldsAPipeNoLonger() {
        var plan = cdc().accepted(Phase.Running, true)
                .streamPod(running())
                .deletedAt(NOW.minusSeconds(120))
                .plan();
        assertThat(plan.release().orElseThrow().leftBehind()).isNotNull();
    }

    @Test
    void aPipeThatSetupNeverAcceptedIsNotHeldThatLong() {
        var given = cdc().phase(Phase.Setup).job(SETUP, 1, ACTIVE).pod(running(), says(State.Retrying, DOWN, 1));
        assertThat(given.deletedAt(NOW.minusSeconds(19)).plan().release()).isEmpty();
        assertThat(given.deletedAt(NOW.minusSeconds(20)).plan().release()).isPresent();
    }

    @Test
    void whatIsTheUsersOwnIsNotNamedAsLeftBehind() {
        var plan = mode("cdc_only")
                .edited("replicationSlotName: \"\"", "replicationSlotName: \"mine\"")
                .edited("publicationName: \"\"", "publicationName: \"mine_too\"")
                .accepted(Phase.Running, false)
                .deletedAt(NOW.minusSeconds(120))
                .plan();
        assertThat(plan.release().orElseThrow().leftBehind().message()).doesNotContain("mine", "SELECT", "DROP");
    }

    private static void assertReleasedClean(Given given) {
        assertThat(given.plan().release().orElseThrow().leftBehind()).isNull();
        assertThat(given.plan().jobs()).isEmpty();
    }
}
