package dev.clickpipe.postgres;

import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;

/**
 * Keeps what one read of a socket brought, and hands it out. Each read asks the socket once at most, and only when nothing is kept:
 * pgjdbc looks for messages with a read timeout of a millisecond, which a thread can miss by waiting for a processor although data
 * is there. {@link java.io.BufferedInputStream} reads on while data is there; a timeout then ends a read that has taken bytes
 * already, and they are lost.
 *
 * <p>For one thread at a time.
 */
final class ReadAhead extends InputStream {
    private final InputStream socket;
    private final byte[] kept;
    private int position;
    private int end;

    ReadAhead(InputStream socket, int size) {
        this.socket = socket;
        this.kept = new byte[size];
    }

    @Override
    public int read() throws IOException {
        return position < end || fill() ? kept[position++] & 0xFF : -1;
    }

    /** Returns less than was asked for as soon as nothing is kept any more. */
    @Override
    public int read(byte[] into, int from, int length) throws IOException {
        Objects.checkFromIndexSize(from, length, into.length);
        if (length == 0) {
            return 0;
        }
        if (position == end) {
            if (length >= kept.length) {
                return socket.read(into, from, length);
            }
            if (!fill()) {
                return -1;
            }
        }
        int some = Math.min(length, end - position);
        System.arraycopy(kept, position, into, from, some);
        position += some;
        return some;
    }

    /** @return false at the stream's end */
    private boolean fill() throws IOException {
        int some = socket.read(kept, 0, kept.length);
        position = 0;
        end = Math.max(some, 0);
        return some > 0;
    }

    /** Without asking the operating system as long as something is kept. */
    @Override
    public int available() throws IOException {
        return position < end ? end - position : socket.available();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
