package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.testbed.ClickHouse;
import java.util.concurrent.atomic.AtomicLong;

/** A user who counts a table that only grows, again and again: it must never be missing, empty or smaller than before. */
final class Reader implements AutoCloseable {
    private final ClickHouse clickHouse;
    private final String table;
    private final AtomicLong polls = new AtomicLong();
    private final Thread thread = Thread.ofVirtual().unstarted(this::poll);
    private volatile boolean stop;
    private volatile AssertionError seen;

    Reader(ClickHouse clickHouse, String table) {
        this.clickHouse = clickHouse;
        this.table = table;
        thread.start();
    }

    private void poll() {
        long most = 1;
        while (!stop && seen == null) {
            try {
                long count = Long.parseLong(clickHouse.query("SELECT count() FROM `" + table + "` FINAL"));
                if (count < most) {
                    seen = new AssertionError(table + " had " + most + " rows, and then " + count);
                }
                most = count;
                polls.incrementAndGet();
            } catch (RuntimeException e) {
                seen = new AssertionError(table + " can't be read", e);
            }
        }
    }

    long polls() {
        return polls.get();
    }

    @Override
    public void close() {
        stop = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        assertThat(seen).isNull();
    }
}
