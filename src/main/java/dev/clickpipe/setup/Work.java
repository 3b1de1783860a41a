package dev.clickpipe.setup;

import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Layout;
import dev.clickpipe.clickhouse.TableDefinition.Request;
import dev.clickpipe.pipe.Pipe;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What Setup is to do about a pipe's tables. Pure.
 *
 * @param tables what is mapped, in the mappings' order
 * @param unwanted builds that nothing is mapped to any more, and replacements whose table somebody dropped
 */
record Work(List<Table> tables, List<TableDefinition> unwanted) {

    /**
     * @param request what its target has to be made for
     * @param replacement of a table that is there
     */
    record Table(
            TableMapping mapping,
            Request request,
            Optional<TableDefinition> live,
            Optional<TableDefinition> replacement,
            Decision.Found found,
            Decision decision) {

        boolean builds() {
            return decision == Decision.BUILD || decision == Decision.BUILD_IN_PLACE || decision == Decision.REPLACE;
        }

        /** Where it is built. */
        String target() {
            return decision == Decision.REPLACE ? beside(mapping.targetTable()) : mapping.targetTable();
        }

        /** Those recorded that stay. */
        List<TableDefinition> kept() {
            var kept = new ArrayList<TableDefinition>();
            if (decision != Decision.BUILD_IN_PLACE) {
                live.ifPresent(kept::add);
            }
            if (decision == Decision.KEEP) {
                replacement.ifPresent(kept::add);
            }
            return kept;
        }

        /** Nothing is to be made of it or loaded into it: whoever works on it looks after it. */
        boolean settled(boolean loads) {
            return !builds() && (!loads || kept().stream().allMatch(TableDefinition::loaded));
        }
    }

    /** The name of the table that is built beside a target. */
    static String beside(String target) {
        return target + "_resync";
    }

    static Work of(Pipe pipe, Recorded recorded) {
        var mode = pipe.settings().replicationMode();
        var tables = pipe.mappings().stream()
                .map(mapping -> {
                    var live = recorded.live(mapping.source(), mapping.targetTable());
                    var replacement = recorded.replacement(mapping.source(), mapping.targetTable());
                    var found = recorded.found(pipe, mapping.targetTable());
                    var request = Decision.wanted(
                            request(pipe, mapping),
                            replacement
                                    .or(() -> live)
                                    .map(TableDefinition::request)
                                    .orElse(null));
                    return new Table(
                            mapping,
                            request,
                            live,
                            replacement,
                            found,
                            Decision.of(request, live, replacement, found, mode));
                })
                .toList();
        var mapped = recorded.mapped(pipe).toList();
        return new Work(
                tables,
                recorded.builds().stream()
                        .filter(build -> !mapped.contains(build) || build.replaces() && !recorded.isThere(build))
                        .toList());
    }

    /** As the spec has it. */
    private static Request request(Pipe pipe, TableMapping mapping) {
        var settings = pipe.settings();
        return new Request(
                new Layout(
                        mapping.tableEngine(),
                        mapping.useCustomSortingKey() ? mapping.sortingKeys() : List.of(),
                        mapping.partitionByExpr(),
                        mapping.excludedColumns(),
                        settings.allowNullableColumns(),
                        mapping.tableEngine().appendOnly() || settings.deleteOnMerge(),
                        mapping.columns().stream()
                                .map(column -> new TableDefinition.Choice(
                                        column.name(), column.targetType(), column.nullable()))
                                .toList()),
                pipe.spec().resync(),
                mapping.resync());
    }

    /** Whether rows are to be loaded when it is done. */
    boolean leavesLoad(boolean loads) {
        return loads && tables.stream().anyMatch(table -> !table.settled(true));
    }

    Stream<TableDefinition> kept() {
        return tables.stream().flatMap(table -> table.kept().stream());
    }
}
