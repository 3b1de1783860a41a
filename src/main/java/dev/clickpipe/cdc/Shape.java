package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.Mapping;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.codec.UnsuitableType;
import dev.clickpipe.codec.ValueEncoder;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.SourceColumn;
import dev.clickpipe.postgres.SourceTable;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * How the columns that the stream sends fit the recorded ones. The only place that decides what becomes of a schema change:
 *
 * <ul>
 *   <li>columns are matched by name;
 *   <li>one that was added is not replicated, and the table says so;
 *   <li>one that was dropped or renamed reads NULL (or the type's default) from then on, and the table says so;
 *   <li>one whose type changed goes on when the target's type holds every value of the new one, otherwise the table is parked.
 * </ul>
 *
 * @param sources for each recorded column its place in the stream's tuples; -1 where the stream has none
 * @param encoders for each recorded column
 * @param problem what is not replicated as it should be; null when all is
 */
record Shape(int[] sources, ValueEncoder[] encoders, Problem problem) {

    /**
     * @param excluded source columns that the user does not want
     * @param catalogue the source table as it is now; asked only when a type changed
     * @throws TableFailure a type changed to one that the target column can't take
     */
    static Shape of(Relation relation, Target target, Set<String> excluded, Supplier<Optional<SourceTable>> catalogue) {
        var columns = target.definition().columns();
        var sources = new int[columns.size()];
        var encoders = new ValueEncoder[columns.size()];
        var added = new ArrayList<String>();
        var missing = new ArrayList<String>();
        relation.columns().stream()
                .map(Relation.Column::name)
                .filter(name -> target.column(name) < 0 && !excluded.contains(name))
                .forEach(added::add);
        for (int i = 0; i < sources.length; i++) {
            var column = columns.get(i);
            sources[i] = place(relation, column.name());
            encoders[i] = target.definition().mapping(column).encoder();
            if (sources[i] < 0) {
                missing.add(column.name());
            } else if (changed(column, relation.columns().get(sources[i]))) {
                var mapping = changedType(relation, sources[i], target, column, catalogue);
                encoders[i] = target.definition().mapping(column, mapping).encoder();
            }
        }
        return new Shape(sources, encoders, problem(relation, added, missing));
    }

    private static int place(Relation relation, String name) {
        for (int i = 0; i < relation.columns().size(); i++) {
            if (relation.columns().get(i).name().equals(name)) {
                return i;
            }
        }
        return -1;
    }

    private static boolean changed(TableDefinition.Column recorded, Relation.Column now) {
        // A domain's modifier is the domain's own, not the column's.
        return recorded.type().oid() != now.type()
                || recorded.type().kind() != PgType.Kind.DOMAIN
                        && recorded.type().typmod() != now.typmod();
    }

    /** The codec of the new type, if what it writes suits the target's column. */
    private static Mapping changedType(
            Relation relation,
            int place,
            Target target,
            TableDefinition.Column recorded,
            Supplier<Optional<SourceTable>> catalogue) {
        var now = relation.columns().get(place);
        var type = catalogue
                .get()
                .flatMap(table -> table.columns().stream()
                        .filter(column -> column.name().equals(now.name()))
                        .findFirst())
                // The catalogue may be ahead of the stream: then it tells nothing of the type that the stream has.
                .filter(column -> column.type().oid() == now.type())
                .map(SourceColumn::type);
        try {
            return TypeMapping.into(type.orElseThrow(), recorded.clickHouseType());
        } catch (NoSuchElementException | UnsuitableType e) {
            throw new TableFailure(
                    target.definition(),
                    new Problem(
                            "ColumnTypeChanged",
                            "table " + relation + ", column " + now.name(),
                            "its type changed from " + recorded.type().name() + " to "
                                    + type.map(there ->
                                                    TypeMapping.of(there, recorded.dimensions(), recorded.nullable()))
                                            .map(mapping -> "one that becomes " + mapping.clickHouseType())
                                            .orElse("type OID " + now.type())
                                    + "; the target column is "
                                    + recorded.clickHouseType(),
                            null));
        }
    }

    private static Problem problem(Relation relation, List<String> added, List<String> missing) {
        if (added.isEmpty() && missing.isEmpty()) {
            return null;
        }
        var parts = new ArrayList<String>();
        if (!added.isEmpty()) {
            parts.add("added after setup and not replicated: " + String.join(", ", added));
        }
        if (!missing.isEmpty()) {
            parts.add("dropped or renamed, NULL or default from then on: " + String.join(", ", missing));
        }
        return new Problem(
                "ColumnsChanged",
                "table " + relation,
                "columns " + String.join("; ", parts),
                "Set the mapping's resync to a new value: the table is built anew with the columns of today");
    }
}
