package dev.clickpipe.scenario;

import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What is in Postgres is what is in ClickHouse: every scenario in every shape. The scenarios of a section share a pipe in each
 * shape, which is what makes it quick. By hand: {@code -Dclickpipe.scenario=PART_OF_A_NAME} runs those alone whose name has that,
 * {@code -Dclickpipe.shape=SPLIT} in shapes of that kind, {@code -Dclickpipe.postgres=14} on that version. What that version can't do
 * is run on the latest.
 */
class ScenariosIT {
    private static final String ONLY = System.getProperty("clickpipe.scenario");
    private static final String SHAPE = System.getProperty("clickpipe.shape", "");
    private static final int VERSION = Integer.getInteger("clickpipe.postgres", PostgresServer.DEFAULT_VERSION);

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres(VERSION);

    @RegisterExtension
    static final SharedPostgres LATEST = new SharedPostgres(PostgresServer.VERSIONS.getLast());

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
    Stream<DynamicNode> ignoring() {
        return section(IgnoringScenarios.all());
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
        return all.stream()
                .filter(scenario -> ONLY == null || scenario.name().contains(ONLY))
                .collect(Collectors.groupingBy(scenario -> new Pipe(
                        scenario.sinceVersion() <= VERSION ? POSTGRES : LATEST, ONLY == null ? "" : scenario.name())))
                .entrySet()
                .stream()
                .flatMap(group -> shapes(group.getKey().postgres, group.getValue()));
    }

    /** What scenarios have to agree in to share one. */
    private record Pipe(SharedPostgres postgres, String alone) {}

    private static Stream<DynamicNode> shapes(SharedPostgres postgres, List<Scenario> group) {
        int steps = group.stream()
                .mapToInt(scenario -> scenario.steps().size())
                .max()
                .orElse(0);
        return RunShape.upTo(steps).stream()
                .filter(shape -> shape.kind().name().startsWith(SHAPE))
                .map(shape -> shape(
                        postgres, shape, group.stream().filter(shape::suits).toList()));
    }

    private static DynamicNode shape(SharedPostgres postgres, RunShape shape, List<Scenario> scenarios) {
        var run = new Object() {
            private Map<Scenario, Throwable> failures;
            private Throwable failure;

            /** For all of them at the first call. */
            void check(Scenario scenario) throws Throwable {
                if (failures == null && failure == null) {
                    try {
                        failures = ScenarioRun.of(postgres.client(), CLICKHOUSE.client(), scenarios, shape);
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
                        .map(scenario -> dynamicTest(scenario.name() + ", " + shape, () -> run.check(scenario))));
    }
}
