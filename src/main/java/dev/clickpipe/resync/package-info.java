/** The run mode that swaps what was built beside live tables, where no stream does it. */
package dev.clickpipe.resync;
