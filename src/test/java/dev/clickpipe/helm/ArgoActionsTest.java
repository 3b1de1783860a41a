package dev.clickpipe.helm;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;

/** Argo CD's resource actions, run as it runs them, on a status from the cluster. */
class ArgoActionsTest {
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());
    private static final String NAME = "clickpipe.dev_ClickPipe";

    private final JsonNode actions = yaml("helm/argocd/actions.yaml");
    private final JsonNode application = yaml("examples/argocd/application.yaml");
    private final ObjectNode pipe = (ObjectNode) yaml("src/test/resources/statuses/running.yaml");

    @Test
    void aRunningPipeCanBePausedAndResynced() {
        assertThat(offered()).containsExactly("pause", "resync");
    }

    @Test
    void aPausedOneCanBeResumedAndResynced() {
        spec().put("state", "Paused");
        assertThat(offered()).containsExactly("resume", "resync");
    }

    @Test
    void whatLoadsNothingCantBeResynced() {
        ((ObjectNode) pipe.at("/spec/source/postgres/settings")).put("replicationMode", "cdc_only");
        assertThat(offered()).containsExactly("pause");
    }

    @Test
    void nothingIsOfferedForOneThatIsBeingDeleted() {
        ((ObjectNode) pipe.get("metadata")).put("deletionTimestamp", "2026-01-01T00:00:00Z");
        assertThat(offered()).isEmpty();
    }

    @Test
    void settingsMayBeAbsent() {
        ((ObjectNode) pipe.at("/spec/source/postgres")).remove("settings");
        assertThat(offered()).containsExactly("pause", "resync");
    }

    @Test
    void pauseAndResumeSetTheStateAlone() {
        assertThat(changedBy("pause")).isEqualTo("{\"state\":\"Paused\"}");
        spec().put("state", "Paused");
        assertThat(changedBy("resume")).isEqualTo("{\"state\":\"Running\"}");
    }

    @Test
    void resyncSetsATokenOfThisSecond() throws IOException {
        var token = YAML.readTree(changedBy("resync")).get("resync").asText();
        assertThat(Duration.between(Instant.parse(token), Instant.now())).isLessThan(Duration.ofMinutes(1));
        spec().put("resync", "2026-01-01T00:00:00Z");
        assertThat(changedBy("resync")).contains("resync").doesNotContain("2026-01-01");
    }

    @Test
    void everyActionOfTheListIsDefined() {
        assertThat(definitions())
                .containsExactlyInAnyOrderElementsOf(Lua.json(discovered()).properties().stream()
                        .map(action -> action.getKey())
                        .toList());
    }

    /** So that what an action writes is not taken back by the next sync. */
    @Test
    void theExampleApplicationLeavesToTheActionsWhatTheyWrite() throws IOException {
        var written = new TreeSet<String>();
        for (var action : definitions()) {
            spec().put("state", action.equals("resume") ? "Paused" : "Running");
            YAML.readTree(changedBy(action)).fieldNames().forEachRemaining(field -> written.add("/spec/" + field));
        }
        var ignored = application.at("/spec/ignoreDifferences/0");
        assertThat(ignored.get("group").asText() + "_" + ignored.get("kind").asText())
                .isEqualTo(NAME);
        assertThat(ignored.get("jsonPointers").valueStream().map(JsonNode::asText))
                .containsExactlyInAnyOrderElementsOf(written);
        assertThat(application.at("/spec/syncPolicy/syncOptions").valueStream().map(JsonNode::asText))
                .as("else selfHeal would take them back")
                .contains("RespectIgnoreDifferences=true");
    }

    private List<String> definitions() {
        return actions.get("definitions")
                .valueStream()
                .map(definition -> definition.get("name").asText())
                .toList();
    }

    private Set<String> offered() {
        var enabled = new TreeSet<String>();
        for (var action : Lua.json(discovered()).properties()) {
            assertThat(action.getValue().get("displayName").asText()).isNotEmpty();
            assertThat(action.getValue().get("disabled"))
                    .asInstanceOf(InstanceOfAssertFactories.type(JsonNode.class))
                    .matches(JsonNode::isBoolean);
            if (!action.getValue().get("disabled").asBoolean()) {
                enabled.add(action.getKey());
            }
        }
        return enabled;
    }

    private org.luaj.vm2.LuaTable discovered() {
        return Lua.run(actions.get("discovery.lua").asText(), pipe);
    }

    /** The fields of spec that the action sets, with their new values; it changes nothing else. */
    private String changedBy(String action) {
        var script = actions.get("definitions")
                .valueStream()
                .filter(definition -> definition.get("name").asText().equals(action))
                .findFirst()
                .orElseThrow()
                .get("action.lua")
                .asText();
        var before = (ObjectNode) Lua.json(Lua.value(pipe));
        var after = (ObjectNode) Lua.json(Lua.run(script, pipe));
        var changed = YAML.createObjectNode();
        for (var field : new ArrayList<>(after.get("spec").properties())) {
            if (!field.getValue().equals(before.get("spec").get(field.getKey()))) {
                changed.set(field.getKey(), field.getValue());
                before.withObjectProperty("spec").set(field.getKey(), field.getValue());
            }
        }
        assertThat(after).isEqualTo(before);
        return changed.toString();
    }

    private ObjectNode spec() {
        return (ObjectNode) pipe.get("spec");
    }

    private static JsonNode yaml(String file) {
        try {
            return YAML.readTree(Path.of(file).toFile());
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
