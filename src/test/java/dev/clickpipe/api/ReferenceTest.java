package dev.clickpipe.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.clickpipe.GeneratedFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** {@code docs/reference.md}, made from the CRD. */
class ReferenceTest {
    private static final Path FILE = Path.of("docs/reference.md");

    @Test
    void theReferenceIsWhatTheSchemaSays() {
        GeneratedFile.check(FILE, reference());
    }

    private static String reference() {
        var page = new StringBuilder("""
                # ClickPipe reference

                <!-- Made from the records in src/main/java/dev/clickpipe/api by ReferenceTest; edit those. -->

                `apiVersion: clickpipe.dev/v1alpha1`, `kind: ClickPipe`, short name `pipe`, in a namespace. `examples/complete.yaml` has every
                field of the spec; `kubectl explain clickpipe.spec` says the same as this page.

                The API server refuses a manifest that breaks a type, a limit or one of the rules below, and says which. What takes
                the databases to tell is refused by Setup. Any field may be changed on a live pipe.

                """);
        var schema = Schema.ofClickPipe();
        section(page, schema.property("spec"));
        section(page, schema.property("status"));
        page.append("""
                ## Columns of `kubectl get clickpipes`

                | Column | Shown | From | Meaning |
                |---|---|---|---|
                """);
        for (var column : Schema.version().get("additionalPrinterColumns")) {
            row(
                    page,
                    column.get("name").asText().toUpperCase(Locale.ROOT),
                    column.get("priority").asInt() == 0 ? "always" : "with `-o wide`",
                    "`" + column.get("jsonPath").asText() + "`",
                    text(column.path("description").asText()));
        }
        return page.toString();
    }

    /** One object: its fields as a table, its rules, then the objects in it. */
    private static void section(StringBuilder page, Schema object) {
        page.append(object.path().contains(".") ? "### `" : "## `")
                .append(object.path())
                .append("`\n\n");
        var top = !object.path().contains(".");
        if (top) {
            page.append(text(object.description())).append("\n\n");
        }
        var isSpec = object.path().startsWith("spec");
        page.append(
                isSpec
                        ? "| Field | Type | Default | Meaning |\n|---|---|---|---|\n"
                        : "| Field | Type | Meaning |\n|---|---|---|\n");
        var inside = new ArrayList<Schema>();
        for (var property : object.node().get("properties").properties()) {
            var field = object.property(property.getKey());
            var fieldsOf = field.type().equals("array") ? field.items() : field;
            if (!CrdTest.KUBERNETES_TYPES.contains(field.path())
                    && fieldsOf.node().has("properties")) {
                inside.add(fieldsOf);
            }
            var name = "`" + property.getKey() + "`";
            if (isSpec) {
                row(page, name, type(field), defaultOf(object, property.getKey()), text(field.description()));
            } else {
                row(page, name, type(field), text(field.description()));
            }
        }
        page.append('\n');
        for (var rule : object.node().path("x-kubernetes-validations")) {
            page.append("- Rule: ").append(text(rule.get("message").asText())).append(".\n");
        }
        if (object.node().has("x-kubernetes-validations")) {
            page.append('\n');
        }
        inside.forEach(field -> section(page, field));
    }

    /** What Markdown would take for emphasis becomes code. */
    private static String text(String description) {
        return description.replaceAll("(?<![\\w`])[\\w./]*_[\\w./]*\\*?|[\\w./]+\\*", "`$0`");
    }

    private static void row(StringBuilder page, String... cells) {
        page.append("| ").append(String.join(" | ", cells)).append(" |\n");
    }

    private static String type(Schema field) {
        if (CrdTest.KUBERNETES_TYPES.contains(field.path())) {
            return "as in a pod";
        }
        return switch (field.type()) {
            case "object" -> field.node().has("properties") ? link(field, "object") : "map of texts";
            case "array" -> "list of " + elements(field.items()) + unique(field.node());
            case "integer" -> "integer" + range(field.node());
            case "string" -> field.node().has("enum") ? choices(field.node()) : "text" + length(field.node());
            default -> field.type();
        };
    }

    private static String elements(Schema items) {
        return items.node().has("properties") ? link(items, "objects") : "texts";
    }

    /** As GitHub and GitLab make anchors of headings. */
    private static String link(Schema field, String text) {
        return "[" + text + "](#" + field.path().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9_-]", "") + ")";
    }

    private static String unique(JsonNode list) {
        var keys = new ArrayList<String>();
        list.path("x-kubernetes-list-map-keys").forEach(key -> keys.add("`" + key.asText() + "`"));
        return !keys.isEmpty()
                ? ", one for each " + String.join(", ", keys)
                : list.path("x-kubernetes-list-type").asText().equals("set") ? ", each once" : "";
    }

    private static String range(JsonNode integer) {
        return integer.has("minimum") ? ", " + integer.get("minimum") + " to " + integer.get("maximum") : "";
    }

    private static String length(JsonNode text) {
        return text.has("maxLength") ? ", at most " + text.get("maxLength") + " characters" : "";
    }

    private static String choices(JsonNode text) {
        return text.get("enum")
                .valueStream()
                .map(value -> "`" + value.asText() + "`")
                .collect(Collectors.joining(", "));
    }

    private static String defaultOf(Schema object, String property) {
        var required = object.node()
                .path("required")
                .valueStream()
                .map(JsonNode::asText)
                .toList();
        if (required.contains(property)) {
            return "required";
        }
        var value = object.property(property).node().path("default");
        return value.isValueNode() ? "`" + value.asText() + "`" : "";
    }
}
