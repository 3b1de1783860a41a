package dev.clickpipe.pipe;

import java.util.List;
import java.util.stream.Collectors;

/** A failure with its remedy. Worker modes throw it; nobody prints its stack trace to a user. */
public final class PipeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient List<Problem> problems;
    private final boolean retryable;

    private PipeException(List<Problem> problems, boolean retryable, Throwable cause) {
        super(problems.stream().map(Problem::sentence).collect(Collectors.joining("; ")), cause);
        this.problems = List.copyOf(problems);
        this.retryable = retryable;
    }

    /** No retry cures it. */
    public static PipeException fatal(Problem problem) {
        return new PipeException(List.of(problem), false, null);
    }

    public static PipeException fatal(Problem problem, Throwable cause) {
        return new PipeException(List.of(problem), false, cause);
    }

    /** No retry cures them; all at once. */
    public static PipeException fatal(List<Problem> problems) {
        return new PipeException(problems, false, null);
    }

    /** It may work next time: the server is down, restarting, short of something. */
    public static PipeException retryable(Problem problem, Throwable cause) {
        return new PipeException(List.of(problem), true, cause);
    }

    /** They may all work next time; all at once. */
    public static PipeException retryable(List<Problem> problems) {
        return new PipeException(problems, true, null);
    }

    public List<Problem> problems() {
        return problems;
    }

    public boolean retryable() {
        return retryable;
    }
}
