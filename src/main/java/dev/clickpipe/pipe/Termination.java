package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;

/**
 * The last words of a worker, written as JSON to the container's termination message file (at most 4096 bytes) and read
 * by the operator from the pod's status.
 *
 * @param reason CamelCase; {@code Succeeded}, or the first problem's
 * @param message one paragraph for people
 * @param remedy what to do; null when nothing is wrong
 * @param retryable whether running it again may work
 * @param problems every problem found, as many as fit
 * @param load what an initial load ended with; null otherwise
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Termination(
        String reason,
        String message,
        String remedy,
        boolean retryable,
        List<Problem> problems,
        WorkerStatus.Load load) {

    public static final String SUCCEEDED = "Succeeded";

    /** Kubernetes cuts a container's termination message there. */
    private static final int MAX_BYTES = 4096;

    /** No text is longer, so that one problem always fits. */
    private static final int MAX_TEXT = 600;

    public static Termination succeeded(WorkerStatus.Load load) {
        return new Termination(SUCCEEDED, "Done", null, false, List.of(), load);
    }

    /** Ended before its work was done, because it was asked to. */
    public static Termination stopped() {
        return new Termination(
                "Stopped", "Stopped before it was done", "It goes on when it is started again", true, List.of(), null);
    }

    public static Termination failed(List<Problem> problems, boolean retryable, WorkerStatus.Load load) {
        var first = problems.getFirst();
        int more = problems.size() - 1;
        return new Termination(
                first.reason(),
                first.object() + ": " + first.message() + (more == 0 ? "" : " (and " + more + " more, see problems)"),
                first.remedy(),
                retryable,
                problems,
                load);
    }

    /** As the operator reads it; problems are dropped from the end until it fits. */
    public byte[] json() {
        var kept = new ArrayList<>(problems.stream().map(Termination::shorten).toList());
        while (true) {
            int dropped = problems.size() - kept.size();
            var message =
                    cut(this.message) + (dropped == 0 ? "" : " (" + dropped + " of the problems are in the log only)");
            var json = Json.bytes(new Termination(reason, message, cut(remedy), retryable, kept, load));
            if (json.length <= MAX_BYTES || kept.isEmpty()) {
                return json;
            }
            kept.removeLast();
        }
    }

    private static Problem shorten(Problem problem) {
        return new Problem(problem.reason(), cut(problem.object()), cut(problem.message()), cut(problem.remedy()));
    }

    private static String cut(String text) {
        return text == null || text.length() <= MAX_TEXT ? text : text.substring(0, MAX_TEXT) + "…";
    }
}
