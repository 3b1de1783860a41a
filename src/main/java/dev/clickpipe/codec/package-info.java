/**
 * Postgres text to ClickHouse input, per type. COPY's text and pgoutput's text are the same text, so one encoder serves
 * the initial load and change data capture, and the two can't differ. The type table is {@link dev.clickpipe.codec.TypeMapping}.
 */
package dev.clickpipe.codec;
