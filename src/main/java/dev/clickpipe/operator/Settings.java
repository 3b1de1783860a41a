package dev.clickpipe.operator;

import java.time.Duration;
import java.util.Optional;

/**
 * How this operator was installed.
 *
 * @param image the workers' image
 * @param pullPolicy as in a pod; empty: Kubernetes' own default for the image's tag
 * @param port where workers answer {@code /status}
 * @param logFormat of the workers: text or json
 * @param poll how often a worker that has something to tell is asked; a settled one is asked less often
 * @param teardownTimeout how long, from the deletion request on, a deleted pipe waits for its source to be cleaned up
 */
record Settings(
        String image,
        Optional<String> pullPolicy,
        int port,
        String logFormat,
        Duration poll,
        Duration teardownTimeout) {}
