package dev.clickpipe;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * A ClickPipe as an API server stored it. One of each kind is committed in {@link #DIRECTORY}, for the tests of what reads
 * statuses: captured from the cluster of {@link EndToEndIT}, or in {@code fake-kubelet/} by {@code StatusesIT} where the
 * cluster can't be brought into the state at will.
 */
public record StoredPipe(JsonNode json) {
    public static final Path DIRECTORY = Path.of("src/test/resources/statuses");
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    /** @param text JSON or YAML */
    public static StoredPipe parse(String text) {
        try {
            return new StoredPipe(YAML.readTree(text));
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param file relative to {@link #DIRECTORY} */
    public static StoredPipe committed(String file) {
        try {
            return parse(Files.readString(DIRECTORY.resolve(file)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String name() {
        return json.at("/metadata/name").asText();
    }

    public long generation() {
        return json.at("/metadata/generation").asLong();
    }

    /** Empty before the operator has seen it. */
    public String phase() {
        return json.at("/status/phase").asText();
    }

    /** Whether the status is about the spec as it is. */
    public boolean observed() {
        return json.at("/status/observedGeneration").asLong() == generation();
    }

    public boolean deleting() {
        return json.path("metadata").has("deletionTimestamp");
    }

    public boolean ready() {
        return ready("status").equals("True");
    }

    /** Why it is, or is not, ready. */
    public String reason() {
        return ready("reason");
    }

    private String ready(String field) {
        for (var condition : json.at("/status/conditions")) {
            if (condition.path("type").asText().equals("Ready")) {
                return condition.path(field).asText();
            }
        }
        return "";
    }

    /** Whether it is in this phase, for this reason, and the operator has seen all there is to see. */
    public boolean is(String phase, String reason) {
        return observed() && phase().equals(phase) && reason().equals(reason);
    }

    /**
     * Compares with the committed file in what generic tools go by; the rest may be another in every run. Where that differs,
     * the file is written anew, and the test fails.
     *
     * @param constants replaces in the YAML what is another in every run
     */
    public void check(String file, UnaryOperator<String> constants) {
        var path = DIRECTORY.resolve(file);
        if (!Files.exists(path) || !committed(file).signs().equals(signs())) {
            GeneratedFile.check(path, constants.apply(yaml()));
        }
    }

    /** What generic tools go by: phase and conditions, and whether they are about the pipe as it is. */
    List<String> signs() {
        var signs = new ArrayList<>(List.of(phase(), "observed " + observed(), "deleting " + deleting()));
        for (var condition : json.at("/status/conditions")) {
            if (condition.path("type").asText().equals("SlotAtRisk")
                    && !condition.path("status").asText().equals("True")) {
                continue; // whether somebody has seen the slot by then is a matter of seconds
            }
            signs.add("%s=%s %s"
                    .formatted(
                            condition.path("type").asText(),
                            condition.path("status").asText(),
                            condition.path("reason").asText()));
        }
        return signs;
    }

    private String yaml() {
        ObjectNode copy = json.deepCopy();
        ObjectNode metadata = copy.withObjectProperty("metadata");
        metadata.remove(List.of("annotations", "managedFields", "selfLink"));
        metadata.put("resourceVersion", "1").put("uid", "6f1c1a52-55a3-4b52-9a2b-0d8f2f6b8e11");
        try {
            return YAML.writeValueAsString(copy)
                    .replaceAll("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ", "2026-01-01T00:00:00Z")
                    .replaceAll("observedSetup: .*", "observedSetup: \"01234567\"")
                    .replaceAll(
                            "-(setup|snapshot|resync|inspect|teardown)-[0-9a-f]{8}-(\\d+)-\\w{5}",
                            "-$1-01234567-$2-abcde")
                    .replaceAll("-cdc-[0-9a-f]+-\\w{5}", "-cdc-0123456789-abcde");
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }
}
