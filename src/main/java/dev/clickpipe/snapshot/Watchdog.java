package dev.clickpipe.snapshot;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** Interrupts who is at a chunk of which nothing moves: one of its connections may be silently dead. Thread-safe. */
final class Watchdog {
    private final Set<Attempt> attempts = ConcurrentHashMap.newKeySet();

    /** Runs work on a chunk, in the calling thread. */
    <T> T watch(Progress.Chunk chunk, Supplier<T> work) {
        var attempt = new Attempt(chunk);
        attempts.add(attempt);
        try {
            return work.get();
        } finally {
            attempts.remove(attempt);
            attempt.end();
        }
    }

    /** @return whether there was work of which nothing has moved for so long */
    boolean interruptSilent(Duration limit) {
        boolean any = false;
        for (var attempt : attempts) {
            any |= attempt.giveUpAfter(limit);
        }
        return any;
    }

    private static final class Attempt {
        private final Thread thread = Thread.currentThread();
        private final Progress.Chunk chunk;
        private boolean over;
        private boolean givenUp;

        Attempt(Progress.Chunk chunk) {
            this.chunk = chunk;
            chunk.moved();
        }

        synchronized boolean giveUpAfter(Duration silence) {
            if (!over && !givenUp && chunk.silence().compareTo(silence) > 0) {
                givenUp = true;
                thread.interrupt();
                return true;
            }
            return false;
        }

        synchronized void end() {
            over = true;
            if (givenUp) {
                Thread.interrupted();
            }
        }
    }
}
