/**
 * The initial load: {@link dev.clickpipe.snapshot.Snapshot} opens a session, {@link dev.clickpipe.snapshot.Schedule} hands its
 * chunks to readers, {@link dev.clickpipe.snapshot.ChunkLoader} copies one from Postgres to ClickHouse.
 */
package dev.clickpipe.snapshot;
