package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition.Column;

/** A change of a source table's columns that its target follows. */
sealed interface SchemaChange {

    /** @param missing what rows from before read, as Postgres prints it; null: NULL */
    record Added(Column column, String after, String missing) implements SchemaChange {}

    /** The target keeps its column. */
    record Dropped(String name) implements SchemaChange {}

    record Renamed(String from, String to) implements SchemaChange {}

    /** The target's column takes other values, or NULL, too. @param column as it is now */
    record Widened(Column column, String from) implements SchemaChange {}

    /** For people. */
    default String sentence() {
        return switch (this) {
            case Added added ->
                "column " + added.column().name() + " was added, "
                        + added.column().clickHouseType()
                        + (added.missing() == null ? "" : ", with a default that rows from before read");
            case Dropped dropped -> "column " + dropped.name() + " was dropped; the target's keeps what it has";
            case Renamed renamed -> "column " + renamed.from() + " was renamed to " + renamed.to();
            case Widened widened ->
                "column " + widened.column().name() + " was " + widened.from() + " and is "
                        + widened.column().clickHouseType();
        };
    }
}
