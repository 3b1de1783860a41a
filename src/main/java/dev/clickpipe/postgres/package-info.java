/** The source: its catalogue, publication and slot, the COPY reader and the replication stream. Knows no ClickHouse. */
package dev.clickpipe.postgres;
