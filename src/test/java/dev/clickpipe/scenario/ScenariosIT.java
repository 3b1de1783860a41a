package dev.clickpipe.scenario;

import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What is in Postgres is what is in ClickHouse: every scenario in every shape. The scenarios of a section share a pipe in each
 * shape, which is what makes it quick; with {@code -Dclickpipe.scenario=PART_OF_A_NAME} those whose name has that are run alone.
 */
class ScenariosIT {
    private static final String ONLY = System.getProperty("clickpipe.scenario");

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TestFactory
    Stream<DynamicNode> keys() {
        return section(KeyScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> replicaIdentities() {
        return section(IdentityScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> unchangedLargeValues() {
        return section(ToastScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> truncation() {
        return section(TruncateScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> partitionsAndInheritance() {
        return section(PartitionScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> names() {
        return section(NameScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> transactions() {
        return section(TransactionScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> engines() {
        return section(EngineScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> publications() {
        return section(PublicationScenarios.all());
    }

    @TestFactory
    Stream<DynamicNode> generatedColumns() {
        return section(PublicationScenarios.generated());
    }

    private static Stream<DynamicNode> section(List<Scenario> all) {
        var scenarios = all.stream()
                .filter(scenario -> scenario.sinceVersion() <= PostgresServer.DEFAULT_VERSION)
                .filter(scenario -> ONLY == null || scenario.name().contains(ONLY))
                .toList();
        var groups = ONLY == null ? List.of(scenarios) : scenarios.stream().map(List::of).toList();
        return groups.stream().flatMap(ScenariosIT::shapes);
    }

    private static Stream<DynamicNode> shapes(List<Scenario> group) {
        int steps = group.stream()
                .mapToInt(scenario -> scenario.steps().size())
                .max()
                .orElse(0);
        return RunShape.upTo(steps).stream()
                .map(shape -> shape(shape, group.stream().filter(shape::suits).toList()));
    }

    private static DynamicNode shape(RunShape shape, List<Scenario> scenarios) {
        var run = new Object() {
            private Map<Scenario, Throwable> failures;
            private Throwable failure;

            /** For all of them at the first call. */
            void check(Scenario scenario) throws Throwable {
                if (failures == null && failure == null) {
                    try {
                        failures = ScenarioRun.of(POSTGRES.client(), CLICKHOUSE.client(), scenarios, shape);
                    } catch (Throwable e) {
                        failure = e;
                    }
                }
                if (failure != null) {
                    throw failure;
                }
                if (failures.containsKey(scenario)) {
                    throw failures.get(scenario);
                }
            }
        };
        return dynamicContainer(
                shape.toString(),
                scenarios.stream()
                        .map(scenario ->
                                dynamicTest(scenario.name() + ", " + shape, () -> run.check(scenario))));
    }
}
