package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ReadAheadTest {
    private static final int SIZE = 16;

    /** Gives a few bytes at a time, always has more, and times out at every other read. */
    private static final class Hesitant extends InputStream {
        private final InputStream bytes;
        private final Random random = new Random(1);
        private final int most;
        private boolean timesOut = true;

        Hesitant(byte[] bytes, int most) {
            this.bytes = new ByteArrayInputStream(bytes);
            this.most = most;
        }

        @Override
        public int read(byte[] into, int from, int length) throws IOException {
            timesOut = !timesOut;
            if (timesOut) {
                throw new SocketTimeoutException("Read timed out");
            }
            return bytes.read(into, from, Math.min(length, 1 + random.nextInt(most)));
        }

        @Override
        public int read() {
            throw new UnsupportedOperationException();
        }

        @Override
        public int available() throws IOException {
            return bytes.available();
        }
    }

    @Test
    void what_a_read_has_brought_is_not_lost_when_the_next_one_times_out() throws IOException {
        var ahead = new ReadAhead(new Hesitant("B1 I1 C1 B2 I2 C2".getBytes(StandardCharsets.US_ASCII), 9), 64);
        var message = new byte[32];
        int first = ahead.read(message, 0, message.length);
        assertThat(first).isPositive();
        assertThatThrownBy(() -> ahead.read(message, first, message.length - first))
                .isInstanceOf(SocketTimeoutException.class);
        int second = ahead.read(message, first, message.length - first);
        assertThat(new String(message, 0, first + second, StandardCharsets.US_ASCII))
                .isEqualTo("B1 I1 C1 B2 I2 C2".substring(0, first + second));
    }

    @Test
    void hands_out_every_byte_once_however_it_is_read() throws IOException {
        var bytes = new byte[20_000];
        new Random(2).nextBytes(bytes);
        var ahead = new ReadAhead(new Hesitant(bytes, 2 * SIZE), SIZE);
        var got = new ByteArrayOutputStream();
        var random = new Random(3);
        while (got.size() < bytes.length) {
            var some = new byte[1 + random.nextInt(3 * SIZE)];
            try {
                if (random.nextBoolean()) {
                    got.write(ahead.read());
                } else {
                    got.write(some, 0, ahead.read(some, 0, some.length));
                }
            } catch (SocketTimeoutException e) {
                // as pgjdbc does it: looked for again
            }
        }
        assertThat(got.toByteArray()).isEqualTo(bytes);
        assertThat(ahead.available()).isZero();
    }

    @Test
    void ends_with_the_socket() throws IOException {
        var ahead = new ReadAhead(new ByteArrayInputStream(new byte[] {7, -1}), SIZE);
        assertThat(ahead.available()).isEqualTo(2);
        assertThat(ahead.read()).isEqualTo(7);
        assertThat(ahead.available()).isEqualTo(1);
        assertThat(ahead.read(new byte[3], 0, 3)).isEqualTo(1);
        assertThat(ahead.read()).isEqualTo(-1);
        assertThat(ahead.read(new byte[3], 0, 3)).isEqualTo(-1);
        assertThat(ahead.read(new byte[2 * SIZE], 0, 2 * SIZE)).isEqualTo(-1);
    }
}
