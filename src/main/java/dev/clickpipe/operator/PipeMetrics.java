package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToDoubleFunction;

/**
 * A few gauges per pipe: {@code clickpipe_phase} (1 for the phase it is in, 0 for the others), {@code clickpipe_ready},
 * {@code clickpipe_lag_bytes} and {@code clickpipe_lag_seconds} (NaN while nobody knows). They go with the pipe.
 * Thread-safe.
 */
final class PipeMetrics {
    private final MeterRegistry registry;
    private final Map<ResourceID, ClickPipeStatus> statuses = new ConcurrentHashMap<>();
    private final Map<ResourceID, List<Meter>> meters = new ConcurrentHashMap<>();

    PipeMetrics(MeterRegistry registry) {
        this.registry = registry;
    }

    void update(ClickPipe pipe, ClickPipeStatus status) {
        var id = ResourceID.fromResource(pipe);
        statuses.put(id, status);
        meters.computeIfAbsent(id, this::register);
    }

    void forget(ResourceID id) {
        var gone = meters.remove(id);
        if (gone != null) {
            gone.forEach(registry::remove);
        }
        statuses.remove(id);
    }

    private List<Meter> register(ResourceID id) {
        var tags = Tags.of("namespace", id.getNamespace().orElse(""), "name", id.getName());
        var gauges = new ArrayList<Meter>();
        for (var phase : Phase.values()) {
            gauges.add(gauge("clickpipe.phase", id, tags.and("phase", phase.name()), s -> s.phase() == phase ? 1 : 0));
        }
        gauges.add(gauge("clickpipe.ready", id, tags, s -> Conditions.isTrue(s, Conditions.READY) ? 1 : 0));
        gauges.add(gauge(
                "clickpipe.lag.bytes",
                id,
                tags,
                s -> number(s.replication() == null ? null : s.replication().lagBytes())));
        gauges.add(gauge(
                "clickpipe.lag.seconds",
                id,
                tags,
                s -> number(s.replication() == null ? null : s.replication().lagSeconds())));
        return gauges;
    }

    private Gauge gauge(String name, ResourceID id, Tags tags, ToDoubleFunction<ClickPipeStatus> value) {
        return Gauge.builder(name, statuses, all -> all.containsKey(id) ? value.applyAsDouble(all.get(id)) : Double.NaN)
                .tags(tags)
                .register(registry);
    }

    private static double number(Long value) {
        return value == null ? Double.NaN : value;
    }
}
