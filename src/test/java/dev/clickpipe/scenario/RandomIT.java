package dev.clickpipe.scenario;

import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Scenarios that nobody thought of, one after the other for a minute. {@code -Dclickpipe.random.seconds=3600} goes on for an hour,
 * {@code -Dclickpipe.random.seed=SEED} begins with that one instead of 1, {@code -Dclickpipe.postgres=14} takes that Postgres. What fails is made
 * as small as it gets and shown as a script; it belongs among the scenarios then.
 */
class RandomIT {
    private static final Duration TIME = Duration.ofSeconds(Long.getLong("clickpipe.random.seconds", 60));
    private static final Duration SHRINKING = Duration.ofMinutes(3);

    @RegisterExtension
    static final SharedPostgres POSTGRES =
            new SharedPostgres(Integer.getInteger("clickpipe.postgres", PostgresServer.DEFAULT_VERSION));

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @Test
    void whatIsInPostgresIsInClickHouse() {
        long seed = Long.getLong("clickpipe.random.seed", 1);
        long begun = System.nanoTime();
        do {
            var generator = new Generator(seed);
            var scenario = generator.scenario();
            var shape = generator.shape(scenario.steps().size());
            say("seed %d: %d tables, %d steps, %s"
                    .formatted(seed, scenario.tables().size(), scenario.steps().size(), shape));
            var failure = failure(scenario, shape);
            if (failure.isPresent()) {
                throw new AssertionError(report(seed, scenario, shape, failure.get()), failure.get());
            }
            seed++;
        } while (System.nanoTime() - begun < TIME.toNanos());
    }

    private static Optional<Throwable> failure(Scenario scenario, RunShape shape) {
        try {
            return ScenarioRun.of(POSTGRES.client(), CLICKHOUSE.client(), List.of(scenario), shape).values().stream()
                    .findFirst();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        } catch (RuntimeException | AssertionError e) {
            return Optional.of(e);
        }
    }

    /** Whatever becomes of the log: without the seed a failure is lost. */
    private static void say(String line) {
        System.out.println(line);
    }

    private static String report(long seed, Scenario scenario, RunShape shape, Throwable failure) {
        long begun = System.nanoTime();
        say("seed %d fails, %s; looking for a smaller one".formatted(seed, failure.getMessage()));
        var smallest = new Shrinking(
                        smaller -> failure(smaller, shape).isPresent(),
                        () -> System.nanoTime() - begun < SHRINKING.toNanos())
                .shrink(scenario);
        return """
                -Dclickpipe.random.seed=%d fails, %s:
                %s
                As small as it got:
                %s""".formatted(seed, shape, failure.getMessage(), smallest.script());
    }
}
