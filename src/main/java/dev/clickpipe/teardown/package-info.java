/** The run mode that removes what a pipe made. */
package dev.clickpipe.teardown;
