package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.ClickHouseErrors;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.PostgresErrors;
import java.util.function.Supplier;

/** A failure that concerns one table alone and that no retry cures: the table is parked, and the others go on. */
final class TableFailure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient TableDefinition table;
    private final transient Problem problem;

    /** @param problem its remedy tells how to remove the cause; that the table is built anew then goes without saying */
    TableFailure(TableDefinition table, Problem problem) {
        this(table, problem, null);
    }

    private TableFailure(TableDefinition table, Problem problem, Throwable cause) {
        super(problem.sentence(), cause);
        this.table = table;
        this.problem = problem;
    }

    TableDefinition table() {
        return table;
    }

    Problem problem() {
        return problem;
    }

    /**
     * Works on one table.
     *
     * @throws TableFailure where a server refused it for reasons that lie in this table
     */
    static <T> T of(TableDefinition table, Supplier<T> work) {
        try {
            return work.get();
        } catch (PipeException e) {
            var problem = e.problems().getFirst();
            if (!e.retryable() && (ClickHouseErrors.concernTable(problem) || PostgresErrors.concernTable(problem))) {
                throw new TableFailure(table, problem, e);
            }
            throw e;
        }
    }
}
