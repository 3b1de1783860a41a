package dev.clickpipe.helm;

import static dev.clickpipe.helm.Health.Argo.Degraded;
import static dev.clickpipe.helm.Health.Argo.Healthy;
import static dev.clickpipe.helm.Health.Argo.Progressing;
import static dev.clickpipe.helm.Health.Argo.Suspended;
import static dev.clickpipe.helm.Health.Kstatus.Current;
import static dev.clickpipe.helm.Health.Kstatus.Failed;
import static dev.clickpipe.helm.Health.Kstatus.InProgress;
import static dev.clickpipe.helm.Health.Kstatus.Terminating;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.clickpipe.StoredPipe;
import dev.clickpipe.api.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The committed statuses; {@code EndToEndIT} judges likewise every one that its cluster stores. */
class HealthTest {
    record Case(String file, Health.Argo argo, Health.Kstatus kstatus) {}

    static final List<Case> CASES = List.of(
            // Before the operator has seen it: without a status kstatus takes a resource for done, Argo CD must not.
            new Case("unseen.yaml", Progressing, Current),
            new Case("provisioning.yaml", Progressing, InProgress),
            new Case("provisioning-secret-missing.yaml", Progressing, InProgress),
            new Case("setup.yaml", Progressing, InProgress),
            new Case("setup-source-down.yaml", Progressing, InProgress),
            new Case("snapshot.yaml", Progressing, InProgress),
            new Case("fake-kubelet/snapshot-source-down.yaml", Progressing, InProgress),
            new Case("running-worker-starting.yaml", Progressing, InProgress),
            new Case("running.yaml", Healthy, Current),
            new Case("running-spec-edited.yaml", Progressing, InProgress),
            new Case("running-source-down.yaml", Progressing, InProgress),
            new Case("completed.yaml", Healthy, Current),
            new Case("failed-in-setup.yaml", Degraded, Failed),
            new Case("failed-while-streaming.yaml", Degraded, Failed),
            new Case("deleting.yaml", Progressing, Terminating),
            new Case("fake-kubelet/pausing.yaml", Progressing, InProgress),
            new Case("fake-kubelet/paused.yaml", Suspended, Current),
            new Case("fake-kubelet/paused-slot-at-risk.yaml", Degraded, Current),
            new Case("fake-kubelet/modifying.yaml", Progressing, InProgress),
            new Case("fake-kubelet/snapshot-resync.yaml", Progressing, InProgress),
            new Case("fake-kubelet/resync.yaml", Progressing, InProgress),
            new Case("fake-kubelet/failed-slot-lost.yaml", Degraded, Failed));

    @ParameterizedTest
    @FieldSource("CASES")
    void isReadRight(Case one) throws IOException {
        var pipe = StoredPipe.committed(one.file()).json();
        assertThat(Health.of(pipe)).isEqualTo(new Health(one.argo(), one.kstatus()));
        assertThat(Health.message(pipe)).isNotEmpty();
    }

    /** Of this there is no captured status. */
    static List<Arguments> made() {
        return List.of(arguments(made("Running", true, "SlotAtRisk"), Degraded, Current));
    }

    @ParameterizedTest
    @MethodSource("made")
    void isReadRight(StoredPipe pipe, Health.Argo argo, Health.Kstatus kstatus) {
        assertThat(Health.of(pipe.json())).isEqualTo(new Health(argo, kstatus));
        assertThat(Health.message(pipe.json())).isNotEmpty();
    }

    private static StoredPipe made(String phase, boolean ready, String... others) {
        return StoredPipe.parse("""
                metadata: {generation: 2}
                status:
                  phase: %1$s
                  message: The pipe is %1$s.
                  observedGeneration: 2
                  conditions:
                    - {type: Ready, status: "%2$s", reason: %1$s, message: The pipe is %1$s.}
                    - {type: Reconciling, status: "%3$s", reason: %1$s, message: Nothing is under way.}
                    - {type: Stalled, status: "False", reason: %1$s, message: It needs nobody to go on.}
                    - {type: SlotAtRisk, status: "%4$s", reason: %1$s, message: WAL is about to be dropped.}
                """.formatted(
                        phase,
                        ready ? "True" : "False",
                        List.of(others).contains("Reconciling") ? "True" : "False",
                        List.of(others).contains("SlotAtRisk") ? "True" : "False"));
    }

    @Test
    void everyStatusIsJudged() throws IOException {
        try (var files = Files.walk(StoredPipe.DIRECTORY)) {
            assertThat(files.filter(Files::isRegularFile)
                            .map(file -> StoredPipe.DIRECTORY.relativize(file).toString()))
                    .containsExactlyInAnyOrderElementsOf(
                            CASES.stream().map(Case::file).toList());
        }
    }

    /** So that a phase that is added gets a status here. */
    @Test
    void everyPhaseIsThere() throws IOException {
        var phases = new ArrayList<String>();
        for (var one : CASES) {
            phases.add(StoredPipe.committed(one.file()).phase());
        }
        made().forEach(one -> phases.add(((StoredPipe) one.get()[0]).phase()));
        assertThat(phases)
                .containsAll(Arrays.stream(Phase.values()).map(Phase::name).toList());
    }
}
