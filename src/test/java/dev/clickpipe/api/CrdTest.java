package dev.clickpipe.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.clickpipe.GeneratedFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class CrdTest {
    static final Path FILE = Path.of("crds/clickpipes.clickpipe.dev-v1.yml");

    private static final Path HELM_TEMPLATE = Path.of("helm/clickpipe-operator/templates/crds/clickpipes.yaml");

    /** Kubernetes' own types: what is below them is documented and bounded there. */
    static final Set<String> KUBERNETES_TYPES = Set.of(
            "spec.workers.resources",
            "spec.workers.tolerations",
            "spec.workers.affinity",
            "spec.workers.imagePullSecrets");

    private static final Schema SCHEMA = Schema.ofClickPipe();

    @Test
    void theCommittedFileIsWhatTheRecordsSay() {
        GeneratedFile.check(FILE, CrdGenerator.yaml());
    }

    @Test
    void theChartHasTheSame() {
        GeneratedFile.check(HELM_TEMPLATE, CrdGenerator.helmTemplate());
    }

    @Test
    void itIsMadeTheSameTwice() {
        assertThat(CrdGenerator.yaml()).isEqualTo(CrdGenerator.yaml());
    }

    /** kubectl apply keeps a copy in an annotation, which may have 256 KiB. */
    @Test
    void itIsSmall() {
        assertThat(CrdGenerator.yaml().getBytes(StandardCharsets.UTF_8)).hasSizeLessThan(100_000);
    }

    @Test
    void columnsComeInTheOrderPeopleReadThem() {
        var always = new ArrayList<String>();
        var wide = new ArrayList<String>();
        for (var column : Schema.version().get("additionalPrinterColumns")) {
            (column.get("priority").asInt() == 0 ? always : wide)
                    .add(column.get("name").asText());
        }
        assertThat(always).containsExactly("Phase", "Ready", "Tables", "Progress", "Lag", "Age");
        assertThat(wide).containsExactly("Source", "Destination", "Message");
    }

    @Test
    void everyFieldIsDescribed() {
        var silent = new ArrayList<String>();
        SCHEMA.forEach(field -> {
            if (field.description().isEmpty() && !field.path().endsWith("[]") && isOurs(field)) {
                silent.add(field.path());
            }
        });
        assertThat(silent).isEmpty();
    }

    @Test
    void everyTextAndListInTheSpecHasALimit() {
        var unlimited = new ArrayList<String>();
        SCHEMA.property("spec").forEach(field -> {
            var limited =
                    switch (field.type()) {
                        case "string" ->
                            field.node().has("maxLength") || field.node().has("enum");
                        case "array" -> field.node().has("maxItems");
                        default -> true;
                    };
            if (!limited && isOurs(field)) {
                unlimited.add(field.path());
            }
        });
        assertThat(unlimited).isEmpty();
    }

    @Test
    void theCompleteExampleHasEveryField() {
        var example = Manifests.example("complete.yaml").content();
        var absent = new ArrayList<String>();
        SCHEMA.property("spec").forEach(field -> {
            if (isOurs(field) && valuesAt(example, field.path()).isEmpty()) {
                absent.add(field.path());
            }
        });
        assertThat(absent).isEmpty();
    }

    private static boolean isOurs(Schema field) {
        return KUBERNETES_TYPES.stream()
                .noneMatch(
                        type -> field.path().startsWith(type) && !field.path().equals(type));
    }

    private static List<JsonNode> valuesAt(JsonNode manifest, String path) {
        var values = List.of(manifest);
        for (var step : path.split("\\.")) {
            var name = step.replace("[]", "");
            values = values.stream()
                    .filter(value -> value.has(name))
                    .map(value -> value.get(name))
                    .flatMap(value -> step.endsWith("[]") ? value.valueStream() : Stream.of(value))
                    .toList();
        }
        return values;
    }
}
