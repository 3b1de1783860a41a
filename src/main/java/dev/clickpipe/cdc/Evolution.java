package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Attribute;
import dev.clickpipe.clickhouse.TableDefinition.Choice;
import dev.clickpipe.clickhouse.TableDefinition.Column;
import dev.clickpipe.clickhouse.TableDefinition.Followed;
import dev.clickpipe.clickhouse.TableDefinition.Layout;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.codec.UnsuitableType;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.MissingValues;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.SourceColumn;
import dev.clickpipe.postgres.SourceShape;
import dev.clickpipe.postgres.SourceTable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * From what is recorded of a table to what the catalogue says of it now: what its target has to follow, or why it can't. Columns are
 * told apart by their numbers, so that however much has happened in between there is nothing to guess. Pure.
 *
 * @param changes in the order in which they are made
 * @param followed what is recorded when they are made
 */
record Evolution(List<SchemaChange> changes, Followed followed) {

    /**
     * The catalogue, read at one moment.
     *
     * @param seen a WAL position behind all commits that it shows
     */
    record Seen(SourceShape shape, SourceTable table, MissingValues missing, Lsn seen) {}

    /**
     * @param nullArrived numbers of columns that held NULL in between, whatever the catalogue says of them now
     * @throws TableFailure it can't be followed
     */
    static Evolution of(TableDefinition build, Seen now, Collection<Integer> nullArrived) {
        return new Decision(build, now, Set.copyOf(nullArrived)).decide();
    }

    private static final class Decision {
        private final TableDefinition build;
        private final Followed former;
        private final Seen now;
        private final Set<Integer> nullArrived;
        private final boolean nullables;
        private final Set<String> excluded;
        /** What the spec said of the target; null where it was not recorded. */
        private final Layout layout;

        private final TreeMap<Integer, Attribute> attributes = new TreeMap<>();
        private final List<SchemaChange> dropped = new ArrayList<>();
        private final List<SchemaChange> renamed = new ArrayList<>();
        private final List<SchemaChange> widened = new ArrayList<>();
        private final List<SchemaChange> added = new ArrayList<>();
        private final List<Column> columns = new ArrayList<>();
        private final List<Column> kept = new ArrayList<>();

        Decision(TableDefinition build, Seen now, Set<Integer> nullArrived) {
            this.build = build;
            this.former = build.followed();
            this.now = now;
            this.nullArrived = nullArrived;
            layout = build.request() == null ? null : build.request().layout();
            this.nullables = layout == null || layout.nullables();
            this.excluded = layout == null ? Set.of() : Set.copyOf(layout.excludedColumns());
            if (former != null) {
                kept.addAll(former.dropped());
                former.attributes().forEach(attribute -> attributes.put(attribute.number(), attribute));
            } else {
                build.columns()
                        .forEach(column -> attributes.put(
                                column.number(),
                                new Attribute(
                                        column.number(),
                                        List.of(column.name()),
                                        List.of(column.type()),
                                        Lsn.ZERO.toString(),
                                        null,
                                        true,
                                        true,
                                        null)));
            }
        }

        Evolution decide() {
            build.columns().forEach(this::follow);
            int known = former == null ? highestKnown() : former.shape().attributes();
            for (var column : now.shape().columns()) {
                if (attributes.get(column.number()) == null
                        || !attributes.get(column.number()).replicated()) {
                    meet(column, known);
                }
            }
            attributes.replaceAll((number, attribute) ->
                    attribute.until() == null && now.shape().column(number).isEmpty() ? gone(attribute) : attribute);
            checkNames();
            checkKey();
            return new Evolution(
                    Stream.of(dropped, renamed, widened, added)
                            .flatMap(List::stream)
                            .toList(),
                    new Followed(
                            now.shape(),
                            now.missing().filenode(),
                            columns,
                            kept,
                            keyColumns(),
                            List.copyOf(attributes.values())));
        }

        private int highestKnown() {
            return Math.max(
                    build.highestColumn(),
                    build.columns().stream().mapToInt(Column::number).max().orElse(0));
        }

