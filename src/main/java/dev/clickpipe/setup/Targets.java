package dev.clickpipe.setup;

import dev.clickpipe.api.DeletionPolicy;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.ClickHouseErrors;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Replacement;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes target tables, and removes them with what is recorded of them. */
final class Targets {
    private static final Logger LOG = LoggerFactory.getLogger(Targets.class);

    private final Pipe pipe;
    private final ClickHouseClient clickHouse;
    private final Definitions definitions;
    private final ChunkLedger ledger;
    private final Undo undo;

    Targets(Pipe pipe, ClickHouseClient clickHouse, Definitions definitions, Undo undo) {
        this.pipe = pipe;
        this.clickHouse = clickHouse;
        this.definitions = definitions;
        this.ledger = new ChunkLedger(clickHouse, pipe);
        this.undo = undo;
    }

    /**
     * Removes what was begun beside live tables and never recorded, and before a pipe was ever accepted the empty tables
     * that are not mapped.
     */
    void removeLeftovers(Recorded recorded) {
        recorded.tables().forEach((name, table) -> {
            boolean beside = table.replacementOf(pipe)
                    && recorded.builds().stream()
                            .noneMatch(build -> build.replaces()
                                    && build.replacement().uuid().equals(table.uuid()));
            boolean unmapped = recorded.builds().isEmpty()
                    && table.createdBy(pipe)
                    && table.empty()
                    && pipe.mappings().stream()
                            .noneMatch(mapping -> mapping.targetTable().equals(name));
            if (beside || unmapped) {
                TargetTable.drop(clickHouse, name);
                LOG.info("dropped table {}.{}, left by a Setup that was cut off", clickHouse.database(), name);
            }
        });
    }

    /**
     * Makes the target of a table.
     *
     * @param wanted what source and mapping make of it
     * @return what is to be recorded, without how the source publishes it
     * @throws PipeException fatal with what is wrong with that table, or retryable
     */
    TableDefinition build(Work.Table table, TableDefinition wanted) {
        table.replacement().ifPresent(this::remove);
        try {
            return switch (table.decision()) {
                case REPLACE -> replace(table, wanted.withTarget(table.target()));
                case BUILD_IN_PLACE -> buildInPlace(table, wanted);
                default -> build(wanted, table);
            };
        } catch (PipeException e) {
            throw e.retryable() ? e : refused(table, e);
        }
    }

    private TableDefinition build(TableDefinition wanted, Work.Table table) {
        if (table.found() == Decision.Found.OURS_EMPTY && !wanted.engine().stores()) {
            return buildInPlace(table, wanted); // it looks empty always, and may have been mapped before
        }
        if (table.found() == Decision.Found.OURS_EMPTY) {
            TargetTable.drop(clickHouse, wanted.target()); // of a Setup that did not come to its end
        }
        if (table.found() == Decision.Found.NOTHING || table.found() == Decision.Found.OURS_EMPTY) {
            create(
                    TargetTable.createStatement(
                            wanted,
                            partitionBy(table),
                            clickHouse.engine(engine(wanted)),
                            TargetTable.comment(pipe, wanted)),
                    wanted);
        }
        return wanted.built(table.request(), null, null);
    }

    private TableDefinition buildInPlace(Work.Table table, TableDefinition wanted) {
        var former = TargetTable.find(clickHouse, wanted.target());
        table.live().ifPresent(this::forget);
        var statement = statement(former, table, wanted, TargetTable.comment(pipe, wanted));
        // Rows that the stream still brings by what was recorded before are older than the load, which removes them.
        create(statement.replaceFirst("^CREATE", "CREATE OR REPLACE"), wanted);
        return wanted.built(table.request(), null, null);
    }

    private TableDefinition replace(Work.Table table, TableDefinition wanted) {
        var place = table.mapping().targetTable();
        var unknown = wanted.built(table.request(), new Replacement(place, null), null);
        // Checked to be ours; of a Setup that was cut off, or of a replacement that is not wanted any more.
        TargetTable.drop(clickHouse, wanted.target());
        create(
                statement(TargetTable.find(clickHouse, place), table, wanted, TargetTable.comment(pipe, unknown)),
                wanted);
        var uuid = TargetTable.uuid(clickHouse, wanted.target()).orElseThrow();
        return wanted.built(table.request(), new Replacement(place, uuid), null);
    }

