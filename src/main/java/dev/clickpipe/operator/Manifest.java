package dev.clickpipe.operator;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeSpec;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * The pipe file of one role: the ClickPipe's manifest, with what this role needs of it and nothing else, so that no edit
 * restarts a worker that it does not concern.
 *
 * @param yaml the file's text
 * @param key stands for everything in it. Fields that have their default value do not count: a field that a later version
 *     adds changes no key, and so an upgrade restarts nothing by it.
 */
record Manifest(String yaml, String key) {

    private static final List<String> STREAM_TUNING = List.of("syncIntervalSeconds", "pullBatchSize");
    private static final List<String> LOAD_TUNING =
            List.of("initialLoadParallelism", "snapshotNumRowsPerPartition", "snapshotNumberOfParallelTables");
    private static final List<String> CONNECTION = List.of("host", "port", "credentials", "tls");
    private static final List<String> TABLES = List.of("tableMappings", "resync");
    private static final List<String> STREAM = List.of("replicationMode", "replicationSlotName");

    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
            .defaultPropertyInclusion(JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, null))
            .build();
    private static final ObjectMapper YAML = new ObjectMapper(YAMLFactory.builder()
            .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
            .disable(YAMLGenerator.Feature.SPLIT_LINES)
            .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
            .enable(YAMLGenerator.Feature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
            .enable(YAMLGenerator.Feature.INDENT_ARRAYS_WITH_INDICATOR)
            .build());

    /** The spec of which the user has said nothing: every default, and nothing else. */
    private static final JsonNode DEFAULTS = defaults();

    static Manifest of(ClickPipe pipe, Role role) {
        var spec = spec(pipe);
        spec.remove("state");
        if (role != Role.TEARDOWN && role != Role.SETUP) {
            spec.remove("deletionPolicy");
        }
        if (role == Role.CDC) {
            // It goes by what is recorded, so that it runs on while tables come and go.
            spec.remove(TABLES);
        }
        if (role != Role.CDC) {
            settings(spec).remove(STREAM_TUNING);
        }
        if (role != Role.SNAPSHOT) {
            settings(spec).remove(LOAD_TUNING);
        }
        var manifest = JSON.createObjectNode();
        manifest.put("apiVersion", pipe.getApiVersion()).put("kind", pipe.getKind());
        manifest.putObject("metadata")
                .put("namespace", pipe.getMetadata().getNamespace())
                .put("name", pipe.getMetadata().getName())
                .put("uid", pipe.getMetadata().getUid());
        manifest.set("spec", spec);
        try {
            return new Manifest(YAML.writeValueAsString(manifest), key(pipe, spec));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(
                    "cannot write the pipe file of " + pipe.getMetadata().getName(), e);
        }
    }

    /**
     * Stands for what Setup checks and makes: another value means that Setup is due. How to reach the servers and how fast to
     * read is not part of it: those apply to a running pipe as they are.
     */
    static String setupKey(ClickPipe pipe) {
        var spec = spec(pipe);
        spec.remove(List.of("deletionPolicy", "state"));
        settings(spec).remove(STREAM_TUNING).remove(LOAD_TUNING);
        ((ObjectNode) spec.at("/source/postgres")).remove(CONNECTION);
        ((ObjectNode) spec.at("/destination/clickhouse")).remove(CONNECTION);
        return key(pipe, spec);
    }

    /**
     * Stands for which stream is read and where it is written to. With another value, a stream waits until Setup has accepted
     * it; all else about it applies at once.
     */
    static String streamKey(ClickPipe pipe) {
        var spec = spec(pipe);
        settings(spec).retain(STREAM);
        return digest(List.of(
                spec.at("/source/postgres/database"),
                spec.at("/source/postgres/settings"),
                spec.at("/destination/clickhouse/database")));
    }

    /** Eight hexadecimal digits that stand for this value as JSON, whatever the order of its fields. */
    static String digest(Object value) {
        try {
            var sorted = JSON.writeValueAsBytes(JSON.convertValue(value, Object.class));
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(sorted), 0, 4);
        } catch (JsonProcessingException | NoSuchAlgorithmException e) {
            throw new IllegalStateException("cannot digest " + value, e);
        }
    }

    private static String key(ClickPipe pipe, ObjectNode spec) {
        // The UID too: a pipe deleted and made again under its name must not take the old one's children for its own.
        return digest(List.of(pipe.getMetadata().getUid(), withoutDefaults(spec.deepCopy(), DEFAULTS)));
    }

    private static ObjectNode spec(ClickPipe pipe) {
        ObjectNode spec = JSON.valueToTree(pipe.getSpec());
        spec.remove("workers");
        return spec;
    }

    private static ObjectNode settings(ObjectNode spec) {
        return (ObjectNode) spec.at("/source/postgres/settings");
    }

    private static JsonNode withoutDefaults(JsonNode value, JsonNode defaults) {
        if (value instanceof ObjectNode object) {
            List.copyOf(object.properties()).forEach(field -> {
                var rest = withoutDefaults(field.getValue(), defaults.path(field.getKey()));
                if (rest.equals(defaults.path(field.getKey())) || rest.isObject() && rest.isEmpty()) {
                    object.remove(field.getKey());
                }
            });
        } else if (value instanceof ArrayNode array
                && !array.isEmpty()
                && array.get(0).isObject()) {
            array.forEach(element -> withoutDefaults(element, defaults.path(0)));
        }
        return value;
    }

    private static JsonNode defaults() {
        try {
            return JSON.valueToTree(JSON.readValue("""
                    {"source": {"postgres": {"credentials": {"secretRef": {}}}},
                     "tableMappings": [{}],
                     "destination": {"clickhouse": {"credentials": {"secretRef": {}}, "tls": {}}}}""", ClickPipeSpec.class));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