        /** What became of a replicated column. */
        private void follow(Column column) {
            var found = now.shape().column(column.number()).orElse(null);
            boolean sorts = build.sortingKey().contains(column.name());
            if (found == null) {
                if (sorts) {
                    throw refused(
                            "KeyColumnDropped", column.name(), "it was dropped, and the target is ordered by it", null);
                }
                dropped.add(new SchemaChange.Dropped(column.name()));
                kept.add(column);
                return;
            }
            if (!found.published() || found.generated()) {
                throw refused(
                        "ColumnNotPublished",
                        column.name(),
                        "Postgres publishes it no more: "
                                + (found.generated()
                                        ? "it is GENERATED ALWAYS AS now"
                                        : "the publication's column list leaves it out"),
                        "Put it back, or into excludedColumns");
            }
            var source = source(column.number());
            var choice = choice(column.name());
            boolean nullable = column.nullable()
                    || choice.nullable() == null
                            && nullables
                            && (!source.notNull() || nullArrived.contains(column.number()));
            var type = source.type().equals(column.type()) ? column.type() : source.type();
            var clickHouseType = type.equals(column.type()) && nullable == column.nullable()
                    ? column.clickHouseType()
                    // Of an array Postgres does not enforce its dimensions: those by which the target was made count.
                    : mapped(source, column.dimensions(), nullable, choice).clickHouseType();
            var next = new Column(column.number(), source.name(), type, column.dimensions(), nullable, clickHouseType);
            if (!type.equals(column.type())
                    && !Widening.keepsValues(column.type(), type, column.clickHouseType(), clickHouseType)) {
                throw refused(
                        "ColumnTypeChanged",
                        source.name(),
                        "its type changed from " + shown(column.type()) + " to " + shown(type)
                                + ": the rows from before have to be read anew",
                        null);
            }
            if (sorts && !source.name().equals(column.name())) {
                throw refused(
                        "KeyColumnRenamed",
                        column.name(),
                        "it was renamed to " + source.name() + ", and the target is ordered by it",
                        build.request() != null
                                        && build.request()
                                                .layout()
                                                .sortingKeys()
                                                .contains(column.name())
                                ? "Correct sortingKeys"
                                : null);
            }
            if (sorts && !clickHouseType.equals(column.clickHouseType())) {
                throw refused(
                        "KeyColumnChanged",
                        column.name(),
                        "the target's would have to be " + clickHouseType + " instead of " + column.clickHouseType()
                                + ", and the target is ordered by it",
                        null);
            }
            if (!source.name().equals(column.name())) {
                renamed.add(new SchemaChange.Renamed(column.name(), source.name()));
            }
            if (!clickHouseType.equals(column.clickHouseType())) {
                widened.add(new SchemaChange.Widened(next, column.clickHouseType()));
            }
            columns.add(next);
            attributes.compute(column.number(), (number, attribute) -> learned(attribute, source.name(), type, true));
        }

        /** A column that is not replicated: it was not wanted, or is new. */
        private void meet(SourceShape.Column column, int known) {
            var source = source(column.number());
            boolean isNew = column.number() > known;
            var before = former == null
                    ? null
                    : former.shape().column(column.number()).orElse(null);
            boolean sent = column.published() && !column.generated();
            if (before != null
                    && !(before.published() && !before.generated())
                    && sent
                    && !excluded.contains(column.name())) {
                throw refused(
                        "ColumnNotReplicated",
                        column.name(),
                        "it is published now, and was not: it was generated, or the publication's column list left it"
                                + " out; what the rows from before have is not in the stream",
                        null);
            }
            boolean wanted = isNew && sent && !excluded.contains(column.name());
            if (wanted) {
                add(column);
            }
            var missing = wanted ? now.missing().values().get(column.number()) : null;
            var attribute = attributes.get(column.number());
            attributes.put(
                    column.number(),
                    attribute == null
                            ? new Attribute(
                                    column.number(),
                                    List.of(column.name()),
                                    List.of(source.type()),
                                    (isNew ? now.seen() : Lsn.ZERO).toString(),
                                    null,
                                    column.published(),
                                    wanted,
                                    missing)
                            : learned(attribute, column.name(), source.type(), column.published()));
        }

        private void add(SourceShape.Column column) {
            if (TargetTable.systemColumns(true).containsKey(column.name())) {
                throw refused(
                        "ColumnNameReserved",
                        column.name(),
                        "it was added, with the name of a column that every target has",
                        "Rename it, or put it into excludedColumns");
            }
            if (now.missing().unknown().contains(column.number())
                    && (former == null
                            || former.filenode() == 0
                            || former.filenode() != now.missing().filenode())) {
                throw refused(
                        "ColumnDefaultUnknown",
                        column.name(),
                        "it was added with a default that each row got a value of its own from, or the table was"
                                + " rewritten since: what the rows from before have is not in the stream",
                        null);
            }
            var missing = now.missing().values().get(column.number());
            var source = source(column.number());
            // Rows from before may have NULL, whatever was demanded afterwards.
            var choice = choice(column.name());
            boolean nullable =
                    choice.nullable() == null ? nullables && (missing == null || !source.notNull()) : choice.nullable();
            var wanted = mapped(source, source.dimensions(), nullable, choice);
            added.add(new SchemaChange.Added(
                    wanted, columns.isEmpty() ? null : columns.getLast().name(), missing));
            columns.add(wanted);
        }

        private Choice choice(String column) {
            return layout == null ? Choice.none(column) : layout.choice(column);
        }

