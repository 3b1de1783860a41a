package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/**
 * The last words of a worker, written as JSON to the container's termination message file (at most 4096 bytes) and read
 * by the operator from the pod's status.
 *
 * @param reason CamelCase; {@code Succeeded}, or the first problem's
 * @param message one sentence for people
 * @param remedy what to do; null when nothing is wrong, and when there are several problems, each with its own
 * @param retryable whether running it again may work
 * @param problems every problem found, as many as fit
 * @param load what an initial load ended with, or what Setup left to load; null otherwise
 * @param replication what was seen of the slot, where that was asked; null otherwise
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Termination(
        String reason,
        String message,
        String remedy,
        boolean retryable,
        List<Problem> problems,
        WorkerStatus.Load load,
        WorkerStatus.Replication replication) {

    public static final String SUCCEEDED = "Succeeded";
    public static final String STOPPED = "Stopped";

    /** Kubernetes cuts a container's termination message there. */
    private static final int MAX_BYTES = 4096;

    /** More never fit. */
    private static final int MOST_PROBLEMS = 50;

    private static final int LONGEST_TEXT = 800;

    public static Termination succeeded(WorkerStatus.Load load) {
        return new Termination(SUCCEEDED, "Done", null, false, List.of(), load, null);
    }

    /** What was asked of the slot. */
    public static Termination seen(WorkerStatus.Replication replication) {
        return new Termination(SUCCEEDED, "Done", null, false, List.of(), null, replication);
    }

    /** Ended before its work was done, because it was asked to. */
    public static Termination stopped() {
        return new Termination(
                STOPPED,
                "Stopped before it was done",
                "It goes on when it is started again",
                true,
                List.of(),
                null,
                null);
    }

    public static Termination failed(List<Problem> problems, boolean retryable, WorkerStatus.Load load) {
        var first = problems.getFirst();
        boolean single = problems.size() == 1;
        return new Termination(
                first.reason(),
                single ? first.object() + ": " + first.message() : problems.size() + " problems",
                single ? first.remedy() : null,
                retryable,
                problems,
                load,
                null);
    }

    /** All of it for people: every problem with its remedy. */
    public String text() {
        if (problems == null
                || problems.isEmpty()
                || message.startsWith(problems.getFirst().object())) {
            return Problem.withRemedy(message == null ? "" : message, remedy);
        }
        var text = new StringBuilder(message).append(':');
        for (int i = 0; i < problems.size(); i++) {
            text.append(" (").append(i + 1).append(") ").append(problems.get(i).sentence());
        }
        return text.toString();
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
                cut(message, length) + (dropped == 0 ? "" : " (" + dropped + " of the problems are in the log only)"),
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
                load,
                replication);
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
