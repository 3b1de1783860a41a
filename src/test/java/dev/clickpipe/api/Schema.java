package dev.clickpipe.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.BiConsumer;
import java.util.stream.StreamSupport;

/**
 * The OpenAPI schema of the CRD, read as the API server reads it (Kubernetes documentation, "Extend the
 * Kubernetes API with CustomResourceDefinitions").
 *
 * @param path of the field, such as {@code spec.tableMappings[].targetTable}; empty for the root
 */
record Schema(String path, JsonNode node) {

    static Schema ofClickPipe() {
        return new Schema("", version().at("/schema/openAPIV3Schema"));
    }

    /** The CRD's one version. */
    static JsonNode version() {
        try {
            return Manifests.YAML.readTree(CrdGenerator.yaml()).at("/spec/versions/0");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String description() {
        return node.path("description").asText();
    }

    String type() {
        return node.path("type").asText();
    }

    /** Every field's schema, this one first, parents before children, in the order of the file. */
    void forEach(java.util.function.Consumer<Schema> visitor) {
        visitor.accept(this);
        node.path("properties").properties().forEach(property -> property(property.getKey())
                .forEach(visitor));
        if (node.has("items")) {
            items().forEach(visitor);
        }
    }

    Schema property(String name) {
        return new Schema(
                path.isEmpty() ? name : path + "." + name,
                node.get("properties").get(name));
    }

    Schema items() {
        return new Schema(path + "[]", node.get("items"));
    }

    /** The object as the API server stores it: with the schema's defaults where fields are absent. */
    JsonNode withDefaults(JsonNode object) {
        var copy = object.deepCopy();
        fill(copy);
        return copy;
    }

    private void fill(JsonNode value) {
        if (value instanceof ObjectNode object) {
            for (var property : node.path("properties").properties()) {
                var schema = property(property.getKey());
                if (!object.has(property.getKey()) && schema.node.has("default")) {
                    object.set(property.getKey(), schema.node.get("default").deepCopy());
                }
                if (object.has(property.getKey())) {
                    schema.fill(object.get(property.getKey()));
                }
            }
        } else if (value instanceof ArrayNode array) {
            array.forEach(items()::fill);
        }
    }

    /** Every rule with every part of the object that it is about. */
    void forEachRule(JsonNode value, BiConsumer<Rule, JsonNode> visitor) {
        node.path("x-kubernetes-validations")
                .forEach(rule -> visitor.accept(
                        new Rule(rule.get("rule").asText(), rule.get("message").asText()), value));
        for (var property : node.path("properties").properties()) {
            if (value.has(property.getKey())) {
                property(property.getKey()).forEachRule(value.get(property.getKey()), visitor);
            }
        }
        if (node.has("items") && value.isArray()) {
            StreamSupport.stream(value.spliterator(), false).forEach(item -> items().forEachRule(item, visitor));
        }
    }

    record Rule(String expression, String message) {}
}
