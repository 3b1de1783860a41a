package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Plan.Standing;
import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The conditions of a plan. Always the same four, as {@code metav1.Condition} has them; Reconciling and Stalled are those of
 * kstatus (sigs.k8s.io/cli-utils, pkg/kstatus), so that generic tools read a pipe right.
 */
final class Conditions {
    static final String READY = "Ready";
    static final String RECONCILING = "Reconciling";
    static final String STALLED = "Stalled";
    static final String INITIAL_LOAD_COMPLETE = "InitialLoadComplete";

    private Conditions() {}

    /** @param old the last status, whose transition times are kept where the status is the same; null: none */
    static List<Condition> of(Plan plan, ClickPipeStatus old, long generation, Instant now) {
        var cause = plan.cause();
        var stalled = plan.standing() == Standing.STALLED;
        var reconciling = plan.standing() == Standing.PROGRESSING
                || plan.standing() == Standing.HINDERED && plan.phase() != Phase.Running;
        var load =
                switch (plan.load()) {
                    case COMPLETE -> new Cause("Loaded", "Every table has been loaded.");
                    case INCOMPLETE -> new Cause("NotLoaded", "Not every table has been loaded yet.");
                    case NONE_WANTED -> new Cause("NoInitialLoad", "Replication mode cdc_only loads nothing.");
                };
        return List.of(
                        condition(READY, plan.standing() == Standing.READY, cause),
                        condition(
                                RECONCILING,
                                reconciling,
                                reconciling ? cause : new Cause(plan.phase().name(), "Nothing is under way.")),
                        condition(
                                STALLED,
                                stalled,
                                stalled ? cause : new Cause(plan.phase().name(), "It needs nobody to go on.")),
                        condition(INITIAL_LOAD_COMPLETE, plan.load() != Plan.Load.INCOMPLETE, load))
                .stream()
                .map(condition -> dated(condition, old, generation, now))
                .toList();
    }

    static boolean isTrue(ClickPipeStatus status, String type) {
        return find(status, type).map(c -> "True".equals(c.getStatus())).orElse(false);
    }

    /** Why the pipe is, or is not, ready, as last written. */
    static Optional<Cause> readyCause(ClickPipeStatus status) {
        return find(status, READY).map(c -> new Cause(c.getReason(), c.getMessage()));
    }

    /** Since when the pipe is ready, as last written; empty when it is not. */
    static Optional<Instant> readySince(ClickPipeStatus status) {
        return find(status, READY)
                .filter(c -> "True".equals(c.getStatus()))
                .map(c -> Instant.parse(c.getLastTransitionTime()));
    }

    private static Optional<Condition> find(ClickPipeStatus status, String type) {
        return status == null || status.conditions() == null
                ? Optional.empty()
                : status.conditions().stream()
                        .filter(c -> type.equals(c.getType()))
                        .findFirst();
    }

    private static Condition condition(String type, boolean status, Cause cause) {
        return new ConditionBuilder()
                .withType(type)
                .withStatus(status ? "True" : "False")
                .withReason(cause.reason())
                .withMessage(cause.message())
                .build();
    }

    private static Condition dated(Condition condition, ClickPipeStatus old, long generation, Instant now) {
        var since = find(old, condition.getType())
                .filter(before -> condition.getStatus().equals(before.getStatus()))
                .map(Condition::getLastTransitionTime)
                .orElseGet(() -> Status.time(now));
        return condition.toBuilder()
                .withLastTransitionTime(since)
                .withObservedGeneration(generation)
                .build();
    }
}
