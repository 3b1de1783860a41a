package dev.clickpipe.scenario;

import dev.clickpipe.scenario.Scenario.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/** Takes out of a scenario what its failure does not need. */
final class Shrinking {
    private final Predicate<Scenario> fails;
    private final BooleanSupplier mayGoOn;

    /** @param mayGoOn asked before each try */
    Shrinking(Predicate<Scenario> fails, BooleanSupplier mayGoOn) {
        this.fails = fails;
        this.mayGoOn = mayGoOn;
    }

    /** The smallest that was found to fail; steps stay in their places, if empty, so that the shape means the same. */
    Scenario shrink(Scenario scenario) {
        var smallest = scenario;
        for (boolean smaller = true; smaller; ) {
            smaller = false;
            var next = withoutTables(smallest);
            next = withoutStatements(next);
            if (!next.equals(smallest)) {
                smallest = next;
                smaller = true;
            }
        }
        return smallest;
    }

    private Scenario withoutTables(Scenario scenario) {
        var smallest = scenario;
        for (var table : scenario.tables()) {
            if (smallest.tables().size() > 1) {
                var rest = new ArrayList<>(smallest.tables());
                rest.remove(table);
                smallest = smallerOf(smallest, smallest.with(rest, smallest.steps()));
            }
        }
        return smallest;
    }

    /** Whole steps first, halves of them, single statements. */
    private Scenario withoutStatements(Scenario scenario) {
        var smallest = scenario;
        for (int step = scenario.steps().size() - 1; step >= 0; step--) {
            for (int part = smallest.steps().get(step).statements().size(); part > 0; part /= 2) {
                for (int from = 0;
                        from < smallest.steps().get(step).statements().size(); ) {
                    var rest = new ArrayList<>(smallest.steps().get(step).statements());
                    rest.subList(from, Math.min(from + part, rest.size())).clear();
                    var steps = new ArrayList<>(smallest.steps());
                    steps.set(step, new Step(List.copyOf(rest)));
                    var next = smallerOf(smallest, smallest.with(smallest.tables(), steps));
                    from += next == smallest ? part : 0;
                    smallest = next;
                }
            }
        }
        return smallest;
    }

    private Scenario smallerOf(Scenario scenario, Scenario smaller) {
        return mayGoOn.getAsBoolean() && fails.test(smaller) ? smaller : scenario;
    }
}
