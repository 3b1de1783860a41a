package dev.clickpipe.setup;

import dev.clickpipe.pipe.PipeException;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.Deque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a run made, and how to take it back, the last first. */
class Undo {
    private static final Logger LOG = LoggerFactory.getLogger(Undo.class);

    private final Deque<Made> made = new ArrayDeque<>();

    private record Made(String what, Removal removal) {}

    @FunctionalInterface
    interface Removal {
        void run() throws SQLException, InterruptedException;
    }

    void push(String what, Removal removal) {
        made.push(new Made(what, removal));
    }

    /** What was noted last is not to be taken back. */
    void pop() {
        made.pop();
    }

    void clear() {
        made.clear();
    }

    /** As far as it can; what can't be is logged, and left to the next run. */
    void run() {
        while (!made.isEmpty()) {
            var thing = made.pop();
            try {
                thing.removal().run();
                LOG.info("took back {}", thing.what());
            } catch (SQLException | PipeException e) {
                LOG.warn("could not take back {}: {}", thing.what(), e.getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }
}
