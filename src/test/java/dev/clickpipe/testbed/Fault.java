package dev.clickpipe.testbed;

import java.util.concurrent.CountDownLatch;

/** How {@link ClickHouseServer} misbehaves when a test asks for it. */
public sealed interface Fault {
    /** The statement is not run; the answer is this error. */
    record Refuse(int code, String name, String message) implements Fault {
        /** What a server says when inserts outrun merges. */
        public static Refuse tooManyParts() {
            return new Refuse(252, "TOO_MANY_PARTS", "Too many parts (3001) in table. Merges are processing slower");
        }

        /** What a server says when a query exceeds its memory. */
        public static Refuse memoryLimit() {
            return new Refuse(241, "MEMORY_LIMIT_EXCEEDED", "Query memory limit exceeded");
        }
    }

    /** The connection breaks before the statement is run. */
    record Disconnect() implements Fault {}

    /**
     * The statement is on its way for so long, whatever becomes of its client: as behind a proxy that has all of it, or from a worker
     * that was stopped just before it sent.
     */
    record Late(CountDownLatch sent, CountDownLatch arrives) implements Fault {
        public Late() {
            this(new CountDownLatch(1), new CountDownLatch(1));
        }
    }

    /** The statement is run to its end, then the connection breaks without an answer. */
    record LoseAnswer() implements Fault {}
}
