package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus.Table;
import dev.clickpipe.api.ClickPipeStatus.TablePhase;
import dev.clickpipe.api.TableMapping;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The tables of the spec against those of the status. A table is its source and its target: mapped elsewhere it is another.
 *
 * @param removed tables of the status that the spec has no longer; the status keeps them until Setup has removed them
 * @param pending how many tables of the spec are not loaded yet, as far as the status knows
 */
record TableChanges(int mapped, List<Table> removed, int pending) {

    private static final int NAMED = 3;

    static TableChanges of(ClickPipe pipe) {
        var mappings = pipe.getSpec().tableMappings();
        var known = known(pipe);
        return new TableChanges(
                mappings.size(),
                known.stream()
                        .filter(table -> mappings.stream().noneMatch(mapping -> same(table, mapping)))
                        .toList(),
                (int) mappings.stream()
                        .filter(mapping -> known.stream().noneMatch(table -> same(table, mapping) && wasLoaded(table)))
                        .count());
    }

    /** The tables of the last status. */
    static List<Table> known(ClickPipe pipe) {
        return pipe.getStatus() == null || pipe.getStatus().tables() == null
                ? List.of()
                : pipe.getStatus().tables();
    }

    static boolean same(Table table, TableMapping mapping) {
        return mapping.source().equals(table.source()) && mapping.targetTable().equals(table.target());
    }

    private static boolean wasLoaded(Table table) {
        return table.phase() != null && table.phase() != TablePhase.Pending && table.phase() != TablePhase.Snapshot;
    }

    boolean unloaded() {
        return pending > 0;
    }

    String count() {
        return count(mapped);
    }

    String unloadedCount() {
        return count(pending == 0 ? mapped : pending);
    }

    String removedNames() {
        return removed.size() > NAMED
                ? count(removed.size())
                : removed.stream().map(Table::source).collect(Collectors.joining(", "));
    }

    private static String count(int tables) {
        return tables == 1 ? "1 table" : tables + " tables";
    }
}
