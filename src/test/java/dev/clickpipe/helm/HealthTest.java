package dev.clickpipe.helm;

import static dev.clickpipe.helm.HealthTest.Argo.Degraded;
import static dev.clickpipe.helm.HealthTest.Argo.Healthy;
import static dev.clickpipe.helm.HealthTest.Argo.Progressing;
import static dev.clickpipe.helm.HealthTest.Kstatus.Current;
import static dev.clickpipe.helm.HealthTest.Kstatus.Failed;
import static dev.clickpipe.helm.HealthTest.Kstatus.InProgress;
import static dev.clickpipe.helm.HealthTest.Kstatus.Terminating;
import static org.assertj.core.api.Assertions.assertThat;

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
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.luaj.vm2.LuaTable;
import org.luaj.vm2.LuaValue;
import org.luaj.vm2.lib.jse.JsePlatform;

/** How generic tools read a pipe: Argo CD by the script of this repository, kubectl plugins and Flux by kstatus. */
class HealthTest {
    enum Argo {
        Healthy,
        Progressing,
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
        assertThat(phases)
                .containsAll(Arrays.stream(Phase.values()).map(Phase::name).toList());
    }

    private static JsonNode read(String file) throws IOException {
        return YAML.readTree(STATUSES.resolve(file).toFile());
    }

    /** As Argo CD runs it: the resource is the global {@code obj}, the result a table. */
    private static LuaTable argo(JsonNode pipe) throws IOException {
        var lua = JsePlatform.standardGlobals();
        lua.set("obj", lua(pipe));
        return lua.load(Files.readString(SCRIPT), "health.lua").call().checktable();
    }

    private static LuaValue lua(JsonNode value) {
        return switch (value.getNodeType()) {
            case OBJECT -> {
                var table = new LuaTable();
                for (Map.Entry<String, JsonNode> field : value.properties()) {
                    table.set(field.getKey(), lua(field.getValue()));
                }
                yield table;
            }
            case ARRAY -> {
                var table = new LuaTable();
                value.forEach(item -> table.set(table.length() + 1, lua(item)));
                yield table;
            }
            case NUMBER -> LuaValue.valueOf(value.asDouble());
            case BOOLEAN -> LuaValue.valueOf(value.asBoolean());
            case STRING -> LuaValue.valueOf(value.asText());
            default -> LuaValue.NIL;
        };
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
