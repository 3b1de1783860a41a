package dev.clickpipe.testbed;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Platform threads with stacks deep enough for the engine's recursive parsers and pipelines. */
final class EngineThreads {
    private static final long STACK_BYTES = 16L << 20;

    private EngineThreads() {}

    static ExecutorService pool(String name) {
        return Executors.newCachedThreadPool(task -> {
            var thread = new Thread(null, task, name, STACK_BYTES);
            thread.setDaemon(true);
            return thread;
        });
    }
}