        private Column mapped(SourceColumn source, int dimensions, boolean nullable, Choice choice) {
            try {
                return Column.of(source, dimensions, nullable, choice.targetType());
            } catch (UnsuitableType e) {
                throw refused(
                        "ColumnTypeChanged",
                        source.name(),
                        e.getMessage(),
                        "Choose another targetType: " + e.choices());
            }
        }

        private static Attribute learned(Attribute attribute, String name, PgType type, boolean published) {
            return new Attribute(
                    attribute.number(),
                    with(attribute.names(), name),
                    with(attribute.types(), type),
                    attribute.since(),
                    attribute.until(),
                    published,
                    attribute.replicated(),
                    attribute.missing());
        }

        private static <T> List<T> with(List<T> former, T last) {
            return Stream.concat(former.stream().filter(one -> !one.equals(last)), Stream.of(last))
                    .toList();
        }

        private Attribute gone(Attribute attribute) {
            return new Attribute(
                    attribute.number(),
                    attribute.names(),
                    attribute.types(),
                    attribute.since(),
                    now.seen().toString(),
                    attribute.published(),
                    attribute.replicated(),
                    attribute.missing());
        }

        /** The target has one column of a name, and keeps those that were dropped. */
        private void checkNames() {
            var taken = kept.stream().map(Column::name).toList();
            for (var change : added) {
                var name = ((SchemaChange.Added) change).column().name();
                if (taken.contains(name)) {
                    throw refused(
                            "ColumnNameUsedAgain",
                            name,
                            "it was dropped, and another one was added under its name: the target keeps the values of the former",
                            null);
                }
                requireFree(name, "it was added");
            }
            for (var change : renamed) {
                var name = ((SchemaChange.Renamed) change).to();
                if (taken.contains(name)) {
                    throw refused(
                            "ColumnNameUsedAgain",
                            name,
                            "it was dropped, and another one was renamed to its name: the target keeps the values of the former",
                            null);
                }
                requireFree(name, "another column was renamed to it");
            }
        }

        private void requireFree(String name, String what) {
            if (build.columns().stream().anyMatch(column -> column.name().equals(name))) {
                throw refused(
                        "ColumnNameUsedAgain", name, what + ", and the name was another column's until then", null);
            }
        }

        /**
         * Rows that differ in the source's key must differ in the target's. That updates and deletes carry the latter is seen
         * when they come, see {@link TableWriter}.
         */
        private void checkKey() {
            if (build.engine().appendOnly() || former == null) {
                return;
            }
            var key = key(now.shape());
            if (key.equals(key(former.shape()))) {
                return;
            }
            boolean vouched = build.request() != null
                    && !build.request().layout().sortingKeys().isEmpty();
            var sorting = build.sortingKey().stream()
                    .flatMap(name ->
                            columns.stream().filter(column -> column.name().equals(name)))
                    .map(Column::number)
                    .toList();
            if (key.isEmpty() && !vouched) {
                throw refusedKey("its primary key was dropped: rows that agree in the target's sorting key "
                        + build.sortingKey() + " would become one");
            }
            if (!sorting.containsAll(key)) {
                throw refusedKey("its key is " + names(key) + " now: rows that agree in the target's sorting key "
                        + build.sortingKey() + " would become one");
            }
        }

        private static List<Integer> key(SourceShape shape) {
            return !shape.primaryKey().isEmpty()
                    ? shape.primaryKey()
                    : shape.identity() == 'i' ? shape.identityIndex() : List.of();
        }

        private TableFailure refusedKey(String message) {
            return new TableFailure(
                    build,
                    new Problem(
                            "KeyChanged",
                            "table " + build.source(),
                            message,
                            "Give the table a key that the target's is to be made of"));
        }

        private List<String> names(List<Integer> numbers) {
            return numbers.stream()
                    .map(number -> now.shape().column(number).orElseThrow().name())
                    .toList();
        }

        /** Names may have changed; whoever writes goes by the identity that the stream tells, as far as it tells it. */
        private List<String> keyColumns() {
            return build.keyColumns().stream()
                    .map(name -> build.columns().stream()
                            .filter(column -> column.name().equals(name))
                            .findFirst()
                            .map(Column::number)
                            .orElse(0))
                    .flatMap(number -> columns.stream().filter(column -> column.number() == number))
                    .map(Column::name)
                    .toList();
        }

        private SourceColumn source(int number) {
            return now.table().columns().stream()
                    .filter(column -> column.number() == number)
                    .findFirst()
                    .orElseThrow();
        }

        private TableFailure refused(String reason, String column, String message, String remedy) {
            return new TableFailure(
                    build, new Problem(reason, "table " + build.source() + ", column " + column, message, remedy));
        }

        private static String shown(PgType type) {
            return type.typmod() == -1 ? type.name() : type.name() + " (modifier " + type.typmod() + ")";
        }
    }
}
