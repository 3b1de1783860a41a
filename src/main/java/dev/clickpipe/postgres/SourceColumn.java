package dev.clickpipe.postgres;

/**
 * A column of a source table.
 *
 * @param number {@code attnum}: stays the same when the column is renamed
 * @param dimensions {@code attndims}: declared array dimensions, 0 for none; only informative in Postgres
 * @param generated true for GENERATED ALWAYS AS columns, which pgoutput does not publish before Postgres 18
 */
public record SourceColumn(int number, String name, PgType type, int dimensions, boolean notNull, boolean generated) {}
