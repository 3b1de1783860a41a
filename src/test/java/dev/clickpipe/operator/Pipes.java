package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** Pipes to test with. */
final class Pipes {
    static final Settings SETTINGS = new Settings(
            "registry.example/clickpipe:1.0",
            Optional.empty(),
            8080,
            "text",
            Duration.ofSeconds(1),
            Duration.ofMinutes(2));
    static final Instant BORN = Instant.parse("2026-01-01T00:00:00Z");

    private static final String YAML = """
            apiVersion: clickpipe.dev/v1alpha1
            kind: ClickPipe
            metadata: {namespace: shop, name: orders, uid: 6f1c1a52-55a3-4b52-9a2b-0d8f2f6b8e11, generation: 1, creationTimestamp: "%s"}
            spec:
              source:
                postgres:
                  host: postgres.shop.svc
                  database: shop
                  credentials: {secretRef: {name: shop-postgres}}
                  settings: {replicationMode: %s}
              tableMappings:
                - {sourceSchemaName: public, sourceTable: orders, targetTable: orders}
                - {sourceSchemaName: public, sourceTable: customers, targetTable: customers}
              destination:
                clickhouse:
                  host: clickhouse.analytics.svc
                  database: shop
                  credentials: {secretRef: {name: analytics-clickhouse, usernameKey: user}}
            """;

    private Pipes() {}

    static ClickPipe cdc() {
        return withMode("cdc");
    }

    static ClickPipe withMode(String mode) {
        return Serialization.unmarshal(YAML.formatted(BORN, mode), ClickPipe.class);
    }

    /** The same pipe after an edit: the YAML's text replaced. */
    static ClickPipe edited(ClickPipe pipe, String from, String to) {
        var yaml = Serialization.asYaml(pipe);
        if (!yaml.contains(from)) {
            throw new IllegalArgumentException("no " + from + " in " + yaml);
        }
        return Serialization.unmarshal(yaml.replace(from, to), ClickPipe.class);
    }

    static ClickPipe named(ClickPipe pipe, String name) {
        var copy = copy(pipe);
        copy.getMetadata().setName(name);
        return copy;
    }

    /** The same pipe with another number in its settings. */
    static ClickPipe settings(ClickPipe pipe, String setting, int value) {
        var yaml = Serialization.asYaml(pipe).replaceAll(setting + ": \\d+", setting + ": " + value);
        return Serialization.unmarshal(yaml, ClickPipe.class);
    }

    static ClickPipe onNodes(ClickPipe pipe, String label, String value) {
        return edited(pipe, "nodeSelector: {}", "nodeSelector: {" + label + ": " + value + "}");
    }

    static ClickPipe copy(ClickPipe pipe) {
        return Serialization.clone(pipe);
    }

    /** The pipe with a status as the operator would have written it. */
    static ClickPipe with(ClickPipe pipe, Phase phase, String observedSetup, boolean loaded, Cause ready) {
        var copy = copy(pipe);
        copy.setStatus(new ClickPipeStatus(
                phase,
                Status.time(BORN),
                ready.message(),
                1L,
                observedSetup,
                null,
                List.of(
                        condition("Ready", phase == Phase.Running || phase == Phase.Completed, ready),
                        condition("InitialLoadComplete", loaded, new Cause(loaded ? "Loaded" : "NotLoaded", ""))),
                "postgres.shop.svc:5432/shop",
                "clickhouse.analytics.svc:8123/shop",
                null,
                null,
                null));
        return copy;
    }

    private static Condition condition(String type, boolean status, Cause cause) {
        return new ConditionBuilder()
                .withType(type)
                .withStatus(status ? "True" : "False")
                .withReason(cause.reason())
                .withMessage(cause.message())
                .withLastTransitionTime(Status.time(BORN))
                .withObservedGeneration(1L)
                .build();
    }
}
