package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.TableMapping;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The pipe file: a ClickPipe manifest in YAML, the same that is applied to a cluster. In a cluster the API server has checked
 * it; by hand nobody has, so that what the schema would refuse for structure is refused here too, unknown fields included.
 */
public final class PipeFile {
    private static final String API_GROUP = "clickpipe.dev/";

    private static final ObjectMapper YAML = YAMLMapper.builder()
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .build();

    @JsonIgnoreProperties("status")
    private record Manifest(String apiVersion, String kind, Metadata metadata, ClickPipeSpec spec) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    private record Metadata(String name, String namespace, String uid) {}

    private PipeFile() {}

    /** As {@link #read(Path, boolean)}, of a file that tells what to replicate. */
    public static Pipe read(Path file) {
        return read(file, true);
    }

    /**
     * Reads the one ClickPipe of a file; other documents of the file, such as Secrets, are passed over.
     *
     * @param mapped whether it has to name tables; some run modes go by what is recorded alone
     * @throws PipeException fatal, with the path of the field that is wrong
     */
    public static Pipe read(Path file, boolean mapped) {
        try {
            var pipes = documents(file).stream()
                    .filter(document -> document.path("apiVersion").asText().startsWith(API_GROUP))
                    .toList();
            if (pipes.size() != 1) {
                throw invalid(
                        file,
                        "holds " + (pipes.isEmpty() ? "no ClickPipe" : pipes.size() + " ClickPipes"),
                        "Give a file with one manifest of apiVersion: clickpipe.dev/v1alpha1, kind: ClickPipe",
                        null);
            }
            return pipe(file, YAML.treeToValue(pipes.getFirst(), Manifest.class), mapped);
        } catch (JsonProcessingException e) {
            throw invalid(file, explain(e), "Correct the field; docs/reference.md lists what there is", e);
        } catch (IOException e) {
            throw invalid(file, "cannot be read: " + e.getClass().getSimpleName(), "Check the path given to --pipe", e);
        }
    }

    private static List<JsonNode> documents(Path file) throws IOException {
        try (var in = Files.newInputStream(file)) {
            return YAML.readerFor(JsonNode.class).<JsonNode>readValues(in).readAll();
        }
    }

    private static Pipe pipe(Path file, Manifest manifest, boolean mapped) {
        var missing = new ArrayList<String>();
        require(
                missing,
                "metadata.name",
                manifest.metadata() == null ? null : manifest.metadata().name());
        var spec = manifest.spec();
        require(missing, "spec", spec);
        if (spec != null) {
            var postgres = spec.source() == null ? null : spec.source().postgres();
            require(missing, "spec.source.postgres", postgres);
            if (postgres != null) {
                require(missing, "spec.source.postgres.host", postgres.host());
                require(missing, "spec.source.postgres.database", postgres.database());
            }
            var clickhouse =
                    spec.destination() == null ? null : spec.destination().clickhouse();
            require(missing, "spec.destination.clickhouse", clickhouse);
            if (clickhouse != null) {
                require(missing, "spec.destination.clickhouse.host", clickhouse.host());
                require(missing, "spec.destination.clickhouse.database", clickhouse.database());
            }
            require(
                    missing,
                    "spec.tableMappings",
                    mapped && spec.tableMappings().isEmpty() ? null : spec);
            for (int i = 0; i < spec.tableMappings().size(); i++) {
                requireMapping(
                        missing,
                        "spec.tableMappings[" + i + "].",
                        spec.tableMappings().get(i));
            }
        }
        if (!missing.isEmpty()) {
            throw invalid(file, "lacks " + String.join(", ", missing), "Add what is missing", null);
        }
        var metadata = manifest.metadata();
        return new Pipe(metadata.namespace(), metadata.name(), metadata.uid(), spec);
    }

    private static void requireMapping(List<String> missing, String path, TableMapping mapping) {
        require(missing, path + "sourceSchemaName", mapping.sourceSchemaName());
        require(missing, path + "sourceTable", mapping.sourceTable());
        require(missing, path + "targetTable", mapping.targetTable());
    }

    private static void require(List<String> missing, String path, Object value) {
        if (value == null || "".equals(value)) {
            missing.add(path);
        }
    }

    private static String explain(JsonProcessingException e) {
        var path = e instanceof JsonMappingException mapping ? path(mapping) : "";
        var what =
                switch (e) {
                    case UnrecognizedPropertyException unknown ->
                        "unknown field; known here: "
                                + unknown.getKnownPropertyIds().stream()
                                        .map(String::valueOf)
                                        .sorted()
                                        .collect(Collectors.joining(", "));
                    case InvalidFormatException format
                    when format.getTargetType().isEnum() ->
                        "\"" + format.getValue() + "\" is none of "
                                + Arrays.stream(format.getTargetType().getEnumConstants())
                                        .map(constant -> YAML.convertValue(constant, String.class))
                                        .collect(Collectors.joining(", "));
                    default -> e.getOriginalMessage();
                };
        var line = e.getLocation() == null ? "" : " (line " + e.getLocation().getLineNr() + ")";
        return (path.isEmpty() ? "" : path + ": ") + what + (path.isEmpty() ? line : "");
    }

    private static String path(JsonMappingException e) {
        var path = new StringBuilder();
        for (var reference : e.getPath()) {
            if (reference.getFieldName() == null) {
                path.append('[').append(reference.getIndex()).append(']');
            } else {
                path.append(path.isEmpty() ? "" : ".").append(reference.getFieldName());
            }
        }
        return path.toString();
    }

    private static PipeException invalid(Path file, String message, String remedy, Exception cause) {
        return PipeException.fatal(new Problem("InvalidPipeFile", "pipe file " + file, message, remedy), cause);
    }
}
