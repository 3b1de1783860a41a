/**
 * {@code dev/bench}: how fast the workers are beside what else could carry the rows, on the same machine in the same run.
 * Nothing here passes or fails.
 */
package dev.clickpipe.bench;
