package dev.clickpipe.pipe;

import com.fasterxml.jackson.annotation.JsonInclude;

/**
 * One thing that is wrong: what failed, on which object, in the server's own words, and what to do.
 *
 * @param reason CamelCase, stable, for machines: a condition's reason
 * @param object what it is about, such as {@code table public.orders} or {@code postgres db.example:5432/shop}
 * @param message what failed, in the server's own words where a server said it; never a secret
 * @param remedy what a person does about it; a sentence or an SQL statement
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Problem(String reason, String object, String message, String remedy) {
    /** The reason of a load's worker that has nothing to do as long as other workers of it have it in hand. */
    public static final String ANOTHER_LOAD_RUNS = "AnotherLoadRuns";

    /** As one line for people. */
    public String sentence() {
        return withRemedy(object + ": " + message, remedy);
    }

    /** A message, and after it what to do; servers end theirs with a full stop or without. */
    static String withRemedy(String message, String remedy) {
        return remedy == null || remedy.isEmpty() ? message : message.replaceFirst("[.\\s]+$", "") + ". " + remedy;
    }
}
