package dev.clickpipe.pipe;

/** What a worker's exit code says to the operator, and to a person who runs it by hand. */
public enum ExitCode {
    /** Done, or stopped as asked. */
    OK(0),
    /** The command line or the pipe file is wrong. */
    USAGE(2),
    /** Refused or impossible: no retry cures it. The termination message says what does. */
    FATAL(10),
    /** It failed and may work next time. */
    RETRYABLE(11);

    private final int code;

    ExitCode(int code) {
        this.code = code;
    }

    public int code() {
        return code;
    }
}
