package dev.clickpipe.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cel.bundle.Cel;
import dev.cel.bundle.CelFactory;
import dev.cel.common.CelValidationException;
import dev.cel.common.types.SimpleType;
import dev.cel.parser.CelStandardMacro;
import dev.cel.runtime.CelEvaluationException;
import dev.cel.runtime.CelRuntime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The CRD's rules, evaluated as the CRD has them. Whether a server takes them is CrdServerIT's question. */
class CelRulesTest {
    private static final Cel CEL = CelFactory.standardCelBuilder()
            .setStandardMacros(CelStandardMacro.STANDARD_MACROS)
            .addVar("self", SimpleType.DYN)
            .build();
    private static final Map<String, CelRuntime.Program> PROGRAMS = new ConcurrentHashMap<>();
    private static final ObjectMapper PLAIN =
            new ObjectMapper().enable(DeserializationFeature.USE_LONG_FOR_INTS); // CEL's int has 64 bits

    private static final Schema SCHEMA = Schema.ofClickPipe();

    @ParameterizedTest
    @MethodSource("dev.clickpipe.api.Manifests#good")
    void goodManifestsBreakNoRule(Manifests.Manifest good) {
        assertThat(broken(good.content())).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("badByRule")
    void aBadManifestBreaksTheRuleItIsThereFor(Manifests.BadManifest bad) {
        assertThat(broken(bad.manifest().content())).containsExactly(bad.refusal());
    }

    static List<Manifests.BadManifest> badByRule() {
        var messages = messages();
        return Manifests.bad().stream()
                .filter(bad -> messages.contains(bad.refusal()))
                .toList();
    }

    @Test
    void everyRuleHasABadManifest() {
        var refusals =
                Manifests.bad().stream().map(Manifests.BadManifest::refusal).toList();
        assertThat(refusals).containsAll(messages());
    }

    private static TreeSet<String> messages() {
        var messages = new TreeSet<String>();
        Schema.ofClickPipe().forEach(field -> field.node()
                .path("x-kubernetes-validations")
                .forEach(rule -> messages.add(rule.get("message").asText())));
        return messages;
    }

    private List<String> broken(JsonNode manifest) {
        var broken = new ArrayList<String>();
        SCHEMA.forEachRule(SCHEMA.withDefaults(manifest), (rule, self) -> {
            if (!holds(rule, self)) {
                broken.add(rule.message());
            }
        });
        return broken;
    }

    private static boolean holds(Schema.Rule rule, JsonNode self) {
        try {
            var compiled = CEL.compile(rule.expression()).getAst();
            return (boolean) CEL.createProgram(compiled).eval(Map.of("self", PLAIN.convertValue(self, Object.class)));
        } catch (CelValidationException | CelEvaluationException e) {
            throw new AssertionError("rule " + rule.expression() + " on " + self, e);
        }
    }
}
