package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.ClickPipeStatus.Table;
import dev.clickpipe.api.ClickPipeStatus.TablePhase;
import dev.clickpipe.api.Phase;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.operator.Plan.Load;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

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

    static ClickPipe without(ClickPipe pipe, String target) {
        var spec = pipe.getSpec();
        var rest = spec.tableMappings().stream()
                .filter(mapping -> !mapping.targetTable().equals(target))
                .toList();
        if (rest.size() == spec.tableMappings().size()) {
            throw new IllegalArgumentException("no target " + target);
        }
        return with(pipe, rest, spec.resync());
    }

    /** One more table, of this name on either side. */
    static ClickPipe adding(ClickPipe pipe, String table) {
        var more = new TableMapping(
                "public", table, table, List.of(), false, List.of(), null, null, null, null, null, null, null);
        return with(
                pipe,
                Stream.concat(pipe.getSpec().tableMappings().stream(), Stream.of(more))
                        .toList(),
                pipe.getSpec().resync());
    }

    /** With another token, or the first. */
    static ClickPipe resync(ClickPipe pipe, String token) {
        return with(pipe, pipe.getSpec().tableMappings(), token);
    }

    private static ClickPipe with(ClickPipe pipe, List<TableMapping> mappings, String resync) {
        var copy = copy(pipe);
        var spec = pipe.getSpec();
        copy.setSpec(new ClickPipeSpec(
                spec.source(),
                mappings,
                spec.destination(),
                spec.state(),
                resync,
                spec.deletionPolicy(),
                spec.workers()));
        return copy;
    }

    /** Of a manifest's text. */
    static String name(String manifest) {
        return Serialization.unmarshal(manifest, ClickPipe.class).getMetadata().getName();
    }

    static ClickPipe onNodes(ClickPipe pipe, String label, String value) {
        return edited(pipe, "nodeSelector: {}", "nodeSelector: {" + label + ": " + value + "}");
    }

    static ClickPipe copy(ClickPipe pipe) {
        return Serialization.clone(pipe);
    }

    /** The pipe with a status as the operator would have written it. */
    static ClickPipe with(ClickPipe pipe, Phase phase, SetupMark setup, Load load, Cause ready) {
        var at = load.due()
                ? TablePhase.Pending
                : pipe.getSpec().settings().replicationMode().streams() ? TablePhase.Running : TablePhase.Completed;
        return with(
                pipe,
                phase,
                setup,
                load,
                ready,
                pipe.getSpec().tableMappings().stream()
                        .map(m -> new Table(m.source(), m.targetTable(), at, null, null, null, null))
                        .toList());
    }

    static ClickPipe with(ClickPipe pipe, Phase phase, SetupMark setup, Load load, Cause ready, List<Table> tables) {
        var copy = copy(pipe);
        var reached = new Plan.Reached(setup, null, load);
        var standing = phase == Phase.Running || phase == Phase.Completed || phase == Phase.Paused
                ? Plan.Standing.READY
                : phase == Phase.Failed ? Plan.Standing.STALLED : Plan.Standing.PROGRESSING;
        var plan = new Plan(
                phase, standing, ready, reached, Set.of(), Plan.Stream.KEEP, Duration.ofMinutes(1), Optional.empty());
        copy.setStatus(new ClickPipeStatus(
                phase,
                Status.time(BORN),
                ready.message(),
                pipe.getMetadata().getGeneration(),
                setup == null ? null : setup.text(),
                null,
                Conditions.of(plan, null, null, Worker.generation(pipe), BORN),
                "postgres.shop.svc:5432/shop",
                "clickhouse.analytics.svc:8123/shop",
                null,
                tables,
                null));
        return copy;
    }
}
