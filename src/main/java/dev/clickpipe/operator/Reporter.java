package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.operator.Plan.Standing;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.PrimaryUpdateAndCacheUtils;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells the world: the status, an event and a log line for each change, metrics. Thread-safe. */
final class Reporter {
    private static final Logger LOG = LoggerFactory.getLogger(Reporter.class);
    /** Numbers alone are not written more often. */
    private static final Duration PROGRESS_INTERVAL = Duration.ofSeconds(5);

    private final PipeMetrics metrics;
    private final Map<String, Instant> written = new ConcurrentHashMap<>();

    Reporter(PipeMetrics metrics) {
        this.metrics = metrics;
    }

    /** @return when to come back because there is something that was not written yet; empty: there is not */
    Optional<Duration> report(ClickPipe pipe, Plan plan, Observed observed, Instant now, Context<ClickPipe> context) {
        var before = pipe.getStatus();
        var after = Status.of(pipe, plan, observed, now);
        metrics.update(pipe, after);
        if (after.equals(before)) {
            return Optional.empty();
        }
        var uid = pipe.getMetadata().getUid();
        if (Status.onlyProgress(before, after)) {
            var due = written.getOrDefault(uid, Instant.EPOCH).plus(PROGRESS_INTERVAL);
            if (now.isBefore(due)) {
                return Optional.of(Duration.between(now, due));
            }
        }
        var events = new Events(context.getClient());
        announce(pipe, plan, before, now, events);
        warn(pipe, before, after, now, events);
        PrimaryUpdateAndCacheUtils.ssaPatchStatusAndCacheResource(pipe, withStatus(pipe, after), context);
        written.put(uid, now);
        return Optional.empty();
    }

    /** The pipe was let go. */
    void released(ClickPipe pipe, Plan.Release release, Instant now, Context<ClickPipe> context) {
        var name = name(pipe);
        if (release.leftBehind() == null) {
            LOG.info("{}: deleted", name);
        } else {
            LOG.warn("{}: deleted. {}", name, release.leftBehind().message());
            new Events(context.getClient()).emit(pipe, Events.Type.Warning, release.leftBehind(), now);
        }
        written.remove(pipe.getMetadata().getUid());
    }

    /** One event and one log line for a change of phase, or for trouble within one and its end. */
    private static void announce(ClickPipe pipe, Plan plan, ClickPipeStatus before, Instant now, Events events) {
        var cause = plan.cause();
        var trouble = plan.standing() == Standing.HINDERED || plan.standing() == Standing.STALLED;
        var type = trouble ? Events.Type.Warning : Events.Type.Normal;
        if (before == null || before.phase() != plan.phase()) {
            var from = before == null || before.phase() == null
                    ? "new"
                    : before.phase().name();
            var reason = cause.reason().equals(plan.phase().name()) ? "" : " (" + cause.reason() + ")";
            var transition = "%s -> %s%s after %s: %s"
                    .formatted(
                            from,
                            plan.phase(),
                            reason,
                            Status.duration(since(pipe, before, now).toSeconds()),
                            cause.message());
            events.emitOnce(
                    pipe,
                    type,
                    new Cause(plan.phase().name(), transition),
                    from + plan.phase() + (before == null ? "" : before.phaseSince()),
                    now);
            LOG.info("{}: {}", name(pipe), transition);
            return;
        }
        var causeBefore = Conditions.readyCause(before).orElse(null);
        if (trouble && !cause.equals(causeBefore)) {
            events.emit(pipe, type, cause, now);
            LOG.warn("{}: {}, but {}: {}", name(pipe), plan.phase(), cause.reason(), cause.message());
        } else if (plan.standing() == Standing.READY && !Conditions.isTrue(before, Conditions.READY)) {
            events.emit(pipe, type, new Cause("Ready", cause.message()), now);
            LOG.info("{}: {} and ready", name(pipe), plan.phase());
        }
    }

    private static void warn(
            ClickPipe pipe, ClickPipeStatus before, ClickPipeStatus after, Instant now, Events events) {
        Conditions.slotAtRisk(after)
                .filter(cause -> !Optional.of(cause).equals(Conditions.slotAtRisk(before)))
                .ifPresent(cause -> {
                    events.emit(pipe, Events.Type.Warning, cause, now);
                    LOG.warn("{}: {}: {}", name(pipe), cause.reason(), cause.message());
                });
    }

    private static Duration since(ClickPipe pipe, ClickPipeStatus before, Instant now) {
        var began = before == null || before.phaseSince() == null
                ? pipe.getMetadata().getCreationTimestamp()
                : before.phaseSince();
        var lasted = Duration.between(Instant.parse(began), now);
        return lasted.isNegative() ? Duration.ZERO : lasted;
    }

    /** The status alone: server-side apply would take whatever else is in there for ours. */
    private static ClickPipe withStatus(ClickPipe pipe, ClickPipeStatus status) {
        var fresh = new ClickPipe();
        fresh.setMetadata(new ObjectMetaBuilder()
                .withNamespace(pipe.getMetadata().getNamespace())
                .withName(pipe.getMetadata().getName())
                .build());
        fresh.setStatus(status);
        return fresh;
    }

    private static String name(ClickPipe pipe) {
        return pipe.getMetadata().getNamespace() + "/" + pipe.getMetadata().getName();
    }
}
