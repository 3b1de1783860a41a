package dev.clickpipe.operator;

import dev.clickpipe.pipe.Problem;
import io.fabric8.kubernetes.client.KubernetesClientException;

/**
 * Why things are as they are, as conditions and events say it.
 *
 * @param reason CamelCase, as Kubernetes demands of a condition's reason; any other text given is made to fit
 * @param message for people, in the words of whoever said it first; never empty
 */
record Cause(String reason, String message) {

    private static final int MESSAGE_LIMIT = 4096;

    Cause {
        reason = reason == null ? "" : reason.replaceAll("[^A-Za-z0-9_]", "");
        reason = reason.isEmpty() || !Character.isLetter(reason.charAt(0)) ? "Unknown" + reason : reason;
        message = message == null || message.isBlank() ? reason : message.strip();
        message = message.length() <= MESSAGE_LIMIT ? message : message.substring(0, MESSAGE_LIMIT - 1) + "…";
    }

    static Cause of(Problem problem) {
        return new Cause(problem.reason(), problem.sentence());
    }

    /** The API server refused something. */
    static Cause of(KubernetesClientException e) {
        var status = e.getStatus();
        var said = status == null || status.getMessage() == null ? e.getMessage() : status.getMessage();
        var reason = status == null || status.getReason() == null ? "ApiServer" : status.getReason();
        return new Cause(reason, said);
    }
}
