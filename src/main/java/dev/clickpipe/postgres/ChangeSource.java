package dev.clickpipe.postgres;

/**
 * Changes from a logical slot, in the order of their commits. For one thread, which calls {@link #poll} or {@link #keepAlive} every
 * second or so; neither waits for more than milliseconds.
 */
public sealed interface ChangeSource extends AutoCloseable permits ReplicationStream, SlotPeeks {
    /**
     * The next message, or null when none has arrived.
     *
     * @throws dev.clickpipe.pipe.PipeException the connection broke, the server ended it, or it sent what nobody knows
     */
    PgOutputMessage poll();

    /** All that was committed before this has been returned by {@link #poll}, to the last message. */
    Lsn position();

    /** Inside a transaction that has begun and not ended. */
    boolean inTransaction();

    /** Nothing more comes before all that was read is acknowledged. */
    boolean awaitsAcknowledgement();

    /** The server shuts down, and waits until all is acknowledged or the connection closed. */
    boolean shutsDown();

    /** All commits before this are safe with us: the server may forget them. Never goes back. */
    void acknowledge(Lsn lsn);

    /** What was acknowledged last. */
    Lsn acknowledged();

    /** Lets the server know that we are there; {@link #poll} does that by itself. */
    void keepAlive();

    /** Nothing more comes, and all that came is acknowledged: the rest is to be read by another source. */
    boolean ended();

    /** Ends the connection; what is not acknowledged will be sent again. */
    @Override
    void close();
}