    private String statement(Optional<TargetTable> former, Work.Table table, TableDefinition wanted, String comment) {
        return former.filter(there -> there.text() != null
                        && (there.stores() || !wanted.engine().stores()))
                .map(there -> there.replacementStatement(
                        table.live().orElse(null), wanted, partitionBy(table), engine(wanted), comment))
                .orElseGet(() -> TargetTable.createStatement(
                        wanted, partitionBy(table), clickHouse.engine(engine(wanted)), comment));
    }

    private void create(String statement, TableDefinition wanted) {
        clickHouse.execute(statement);
        undo.push("table " + wanted.target(), () -> dropIfEmpty(wanted.target()));
        LOG.info("made table {}.{} for {}", clickHouse.database(), wanted.target(), wanted.source());
        TargetTable.find(clickHouse, wanted.target())
                .flatMap(made -> DestinationChecks.partitions(made, wanted))
                .ifPresent(wrong -> {
                    throw PipeException.fatal(
                            new Problem(
                                    "PartitionByUnsuitable",
                                    "partitionByExpr of " + wanted.source(),
                                    wrong,
                                    "Use columns of the sorting key; or put them into sortingKeys; or use tableEngine: MergeTree"));
                });
    }

    private PipeException refused(Work.Table table, PipeException e) {
        var known = ClickHouseErrors.of(e, table.mapping().targetTable());
        var expression = table.mapping().partitionByExpr();
        return PipeException.fatal(known.problems().stream()
                .map(
                        problem -> problem.reason().equals("PartitionByUnsuitable")
                                ? problem
                                : new Problem(
                                        "TargetNotMade",
                                        "table " + clickHouse.database() + "." + table.target(),
                                        problem.message(),
                                        (expression == null
                                                        ? ""
                                                        : "Correct partitionByExpr (" + expression
                                                                + "), if it is that; ")
                                                + (table.decision() == Decision.BUILD
                                                        ? "see the message"
                                                        : "what was added to "
                                                                + table.mapping()
                                                                        .targetTable()
                                                                + " is carried over, and must fit the columns as they are now: take off what does not")))
                .toList());
    }

    /** Takes a build out of the record, and its table away where that is not a live one; see {@link #removeTarget}. */
    void remove(TableDefinition build) {
        forget(build);
        if (build.replaces()
                && TargetTable.uuid(clickHouse, build.target())
                        .filter(build.replacement().uuid()::equals)
                        .isPresent()) {
            TargetTable.drop(clickHouse, build.target());
            LOG.info("dropped table {}.{}: it is not wanted any more", clickHouse.database(), build.target());
        }
    }

    /** Of a table that is not mapped any more. */
    void removeTarget(TableDefinition live) {
        var target = TargetTable.list(clickHouse).get(live.target());
        if (pipe.spec().deletionPolicy() == DeletionPolicy.Delete && target != null && target.createdBy(pipe)) {
            TargetTable.drop(clickHouse, live.target());
            LOG.info("dropped table {}.{}", clickHouse.database(), live.target());
        }
    }

    private void forget(TableDefinition build) {
        ledger.forget(build.build());
        definitions.forget(build);
    }

    private void dropIfEmpty(String name) {
        var table = TargetTable.list(clickHouse).get(name);
        if (table != null && table.createdBy(pipe) && table.empty()) {
            TargetTable.drop(clickHouse, name);
        }
    }

    private String engine(TableDefinition wanted) {
        return TargetTable.engine(wanted, pipe.settings().deleteOnMerge());
    }

    private static String partitionBy(Work.Table table) {
        return table.request().layout().partitionBy();
    }

    /** All that can't be made, at once. */
    List<TableDefinition> buildAll(
            List<Work.Table> tables, java.util.function.Function<Work.Table, TableDefinition> wanted) {
        var built = new ArrayList<TableDefinition>();
        var problems = new ArrayList<Problem>();
        for (var table : tables) {
            try {
                built.add(build(table, wanted.apply(table)));
            } catch (PipeException e) {
                if (e.retryable()) {
                    throw e;
                }
                problems.addAll(e.problems());
            }
        }
        if (!problems.isEmpty()) {
            throw PipeException.fatal(problems);
        }
        return built;
    }
}
