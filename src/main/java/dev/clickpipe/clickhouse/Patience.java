package dev.clickpipe.clickhouse;

import java.time.Duration;

/**
 * How long an answer is awaited. A connection that is silently dead must be noticed soon, and a statement that takes its time
 * must come to its end: so it begins short, doubles when it was too short, and then follows what is really needed. Thread-safe.
 */
public final class Patience {
    private static final Duration SHORTEST = Duration.ofSeconds(30);
    private static final Duration LONGEST = Duration.ofMinutes(10);

    private volatile Duration now = SHORTEST;

    public Duration now() {
        return now;
    }

    /** No answer came within {@link #now}. */
    public void wasTooShort() {
        now = clamp(now.multipliedBy(2));
    }

    /** An answer came after this time. */
    public void sufficed(Duration took) {
        now = clamp(took.multipliedBy(4));
    }

    private static Duration clamp(Duration wanted) {
        return wanted.compareTo(SHORTEST) < 0 ? SHORTEST : wanted.compareTo(LONGEST) > 0 ? LONGEST : wanted;
    }
}
