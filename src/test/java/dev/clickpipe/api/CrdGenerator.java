package dev.clickpipe.api;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.fabric8.crdv2.generator.CRDGenerator;
import io.fabric8.crdv2.generator.CRDPostProcessor;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceColumnDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinitionBuilder;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/** Makes the CustomResourceDefinition from the records of this package: fabric8's generator, and what it cannot know. */
final class CrdGenerator {
    private static final List<String> COLUMNS = List.of(
            "Phase", "Ready", "Tables", "Progress", "Lag", "Age", /* wide */ "Source", "Destination", "Message");

    /** As Kubernetes' own resources have it. */
    private static final String QUANTITY =
            "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

    private static final Map<String, String> CONDITION = Map.of(
            "type", "Ready, Reconciling, Stalled or InitialLoadComplete.",
            "status", "True, False or Unknown.",
            "reason", "Why, in one CamelCase word, for machines.",
            "message", "Why, in a sentence, for people.",
            "lastTransitionTime", "When status last changed.",
            "observedGeneration", "The generation of the spec that this condition describes.");

    private CrdGenerator() {}

    /** The file of {@code crds/}. */
    static String yaml() {
        return "# Made from the records in src/main/java/dev/clickpipe/api by CrdTest; edit those.\n"
                + write(definition());
    }

    /** The same as a template of the Helm chart: it outlives an uninstall, because every ClickPipe dies with it. */
    static String helmTemplate() {
        var kept = new CustomResourceDefinitionBuilder(definition())
                .editMetadata()
                .addToAnnotations("helm.sh/resource-policy", "keep")
                .endMetadata()
                .build();
        return """
                {{- /* Made from the records in src/main/java/dev/clickpipe/api by CrdTest; edit those. */ -}}
                {{- if .Values.crds.create }}
                %s{{- end }}
                """.formatted(write(kept));
    }

    static CustomResourceDefinition definition() {
        var made = new AtomicReference<CustomResourceDefinition>();
        new CRDGenerator()
                .customResourceClasses(ClickPipe.class)
                .forCRDVersions("v1")
                .withParallelGenerationEnabled(false)
                .withOutput(new Nowhere())
                .withPostProcessor(new CRDPostProcessor() {
                    @Override
                    public HasMetadata process(HasMetadata crd, String crdSpecVersion) {
                        made.set((CustomResourceDefinition) crd);
                        return crd;
                    }
                })
                .detailedGenerate();
        return shaped(made.get());
    }

    private static CustomResourceDefinition shaped(CustomResourceDefinition crd) {
        var version = crd.getSpec().getVersions().getFirst();
        version.getAdditionalPrinterColumns()
                .sort(Comparator.comparing(
                        CustomResourceColumnDefinition::getName, Comparator.comparing(COLUMNS::indexOf)));

        var root = version.getSchema().getOpenAPIV3Schema();
        root.setDescription("One replication job: tables of one Postgres database into one ClickHouse database.");
        root.setRequired(List.of("spec"));
        var spec = root.getProperties().get("spec");
        spec.setDescription("What the user wants. The operator never writes it.");
        var status = root.getProperties().get("status");
        status.setDescription("What is. Derived, and rebuilt by the operator when lost. Times are RFC 3339 in UTC.");
        inOrderOf(ClickPipeSpec.class, spec);
        inOrderOf(ClickPipeStatus.class, status);

        // Unique target tables, without a rule that compares each with each.
        var mappings = spec.getProperties().get("tableMappings");
        mappings.setXKubernetesListType("map");
        mappings.setXKubernetesListMapKeys(List.of("targetTable"));
        mappings.getItems().getSchema().getProperties().get("excludedColumns").setXKubernetesListType("set");
        var columns = mappings.getItems().getSchema().getProperties().get("columns");
        columns.setXKubernetesListType("map");
        columns.setXKubernetesListMapKeys(List.of("name"));

        var conditions = status.getProperties().get("conditions");
        conditions.setXKubernetesListType("map");
        conditions.setXKubernetesListMapKeys(List.of("type"));
        var condition = conditions.getItems().getSchema();
        condition.setRequired(List.of("type", "status", "reason", "message", "lastTransitionTime"));
        CONDITION.forEach((name, what) -> condition.getProperties().get(name).setDescription(what));
        condition.getProperties().get("status").setEnum(texts("True", "False", "Unknown"));
        condition.getProperties().get("lastTransitionTime").setFormat("date-time");

        var workers = spec.getProperties().get("workers").getProperties();
        var resources = workers.get("resources").getProperties();
        resources.remove("claims"); // names claims of the pod, which a ClickPipe cannot make
        for (var amounts : resources.values()) {
            amounts.getAdditionalProperties().getSchema().setPattern(QUANTITY);
        }
        workers.get("labels").setMaxProperties(64L); // what a rule looks at needs a bound
        return crd;
    }

    /** Properties in the order of the record's components, and enum values in that of the constants, down the tree. */
    private static void inOrderOf(Class<?> type, JSONSchemaProps schema) {
        if (type.isEnum() && schema.getEnum() != null) {
            var values = new ObjectMapper();
            schema.setEnum(Arrays.stream(type.getEnumConstants())
                    .map(constant -> values.convertValue(constant, JsonNode.class))
                    .toList());
        }
        if (!type.isRecord()) {
            return;
        }
        var ordered = new LinkedHashMap<String, JSONSchemaProps>();
        for (var component : type.getRecordComponents()) {
            var property = schema.getProperties().get(component.getName());
            ordered.put(component.getName(), property);
            inOrderOf(
                    elementType(component),
                    property.getItems() == null ? property : property.getItems().getSchema());
            if (property.getDefault() instanceof ObjectNode ofRecord) {
                ofRecord.removeIf(value -> value.isNull() || value.asText().isEmpty() && !value.isContainerNode());
            }
        }
        schema.setProperties(ordered);
    }

    private static Class<?> elementType(RecordComponent component) {
        Type type = component.getGenericType();
        if (type instanceof ParameterizedType list && list.getRawType() == List.class) {
            type = list.getActualTypeArguments()[0];
        }
        return type instanceof Class<?> plain ? plain : Object.class;
    }

    private static List<JsonNode> texts(String... values) {
        return Arrays.stream(values)
                .map(value -> (JsonNode) JsonNodeFactory.instance.textNode(value))
                .toList();
    }

    private static String write(CustomResourceDefinition crd) {
        var yaml = YAMLFactory.builder()
                .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                .disable(YAMLGenerator.Feature.SPLIT_LINES)
                .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
                .build();
        try {
            return new ObjectMapper(yaml)
                    .registerModule(new SimpleModule().addSerializer(new WholeNumbers()))
                    .writeValueAsString(crd);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The model has limits as doubles; people read {@code 65535}, not {@code 65535.0}. */
    private static final class WholeNumbers extends StdSerializer<Double> {
        private static final long serialVersionUID = 1L;

        WholeNumbers() {
            super(Double.class);
        }

        @Override
        public void serialize(Double value, JsonGenerator out, SerializerProvider provider) throws IOException {
            if (value == Math.rint(value)) {
                out.writeNumber(value.longValue());
            } else {
                out.writeNumber(value);
            }
        }
    }

    /** The generator writes its result; ours is taken from the post-processor. */
    private static final class Nowhere extends CRDGenerator.AbstractCRDOutput<ByteArrayOutputStream> {
        @Override
        protected ByteArrayOutputStream createStreamFor(String crdName) {
            return new ByteArrayOutputStream();
        }
    }
}
