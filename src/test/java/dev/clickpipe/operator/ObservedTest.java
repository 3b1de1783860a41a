package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Report;
import dev.clickpipe.operator.Plan.JobRef;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ObservedTest {
    private static final Worker WORKER = new Worker(Pipes.SETTINGS);
    private static final JobRef SETUP =
            new JobRef(Role.SETUP, Manifest.of(Pipes.cdc(), Role.SETUP).key(), 1);

    @Test
    void aJobThatEnded() {
        var job = job("conditions: [{type: Failed, status: 'True', lastTransitionTime: '2026-01-01T00:00:05Z'}]");
        var run =
                observe(List.of(job), List.of()).latest(Role.SETUP, SETUP.key()).orElseThrow();
        assertThat(run.ref()).isEqualTo(SETUP);
        assertThat(run.outcome()).isEqualTo(Outcome.FAILED);
        assertThat(run.finishedAt()).isEqualTo(Instant.parse("2026-01-01T00:00:05Z"));
        assertThat(run.template()).isEqualTo(WORKER.template(Pipes.cdc(), Role.SETUP));
    }

    @Test
    void aJobThatIsSuspendedOrAboutToFailHasNotEnded() {
        var job = job("conditions: [{type: FailureTarget, status: 'True'}, {type: Complete, status: 'False'}]");
        assertThat(observe(List.of(job), List.of()).runs())
                .singleElement()
                .matches(run -> run.outcome() == Outcome.ACTIVE);
    }

    @Test
    void whatBelongsToAnotherPipeOfTheSameNameIsNotSeen() {
        var job = job("{}");
        job.getMetadata().getOwnerReferences().getFirst().setUid("another");
        assertThat(observe(List.of(job), List.of()).runs()).isEmpty();
    }

    @Test
    void whatANewerOperatorMadeIsNotSeen() {
        var job = job("{}");
        job.getMetadata().getLabels().put(Worker.COMPONENT, "validate");
        assertThat(observe(List.of(job), List.of()).runs()).isEmpty();
    }

    @Test
    void aPodThatSaidItsLastWords() {
        var pod = onlyPod("""
                phase: Failed
                containerStatuses:
                - state:
                    terminated:
                      exitCode: 10
                      reason: Error
                      message: '{"reason": "WalLevel", "message": "wal_level is replica.", "remedy": "Set it to logical", "new": 1}'
                """);
        assertThat(pod.live()).isFalse();
        assertThat(pod.end().fatal()).isTrue();
        assertThat(pod.end().cause()).isEqualTo(new Cause("WalLevel", "wal_level is replica. Set it to logical"));
    }

    @Test
    void aPodThatLeftTheEndOfItsLog() {
        var pod = onlyPod("""
                phase: Failed
                containerStatuses: [{state: {terminated: {exitCode: 1, reason: Error, message: "{oops\\n\\tat x"}}}]
                """);
        assertThat(pod.end().fatal()).isFalse();
        assertThat(pod.end().cause()).isEqualTo(new Cause("Error", "Error (exit code 1): {oops\n\tat x"));
    }

    @Test
    void aPodThatWasEvictedBeforeItsContainerSaidAnything() {
        var pod = onlyPod("phase: Failed\nreason: Evicted\nmessage: The node was low on resource");
        assertThat(pod.live()).isFalse();
        assertThat(pod.started()).isFalse();
        assertThat(pod.end().cause()).isEqualTo(new Cause("Evicted", "Evicted: The node was low on resource"));
    }

    @Test
    void aPodThatIsRestarted() {
        var pod = onlyPod("""
                phase: Running
                containerStatuses:
                - restartCount: 3
                  state: {waiting: {reason: CrashLoopBackOff, message: back-off}}
                  lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: "2026-01-01T00:00:00Z"}}
                """);
        assertThat(pod.live()).isTrue();
        assertThat(pod.running()).isFalse();
        assertThat(pod.stuck()).isNull();
        assertThat(pod.end().reason()).isEqualTo("OOMKilled");
    }

    @Test
    void aPodThatWaitsInTheOrdinaryWay() {
        var pod = onlyPod("phase: Pending\ncontainerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]");
        assertThat(pod.stuck()).isNull();
        assertThat(pod.started()).isFalse();
        assertThat(pod.end()).isNull();
    }

    @Test
    void aPodWhoseImageCantBePulled() {
        var pod = onlyPod(
                "phase: Pending\ncontainerStatuses: [{state: {waiting: {reason: ImagePullBackOff, message: Back-off}}}]");
        assertThat(pod.stuck()).isEqualTo(new Cause("ImagePullBackOff", "pod p: Back-off"));
    }

    @Test
    void aPodThatOnlyTheEventsKnowAbout() {
        var pod = pod("phase: Pending\ncontainerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]");
        var why = new Cause("FailedMount", "no secret");
        var observed = Observed.of(
                Pipes.cdc(),
                List.of(),
                List.of(),
                List.of(pod),
                List.of(),
                Map.of("pod-uid", new Report(null, null, null, why)));
        assertThat(observed.pods().getFirst().stuck()).isEqualTo(why);
    }

    @Test
    void aPodWithoutAnyStatusYet() {
        assertThat(onlyPod("{}").live()).isTrue();
    }

    private static Observed.Pod onlyPod(String status) {
        return observe(List.of(), List.of(pod(status))).pods().getFirst();
    }

    private static Observed observe(List<Job> jobs, List<Pod> pods) {
        return Observed.of(Pipes.cdc(), jobs, List.of(), pods, List.of(), Map.of());
    }

    private static Job job(String status) {
        var job = WORKER.job(Pipes.cdc(), SETUP);
        job.getMetadata().setUid("job-uid");
        job.setStatus(Serialization.unmarshal(status, io.fabric8.kubernetes.api.model.batch.v1.JobStatus.class));
        return job;
    }

    private static Pod pod(String status) {
        var pod = Serialization.unmarshal("""
                apiVersion: v1
                kind: Pod
                metadata:
                  name: p
                  uid: pod-uid
                  creationTimestamp: "2026-01-01T00:00:00Z"
                  labels: {app.kubernetes.io/component: setup, job-name: j}
                """, Pod.class);
        pod.setStatus(Serialization.unmarshal(status, io.fabric8.kubernetes.api.model.PodStatus.class));
        return pod;
    }
}
