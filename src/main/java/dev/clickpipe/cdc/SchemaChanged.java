package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;

/**
 * The source's schema is another one than the target was brought to. It ends the connection: the target is brought to it between
 * two, when nobody else writes.
 */
final class SchemaChanged extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient TableDefinition table;
    private final int nullArrived;

    SchemaChanged(TableDefinition table) {
        this(table, 0);
    }

    /** @param nullArrived the number of a column that held NULL, though it must not by what is recorded; 0: none */
    SchemaChanged(TableDefinition table, int nullArrived) {
        super("the schema of " + table.source() + " has changed");
        this.table = table;
        this.nullArrived = nullArrived;
    }

    TableDefinition table() {
        return table;
    }

    int nullArrived() {
        return nullArrived;
    }
}
