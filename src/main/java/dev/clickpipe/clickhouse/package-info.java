/**
 * The destination: DDL, inserts, and the {@code _clickpipe_*} tables that hold definitions, chunk ledger and offsets. Knows
 * no Postgres connection, only the descriptions of its tables.
 */
package dev.clickpipe.clickhouse;
