package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.postgres.Lsn;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A target table as this run writes it.
 *
 * @param boundary append-only targets: commits before this are in the load; {@link Lsn#ZERO} otherwise
 * @param resendable append-only targets: whether ClickHouse knows an insert again by its token, in this table and in what
 *     materialized views write to. Where it does not, only what the table itself holds can be known
 * @param stored append-only targets: changes up to this version are not written again. Where inserts are resendable that is
 *     what an earlier insert was confirmed of; elsewhere the greatest version stored when this run began, because rows go in by
 *     one writer in the order of their versions. Null where nothing is stored or the target keeps the latest version by itself
 * @param sentUntil the changes between {@code stored} and this version were sent in one insert, and may be stored, in part, or
 *     not; null where there are none such
 * @param whole whether a row that is not there was deleted, or else not loaded yet; append-only targets: true
 */
record Target(
        TableDefinition definition,
        Lsn boundary,
        boolean resendable,
        Version stored,
        Version sentUntil,
        boolean whole) {
    private static final List<String> CURRENT = List.of(SystemColumns.VERSION, SystemColumns.IS_DELETED);
    private static final List<String> HISTORY = List.of(
            SystemColumns.VERSION, SystemColumns.IS_DELETED, SystemColumns.OPERATION, SystemColumns.COMMITTED_AT);

    String name() {
        return definition.target();
    }

    String build() {
        return definition.build();
    }

    /** The source table, for people. */
    String source() {
        return definition.sourceSchema() + "." + definition.sourceTable();
    }

    /** Every change is a row of its own. */
    boolean appendOnly() {
        return definition.engine().appendOnly();
    }

    /** What is left out of a transaction that committed there. */
    Ignored ignored(Lsn commit) {
        return definition.streaming().ignored(commit);
    }

    /** Whether a column that may be NULL in the source may be NULL here. */
    boolean keepsNull(TableDefinition.Column column) {
        var layout = definition.request() == null ? null : definition.request().layout();
        return layout == null || layout.choice(column.name()).nullable() == null && layout.nullables();
    }

    /** The same, with rows identified by these columns; by those recorded where none are told. */
    Target identifiedBy(List<String> columns) {
        boolean told = !columns.isEmpty() && !Set.copyOf(columns).equals(Set.copyOf(definition.keyColumns()));
        return told
                ? new Target(definition.withKeyColumns(columns), boundary, resendable, stored, sentUntil, whole)
                : this;
    }

    List<String> systemColumns() {
        return appendOnly() ? HISTORY : CURRENT;
    }

    /** The columns of an insert: system columns, then the replicated ones in the order of the definition. */
    List<String> insertColumns() {
        return Stream.concat(
                        systemColumns().stream(), definition.columns().stream().map(TableDefinition.Column::name))
                .toList();
    }

    /** The place of a column in the definition; -1 when it is not replicated. */
    int column(String name) {
        for (int i = 0; i < definition.columns().size(); i++) {
            if (definition.columns().get(i).name().equals(name)) {
                return i;
            }
        }
        return -1;
    }

    /** Whether a change of this version is there already. */
    boolean has(Version version) {
        return version.commit().compareTo(boundary) < 0 || stored != null && version.compareTo(stored) <= 0;
    }

    /** Whether a change of this version, which is not known to be there, was sent already. */
    boolean wasSent(Version version) {
        return sentUntil != null && version.compareTo(sentUntil) <= 0;
    }

    @Override
    public String toString() {
        return source() + " → " + name();
    }
}
