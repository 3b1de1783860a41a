package dev.clickpipe.operator;

import io.javaoperatorsdk.operator.api.monitoring.Metrics;
import io.javaoperatorsdk.operator.monitoring.micrometer.MicrometerMetrics;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.config.MeterFilter;
import io.micrometer.core.instrument.distribution.DistributionStatisticConfig;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/** What Quarkus hands to the reconciler. Each property can be given as an environment variable: CLICKPIPE_WORKER_IMAGE. */
public class Wiring {

    @Produces
    @Singleton
    Settings settings(
            @ConfigProperty(name = "clickpipe.worker.image") String image,
            @ConfigProperty(name = "clickpipe.worker.image-pull-policy") Optional<String> pullPolicy,
            @ConfigProperty(name = "clickpipe.worker.http-port", defaultValue = "8080") int port,
            @ConfigProperty(name = "clickpipe.log-format", defaultValue = "text") String logFormat,
            @ConfigProperty(name = "clickpipe.poll-interval", defaultValue = "1s") Duration poll,
            @ConfigProperty(name = "clickpipe.teardown-timeout", defaultValue = "2m") Duration teardownTimeout) {
        return new Settings(image, pullPolicy, port, logFormat, poll, teardownTimeout);
    }

    @Produces
    @Singleton
    Clock clock() {
        return Clock.systemUTC();
    }

    @Produces
    @Singleton
    PipeMetrics pipeMetrics(MeterRegistry registry) {
        return new PipeMetrics(registry);
    }

    /** Of reconciling as a whole: the default would add a series for every pipe there ever was. */
    @Produces
    @Singleton
    Metrics reconcileMetrics(MeterRegistry registry) {
        return MicrometerMetrics.withoutPerResourceMetrics(registry);
    }

    /** Three quantiles of a reconcile's time are enough, without seventy buckets beside them. */
    @Produces
    @Singleton
    MeterFilter noBuckets() {
        return new MeterFilter() {
            @Override
            public DistributionStatisticConfig configure(Meter.Id id, DistributionStatisticConfig config) {
                return id.getName().startsWith("operator.sdk.")
                        ? DistributionStatisticConfig.builder()
                                .percentilesHistogram(false)
                                .build()
                                .merge(config)
                        : config;
            }
        };
    }
}
