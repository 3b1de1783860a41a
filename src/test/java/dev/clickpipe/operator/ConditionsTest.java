package dev.clickpipe.operator;

import static dev.clickpipe.operator.Given.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.operator.Plan.Reached;
import dev.clickpipe.operator.Plan.Standing;
import dev.clickpipe.operator.Plan.Stream;
import io.fabric8.kubernetes.api.model.Condition;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConditionsTest {

    /** As kstatus and Argo CD are to read them. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    Provisioning | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Setup        | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Setup        | HINDERED    | Ready=False Reconciling=True Stalled=False
                    Snapshot     | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Running      | READY       | Ready=True Reconciling=False Stalled=False
                    Running      | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Running      | HINDERED    | Ready=False Reconciling=False Stalled=False
                    Modifying    | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Resync       | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Pausing      | PROGRESSING | Ready=False Reconciling=True Stalled=False
                    Paused       | READY       | Ready=True Reconciling=False Stalled=False
                    Completed    | READY       | Ready=True Reconciling=False Stalled=False
                    Failed       | STALLED     | Ready=False Reconciling=False Stalled=True
                    """)
    void whatTheyAre(Phase phase, Standing standing, String conditions) {
        var made = Conditions.of(plan(phase, standing, new Cause("Why", "because")), null, null, 7, NOW);
        assertThat(made.stream()
                        .limit(3)
                        .map(c -> c.getType() + "=" + c.getStatus())
                        .collect(Collectors.joining(" ")))
                .isEqualTo(conditions);
        assertThat(made).allSatisfy(condition -> {
            assertThat(condition.getReason()).matches("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?");
            assertThat(condition.getMessage()).isNotEmpty();
            assertThat(condition.getObservedGeneration()).isEqualTo(7);
            assertThat(condition.getLastTransitionTime()).isEqualTo("2026-01-01T01:00:00Z");
        });
        assertThat(made.getFirst().getReason()).isEqualTo("Why");
        assertThat(made.getFirst().getMessage()).isEqualTo("because");
    }

    @Test
    void theTransitionTimeIsThatOfTheStatusAlone() {
        var before =
                status(Conditions.of(plan(Phase.Setup, Standing.PROGRESSING, new Cause("A", "a")), null, null, 1, NOW));
        var later = NOW.plusSeconds(60);

        var sameStatus =
                Conditions.of(plan(Phase.Setup, Standing.HINDERED, new Cause("B", "b")), null, before, 2, later);
        assertThat(time(sameStatus, Conditions.READY)).isEqualTo(Status.time(NOW));
        assertThat(sameStatus.getFirst().getReason()).isEqualTo("B");
        assertThat(sameStatus.getFirst().getObservedGeneration()).isEqualTo(2);

        var otherStatus =
                Conditions.of(plan(Phase.Running, Standing.READY, new Cause("C", "c")), null, before, 2, later);
        assertThat(time(otherStatus, Conditions.READY)).isEqualTo(Status.time(later));
        assertThat(time(otherStatus, Conditions.RECONCILING)).isEqualTo(Status.time(later));
        assertThat(time(otherStatus, Conditions.STALLED)).isEqualTo(Status.time(NOW));
    }

    @Test
    void aReasonIsMadeToFit() {
        assertThat(new Cause("CreateContainerConfigError", "x").reason()).isEqualTo("CreateContainerConfigError");
        assertThat(new Cause("image can't be pulled", "x").reason()).isEqualTo("imagecantbepulled");
        assertThat(new Cause("", "x").reason()).isEqualTo("Unknown");
        assertThat(new Cause(null, null)).isEqualTo(new Cause("Unknown", "Unknown"));
        assertThat(new Cause("42", "x").reason()).isEqualTo("Unknown42");
        assertThat(new Cause("Long", "x".repeat(10_000)).message()).hasSize(4096);
    }

    private static Plan plan(Phase phase, Standing standing, Cause cause) {
        return new Plan(
                phase,
                standing,
                cause,
                new Reached(null, null, Load.INCOMPLETE),
                Set.of(),
                Stream.KEEP,
                Duration.ofMinutes(1),
                Optional.empty());
    }

    private static ClickPipeStatus status(List<Condition> conditions) {
        return new ClickPipeStatus(null, null, null, null, null, null, conditions, null, null, null, null, null);
    }

    private static String time(List<Condition> conditions, String type) {
        return conditions.stream()
                .filter(c -> c.getType().equals(type))
                .map(Condition::getLastTransitionTime)
                .findFirst()
                .orElse(Instant.EPOCH.toString());
    }
}
