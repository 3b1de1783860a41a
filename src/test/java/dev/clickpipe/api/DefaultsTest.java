package dev.clickpipe.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A manifest means the same whether an API server filled in its defaults or the records did. */
class DefaultsTest {
    private static final Schema SCHEMA = Schema.ofClickPipe();

    @ParameterizedTest
    @MethodSource("dev.clickpipe.api.Manifests#good")
    void theSchemaAddsNothingTheRecordsWouldNot(Manifests.Manifest manifest) {
        var stored = SCHEMA.withDefaults(manifest.content());
        assertThat(Manifests.Manifest.spec(stored)).isEqualTo(manifest.spec());
    }

    @ParameterizedTest
    @MethodSource("dev.clickpipe.api.Manifests#good")
    void theRecordsAddNothingTheSchemaWouldNot(Manifests.Manifest manifest) {
        var stored = SCHEMA.withDefaults(manifest.content()).get("spec");
        JsonNode understood = Manifests.YAML.valueToTree(manifest.spec());
        var missing = new ArrayList<String>();
        compare("spec", understood, stored, missing);
        assertThat(missing).isEmpty();
    }

    /** What says something in the records must be visible in the cluster. */
    private static void compare(String path, JsonNode understood, JsonNode stored, List<String> missing) {
        if (saysNothing(understood)) {
            return;
        }
        if (understood instanceof ObjectNode object && stored.isObject()) {
            object.properties()
                    .forEach(field -> compare(
                            path + "." + field.getKey(), field.getValue(), stored.path(field.getKey()), missing));
        } else if (!understood.isArray() && !understood.equals(stored)) {
            missing.add(path + ": " + understood + " in the records, " + stored + " in the schema");
        }
    }

    private static boolean saysNothing(JsonNode value) {
        return value.isNull()
                || value.isTextual() && value.asText().isEmpty()
                || value.isContainerNode()
                        && (value.isEmpty() || value.valueStream().allMatch(DefaultsTest::saysNothing));
    }
}
