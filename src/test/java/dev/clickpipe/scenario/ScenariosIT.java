package dev.clickpipe.scenario;

import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What is in Postgres is what is in ClickHouse: every scenario in every shape. The scenarios of a section share a pipe in each
 * shape, which is what makes it quick; each shape of a section is run on one version of Postgres, always the same, so that every
 * version runs some. By hand: {@code -Dclickpipe.scenario=PART_OF_A_NAME} runs those alone whose name has that,
 * {@code -Dclickpipe.shape=SPLIT} in shapes of that kind, {@code -Dclickpipe.postgres=14} all on that version. What a version can't
 * do is run on the latest.
 */
class ScenariosIT {
    private static final String ONLY = System.getProperty("clickpipe.scenario");
    private static final String SHAPE = System.getProperty("clickpipe.shape", "");
    private static final Integer VERSION = Integer.getInteger("clickpipe.postgres");

    @RegisterExtension
    static final SharedPostgres POSTGRES_14 = new SharedPostgres(14);

    @RegisterExtension
    static final SharedPostgres POSTGRES_15 = new SharedPostgres(15);

    @RegisterExtension
    static final SharedPostgres POSTGRES_16 = new SharedPostgres(16);

    @RegisterExtension
    static final SharedPostgres POSTGRES_17 = new SharedPostgres(17);

    @RegisterExtension
    static final SharedPostgres POSTGRES_18 = new SharedPostgres(18);

    private static final NavigableMap<Integer, SharedPostgres> SERVERS =
            new TreeMap<>(Map.of(14, POSTGRES_14, 15, POSTGRES_15, 16, POSTGRES_16, 17, POSTGRES_17, 18, POSTGRES_18));

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
        return ONLY == null
                ? shapes(all)
                : all.stream()
                        .filter(scenario -> scenario.name().contains(ONLY))
                        .flatMap(scenario -> shapes(List.of(scenario)));
    }

    private static Stream<DynamicNode> shapes(List<Scenario> group) {
        int steps = group.stream()
                .mapToInt(scenario -> scenario.steps().size())
                .max()
                .orElse(0);
        return RunShape.upTo(steps).stream()
                .filter(shape -> shape.kind().name().startsWith(SHAPE))
                .flatMap(shape -> {
                    int version = version(group, shape);
                    return group.stream()
                            .filter(shape::suits)
                            .collect(Collectors.groupingBy(
                                    scenario -> scenario.sinceVersion() <= version ? version : SERVERS.lastKey(),
                                    TreeMap::new,
                                    Collectors.toList()))
                            .entrySet()
                            .stream()
                            .map(on -> shape(on.getKey(), shape, on.getValue()));
                });
    }

    /** On which version they are run in this shape: any, but the same every time. */
    private static int version(List<Scenario> group, RunShape shape) {
        var versions = List.copyOf(SERVERS.keySet());
        int any = (group.getFirst().name() + shape).hashCode();
        return VERSION != null ? VERSION : versions.get(Math.floorMod(any, versions.size()));
    }

    private static DynamicNode shape(int version, RunShape shape, List<Scenario> scenarios) {
        var run = new Object() {
            private Map<Scenario, Throwable> failures;
            private Throwable failure;

            /** For all of them at the first call. */
            void check(Scenario scenario) throws Throwable {
                if (failures == null && failure == null) {
                    try {
                        failures = ScenarioRun.of(SERVERS.get(version).client(), CLICKHOUSE.client(), scenarios, shape);
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
                shape + " on Postgres " + version,
                scenarios.stream()
                        .map(scenario -> dynamicTest(
                                scenario.name() + ", " + shape + ", Postgres " + version, () -> run.check(scenario))));
    }
}
