/**
 * Change data capture: the run mode that follows the replication slot. {@link dev.clickpipe.cdc.Cdc} reads messages,
 * {@link dev.clickpipe.cdc.Changes} turns them into rows of a {@link dev.clickpipe.cdc.Batch} while they are read, and
 * {@link dev.clickpipe.cdc.Applier} brings one batch at a time to ClickHouse while the next is read.
 */
package dev.clickpipe.cdc;
