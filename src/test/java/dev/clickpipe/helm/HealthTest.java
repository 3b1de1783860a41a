package dev.clickpipe.helm;

import static dev.clickpipe.helm.HealthTest.Argo.Degraded;
import static dev.clickpipe.helm.HealthTest.Argo.Healthy;
import static dev.clickpipe.helm.HealthTest.Argo.Progressing;
import static dev.clickpipe.helm.HealthTest.Argo.Suspended;
import static dev.clickpipe.helm.HealthTest.Kstatus.Current;
import static dev.clickpipe.helm.HealthTest.Kstatus.Failed;
import static dev.clickpipe.helm.HealthTest.Kstatus.InProgress;
import static dev.clickpipe.helm.HealthTest.Kstatus.Terminating;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import dev.clickpipe.api.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.luaj.vm2.LuaTable;

/** How generic tools read a pipe: Argo CD by the script of this repository, kubectl plugins and Flux by kstatus. */
class HealthTest {
    enum Argo {
        Healthy,
        Progressing,
        Suspended,
        Degraded
    }

    enum Kstatus {
        Current,
        InProgress,
        Failed,
        Terminating
    }

    record Case(String file, Argo argo, Kstatus kstatus) {}

    private static final Path SCRIPT = Path.of("helm/argocd/health.lua");
    private static final Path STATUSES = Path.of("src/test/resources/statuses");
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    static final List<Case> CASES = List.of(
            new Case("provisioning.yaml", Progressing, InProgress),
            new Case("provisioning-secret-missing.yaml", Progressing, InProgress),
            new Case("setup.yaml", Progressing, InProgress),
            new Case("setup-source-down.yaml", Progressing, InProgress),
            new Case("snapshot.yaml", Progressing, InProgress),
            new Case("snapshot-source-down.yaml", Progressing, InProgress),
            new Case("running-worker-starting.yaml", Progressing, InProgress),
            new Case("running.yaml", Healthy, Current),
            new Case("running-spec-edited.yaml", Progressing, InProgress),
            new Case("running-source-down.yaml", Progressing, InProgress),
            new Case("completed.yaml", Healthy, Current),
            new Case("failed-in-setup.yaml", Degraded, Failed),
            new Case("failed-while-streaming.yaml", Degraded, Failed),
            new Case("deleting.yaml", Progressing, Terminating),
            // Before the operator has seen it: without a status kstatus takes a resource for done, Argo CD must not.
            new Case("unseen.yaml", Progressing, Current));

    @ParameterizedTest
    @FieldSource("CASES")
    void argoCdSeesIt(Case one) throws IOException {
        var health = argo(read(one.file()));
        assertThat(health.get("status").tojstring()).isEqualTo(one.argo().name());
        assertThat(health.get("message").tojstring()).isNotEmpty();
    }

    @ParameterizedTest
    @FieldSource("CASES")
    void kstatusSeesIt(Case one) throws IOException {
        assertThat(kstatus(read(one.file()))).isEqualTo(one.kstatus());
    }

    /** Of those there is no captured status yet. */
    static List<Arguments> made() {
        return List.of(
                arguments(made("Pausing", false, "Reconciling"), Progressing, InProgress),
                arguments(made("Paused", true), Suspended, Current),
                arguments(made("Paused", true, "SlotAtRisk"), Degraded, Current),
                arguments(made("Running", true, "SlotAtRisk"), Degraded, Current),
                arguments(made("Modifying", false, "Reconciling"), Progressing, InProgress),
                arguments(made("Resync", false, "Reconciling"), Progressing, InProgress));
    }

    @ParameterizedTest
    @MethodSource("made")
    void isReadRight(JsonNode pipe, Argo argo, Kstatus kstatus) throws IOException {
        assertThat(argo(pipe).get("status").tojstring()).isEqualTo(argo.name());
        assertThat(argo(pipe).get("message").tojstring()).isNotEmpty();
        assertThat(kstatus(pipe)).isEqualTo(kstatus);
    }

    private static JsonNode made(String phase, boolean ready, String... others) {
        try {
            return YAML.readTree("""
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
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void everyStatusIsJudged() throws IOException {
        try (var files = Files.list(STATUSES)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrderElementsOf(
                            CASES.stream().map(Case::file).toList());
        }
    }

    /** So that a phase that is added gets a status here. */
    @Test
    void everyPhaseIsThere() throws IOException {
        var phases = new ArrayList<String>();
        for (var one : CASES) {
            phases.add(read(one.file()).at("/status/phase").asText());
        }
        made().forEach(one ->
                phases.add(((JsonNode) one.get()[0]).at("/status/phase").asText()));
        assertThat(phases)
                .containsAll(Arrays.stream(Phase.values()).map(Phase::name).toList());
    }

    private static JsonNode read(String file) throws IOException {
        return YAML.readTree(STATUSES.resolve(file).toFile());
    }

    private static LuaTable argo(JsonNode pipe) throws IOException {
        return Lua.run(Files.readString(SCRIPT), pipe);
    }

    /** The generic rules of sigs.k8s.io/cli-utils, pkg/kstatus/status: deletion, generation, Reconciling and Stalled, then Ready. */
    private static Kstatus kstatus(JsonNode pipe) {
        if (pipe.path("metadata").has("deletionTimestamp")) {
            return Terminating;
        }
        var status = pipe.path("status");
        if (status.has("observedGeneration")
                && status.get("observedGeneration").asLong()
                        != pipe.at("/metadata/generation").asLong()) {
            return InProgress;
        }
        for (var condition : status.path("conditions")) {
            if (is(condition, "Reconciling", "True")) {
                return InProgress;
            }
            if (is(condition, "Stalled", "True")) {
                return Failed;
            }
        }
        for (var condition : status.path("conditions")) {
            if (condition.get("type").asText().equals("Ready")) {
                return is(condition, "Ready", "True") ? Current : InProgress;
            }
        }
        return Current;
    }

    private static boolean is(JsonNode condition, String type, String status) {
        return condition.get("type").asText().equals(type)
                && condition.get("status").asText().equals(status);
    }
}
