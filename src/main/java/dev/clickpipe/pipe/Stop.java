package dev.clickpipe.pipe;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The wish that a worker ends in good order, as SIGTERM expresses it. Thread-safe; once requested, it stays so. */
public final class Stop {
    private final CountDownLatch requested = new CountDownLatch(1);

    public void request() {
        requested.countDown();
    }

    public boolean requested() {
        return requested.getCount() == 0;
    }

    /** Waits until a stop is requested, at most {@code patience}; true when it was. Modes sleep this way. */
    public boolean await(Duration patience) throws InterruptedException {
        return requested.await(patience.toNanos(), TimeUnit.NANOSECONDS);
    }
}
