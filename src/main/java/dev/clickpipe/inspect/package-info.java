/** The run mode that looks at the slot of a pipe that is paused. */
package dev.clickpipe.inspect;
