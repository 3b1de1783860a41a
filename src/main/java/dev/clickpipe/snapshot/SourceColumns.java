package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.LoadLock;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.SourceShape;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import java.util.Optional;

/**
 * Whether source tables still have the columns that their targets have. The change stream, which runs beside every load, brings a
 * target to what has changed; the load waits for that. Where there is no stream nobody does, and the load goes by the columns of the
 * day on which the target was made. Asks on a connection of its own, for a session's snapshot shows the catalogue of its time.
 * Thread-safe.
 */
final class SourceColumns implements AutoCloseable {
    private final Pipe pipe;
    private final PostgresClient postgres;
    private final Definitions definitions;
    private Connection connection;

    SourceColumns(Pipe pipe, PostgresClient postgres, Definitions definitions) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.definitions = definitions;
    }

    /**
     * Whether the source has them now, and what is recorded is what is known here.
     *
     * @param chunk the chunk's own connection, in whose transaction nobody alters the source; until its end nobody alters the
     *     target either
     * @throws PipeException classified
     */
    boolean areUnchanged(TableDefinition definition, Connection chunk) throws SQLException {
        if (definition.publishing() == null) {
            return areUnchanged(definition);
        }
        LoadLock.share(chunk, definition.build());
        var recorded = definitions.all().stream()
                .filter(other -> definition.build().equals(other.build()))
                .findFirst();
        return recorded.isPresent()
                && recorded.get().columns().equals(definition.columns())
                && areUnchanged(recorded.get());
    }

    /** Whether the source has them now. */
    synchronized boolean areUnchanged(TableDefinition definition) {
        try {
            if (connection == null) {
                connection = postgres.connect("columns of the initial load");
            }
            var publication = definition.publishing() == null
                    ? ""
                    : definition.publishing().publication();
            var shape = SourceShape.read(connection, Map.of(definition.relid(), publication))
                    .get(definition.relid());
            // That a table is gone is found where it is read.
            return shape == null
                    || (definition.followed() != null && definition.failure() == null
                            ? definition.followed().shape().equals(shape)
                            : has(shape, definition));
        } catch (SQLException e) {
            close();
            throw PostgresErrors.of(e, postgres.object());
        }
    }

    private boolean has(SourceShape shape, TableDefinition definition) {
        boolean followed = definition.publishing() != null && definition.failure() == null;
        boolean keepsNull =
                definition.request() != null && definition.request().layout().nullables();
        int known = Math.max(
                definition.highestColumn(),
                definition.columns().stream()
                        .mapToInt(TableDefinition.Column::number)
                        .max()
                        .orElse(0));
        return definition.columns().stream().allMatch(column -> shape.column(column.number())
                        .filter(now -> now.name().equals(column.name()))
                        .filter(now -> isOf(now, column.type()))
                        .filter(now -> !keepsNull || column.nullable() || now.notNull())
                        .isPresent())
                && (!followed || shape.columns().stream().allMatch(column -> column.number() <= known));
    }

    private static boolean isOf(SourceShape.Column now, PgType type) {
        return now.type() == type.oid() && (type.kind() == PgType.Kind.DOMAIN || now.typmod() == type.typmod());
    }

    /** Why nobody will bring the target to the source's columns; empty where somebody will. */
    Optional<Problem> hopeless(TableDefinition definition) {
        if (definition.failure() != null) {
            return Optional.of(definition.failure());
        }
        return definition.publishing() != null
                ? Optional.empty()
                : Optional.of(new Problem(
                        "SourceColumnsChanged",
                        "table " + definition.source(),
                        "columns were dropped, renamed or altered since its target was made",
                        (pipe.settings().replicationMode().streams()
                                        ? "S"
                                        : "There is no change stream that follows: s")
                                + "et the mapping's resync to a new value, and the table is built anew"));
    }

    @Override
    public synchronized void close() {
        if (connection != null) {
            try {
                connection.close();
            } catch (SQLException e) {
                // it is of no use any more
            }
            connection = null;
        }
    }
}
