/** The run mode that checks source and destination, refuses what can't work, and makes targets, publications and slot. */
package dev.clickpipe.setup;
