package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.ClickPipeStatus.Replication;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Standing;
import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The conditions of a plan. Always the same five, as {@code metav1.Condition} has them; Reconciling and Stalled are those of
 * kstatus (sigs.k8s.io/cli-utils, pkg/kstatus), so that generic tools read a pipe right.
 */
final class Conditions {
    static final String READY = "Ready";
    static final String RECONCILING = "Reconciling";
    static final String STALLED = "Stalled";
    static final String INITIAL_LOAD_COMPLETE = "InitialLoadComplete";
    static final String SLOT_AT_RISK = "SlotAtRisk";

    /** Of what max_slot_wal_keep_size grants a slot, when less than this part is left. */
    private static final double LITTLE = 0.25;
    /** Of {@code pg_replication_slots.wal_status} (PostgreSQL documentation, 54.19): WAL may go, or has gone. */
    private static final Set<String> ENDANGERED = Set.of("unreserved", "lost");

    private Conditions() {}

    /**
     * @param slot what is known of the slot now; null: nothing
     * @param old the last status, whose transition times are kept where the status is the same; null: none
     */
    static List<Condition> of(Plan plan, Replication slot, ClickPipeStatus old, long generation, Instant now) {
        var cause = plan.cause();
        var stalled = plan.standing() == Standing.STALLED;
        var reconciling = plan.standing() == Standing.PROGRESSING
                || plan.standing() == Standing.HINDERED && plan.phase() != Phase.Running;
        var load = plan.reached().load();
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
                        condition(INITIAL_LOAD_COMPLETE, load != Load.INCOMPLETE, cause(load)),
                        slotAtRisk(slot, old))
                .stream()
                .map(condition -> dated(condition, old, generation, now))
                .toList();
    }

    private static Cause cause(Load load) {
        return switch (load) {
            case COMPLETE -> new Cause("Loaded", "Every table has been loaded.");
            case REBUILDING ->
                new Cause("Rebuilding", "Every table has been loaded; some are being built anew beside the live ones.");
            case SWAPPING ->
                new Cause("Swapping", "Every table has been loaded; those built anew take the live ones' places.");
            case INCOMPLETE -> new Cause("NotLoaded", "Not every table has been loaded yet.");
            case NONE_WANTED -> new Cause("NoInitialLoad", "Replication mode cdc_only loads nothing.");
        };
    }

    /** What was left to load, as last written; when nothing was, or nobody knows, nothing counts as loaded. */
    static Load load(ClickPipeStatus status) {
        return find(status, INITIAL_LOAD_COMPLETE)
                .flatMap(c -> Arrays.stream(Load.values())
                        .filter(load -> cause(load).reason().equals(c.getReason()))
                        .findFirst())
                .filter(load -> load != Load.NONE_WANTED)
                .orElse(Load.INCOMPLETE);
    }

    /** Without numbers, which would be another message every second; they are in the status. */
    private static Condition slotAtRisk(Replication slot, ClickPipeStatus old) {
        if (slot == null || slot.walStatus() == null && slot.retainedWalBytes() == null) {
            // As long as nobody can look at it, a slot in danger stays in danger.
            return find(old, SLOT_AT_RISK)
                    .filter(c -> "True".equals(c.getStatus()))
                    .orElseGet(() ->
                            condition(SLOT_AT_RISK, false, new Cause("NotSeen", "No slot has been seen.")).toBuilder()
                                    .withStatus("Unknown")
                                    .build());
        }
        var cause = danger(slot);
        return condition(
                SLOT_AT_RISK,
                cause.isPresent(),
                cause.orElse(new Cause("Safe", "Postgres keeps the WAL that slot " + slot.slot() + " needs.")));
    }

    private static Optional<Cause> danger(Replication slot) {
        var remedy = " Let the pipe run and catch up, or raise max_slot_wal_keep_size on the source.";
        if ("lost".equals(slot.walStatus())) {
            return Optional.of(new Cause(
                    "SlotLost",
                    "Postgres has dropped WAL that slot " + slot.slot() + " needs: wal_status is lost."
                            + " A new spec.resync loads the tables anew, with a new slot."));
        }
        if (slot.walStatus() != null && ENDANGERED.contains(slot.walStatus())) {
            return Optional.of(new Cause(
                    "SlotAtRisk",
                    "Postgres drops WAL that slot " + slot.slot() + " needs at its next checkpoint: wal_status is "
                            + slot.walStatus() + "." + remedy));
        }
        var little = slot.safeWalBytes() != null
                && slot.retainedWalBytes() != null
                && slot.safeWalBytes() < LITTLE * (slot.retainedWalBytes() + slot.safeWalBytes());
        return little
                ? Optional.of(new Cause(
                        "SlotAtRisk",
                        "Slot " + slot.slot() + " keeps most of the WAL that max_slot_wal_keep_size grants it;"
                                + " beyond that Postgres drops what it needs." + remedy))
                : Optional.empty();
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

    /** Why the slot is at risk; empty when it is not. */
    static Optional<Cause> slotAtRisk(ClickPipeStatus status) {
        return find(status, SLOT_AT_RISK)
                .filter(c -> "True".equals(c.getStatus()))
                .map(c -> new Cause(c.getReason(), c.getMessage()));
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
