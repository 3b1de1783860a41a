package dev.clickpipe.codec;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Rows in ClickHouse's TabSeparated format, in a byte array that grows and is used again. For one thread.
 *
 * <p>The escapes also serve inside the quotes of an array's elements, which is why the quote itself is escaped.
 */
public final class TsvBuffer {
    /** For each byte the letter after the backslash, or 0 where it stands for itself. */
    private static final byte[] ESCAPES = new byte[256];

    static {
        ESCAPES[0] = '0';
        ESCAPES['\b'] = 'b';
        ESCAPES['\t'] = 't';
        ESCAPES['\n'] = 'n';
        ESCAPES['\f'] = 'f';
        ESCAPES['\r'] = 'r';
        ESCAPES['\\'] = '\\';
        ESCAPES['\''] = '\'';
    }

    /** Bytes that are kept for later rows; what a large value needed besides is given back. Grown by doubling up to here. */
    private static final int KEPT = 8 << 20;

    /** From here on a value is measured first, so that the array grows once. */
    private static final int LARGE = 64 << 10;

    private byte[] bytes;
    private int size;
    private long clamped;

    public TsvBuffer() {
        this(64 * 1024);
    }

    public TsvBuffer(int capacity) {
        bytes = new byte[capacity];
    }

    /** Ends a field that is not the row's last. */
    public void tab() {
        rawByte('\t');
    }

    /** Ends a row. */
    public void newline() {
        rawByte('\n');
    }

    /** The value that was appended is the end of the target's range, and not the source's value. */
    void clamped() {
        clamped++;
    }

    /** How many values were {@link #clamped} since this was asked last, those of rows begun in vain included. */
    public long takeClamped() {
        long count = clamped;
        clamped = 0;
        return count;
    }

    /** How many there are that were not taken yet. */
    public long clampedValues() {
        return clamped;
    }

    public void nullValue() {
        rawByte('\\');
        rawByte('N');
    }

    /** Appends what is TabSeparated text already. */
    public void rawBytes(byte[] source, int from, int to) {
        int length = to - from;
        reserve(length);
        System.arraycopy(source, from, bytes, size, length);
        size += length;
    }

    public void rawBytes(byte[] source) {
        rawBytes(source, 0, source.length);
    }

    public void rawByte(int value) {
        reserve(1);
        bytes[size++] = (byte) value;
    }

    /** Appends text that needs no escaping: numbers, names of ours. */
    @SuppressWarnings("deprecation") // String.getBytes(int, int, byte[], int) is exact for ASCII and copies only once
    public void ascii(String text) {
        reserve(text.length());
        text.getBytes(0, text.length(), bytes, size);
        size += text.length();
    }

    /** Appends any bytes as (a part of) one String value. */
    public void escaped(byte[] source, int from, int to) {
        if (to - from >= LARGE) {
            reserve(escapedLength(source, from, to));
        }
        int start = from;
        for (int i = from; i < to; i++) {
            byte escape = ESCAPES[source[i] & 0xFF];
            if (escape != 0) {
                rawBytes(source, start, i);
                rawByte('\\');
                rawByte(escape);
                start = i + 1;
            }
        }
        rawBytes(source, start, to);
    }

    private static int escapedLength(byte[] source, int from, int to) {
        int length = to - from;
        for (int i = from; i < to; i++) {
            length += ESCAPES[source[i] & 0xFF] != 0 ? 1 : 0;
        }
        return length;
    }

    public void escaped(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        escaped(utf8, 0, utf8.length);
    }

    public void escapedByte(int value) {
        byte escape = ESCAPES[value & 0xFF];
        if (escape != 0) {
            rawByte('\\');
            rawByte(escape);
        } else {
            rawByte(value);
        }
    }

    public void writeTo(OutputStream out) throws IOException {
        out.write(bytes, 0, size);
    }

    /** Writes the bytes from {@code from} to {@code to}, exclusive. */
    public void writeTo(OutputStream out, int from, int to) throws IOException {
        out.write(bytes, from, to - from);
    }

    /** The bytes held, to be read; valid until the next change. */
    public ByteBuffer view() {
        return ByteBuffer.wrap(bytes, 0, size).asReadOnlyBuffer();
    }

    public byte[] toByteArray() {
        return Arrays.copyOf(bytes, size);
    }

    /** Bytes held. */
    public int size() {
        return size;
    }

    /** Forgets what was appended after the buffer had this size: a row begun in vain. */
    public void truncate(int toSize) {
        if (toSize < 0 || toSize > size) {
            throw new IllegalArgumentException(toSize + " of " + size);
        }
        size = toSize;
    }

    public void clear() {
        size = 0;
        if (bytes.length > KEPT) {
            bytes = new byte[KEPT];
        }
    }

    /** Makes room for so many bytes more, so that the array need not grow while they are appended. */
    void reserve(int more) {
        if (bytes.length - size < more) {
            long wanted = Math.max((long) size + more, (long) bytes.length + Math.min(bytes.length, KEPT));
            bytes = Arrays.copyOf(bytes, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
        }
    }

    /** The rows so far, decoded; for tests and messages. */
    @Override
    public String toString() {
        return new String(bytes, 0, size, StandardCharsets.UTF_8);
    }
}
