package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;
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
}
