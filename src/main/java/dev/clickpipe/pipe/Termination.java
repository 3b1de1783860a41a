package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.Collectors;

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

    /** More never fit. */
    private static final int MOST_PROBLEMS = 50;

    private static final int LONGEST_TEXT = 800;
    private static final String UNLISTED = " of the problems are in the log only)";

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

    /** Every problem that is listed, each with its remedy, as one paragraph for people. */
    public String paragraph() {
        if (problems == null || problems.size() <= 1) {
            return message == null || remedy == null || remedy.isEmpty()
                    ? message
                    : message.replaceFirst("[.\\s]+$", "") + ". " + remedy;
        }
        var unlisted = message.endsWith(UNLISTED) ? message.substring(message.lastIndexOf(" (")) : "";
        return problems.stream().map(Problem::sentence).collect(Collectors.joining("; ")) + unlisted;
    }

    /** As the operator reads it, cut to what Kubernetes keeps: fewer problems first, then shorter texts. */
    public byte[] json() {
        for (int length = LONGEST_TEXT; ; length /= 2) {
            for (int kept = Math.min(problems.size(), MOST_PROBLEMS); ; kept--) {
                var json = Json.bytes(shortened(kept, length));
                if (json.length <= MAX_BYTES) {
                    return json;
                }
                if (kept <= 1) {
                    break;
                }
            }
        }
    }

    private Termination shortened(int kept, int length) {
        int dropped = problems.size() - kept;
        return new Termination(
                reason,
                cut(message, length) + (dropped == 0 ? "" : " (" + dropped + UNLISTED),
                cut(remedy, length),
                retryable,
                problems.stream()
                        .limit(kept)
                        .map(problem -> new Problem(
                                problem.reason(),
                                cut(problem.object(), length),
                                cut(problem.message(), length),
                                cut(problem.remedy(), length)))
                        .toList(),
                load);
    }

    private static String cut(String text, int length) {
        if (text == null || text.length() <= length) {
            return text;
        }
        // Half a character is no JSON.
        int end = Character.isHighSurrogate(text.charAt(length - 1)) ? length - 1 : length;
        return text.substring(0, end) + "…";
    }
}
