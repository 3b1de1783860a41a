package dev.clickpipe.codec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

class TsvBufferTest {
    @Test
    void escapes_what_ends_fields_and_rows() {
        var out = new TsvBuffer(1);
        out.escaped("a\tb\nc\\d\re\bf\fg\0h'i\u000B");
        out.tab();
        out.nullValue();
        out.newline();
        assertThat(out).hasToString("a\\tb\\nc\\\\d\\re\\bf\\fg\\0h\\'i\u000B\t\\N\n");
    }

    @Test
    void any_bytes_come_back_and_none_of_them_ends_the_field() throws IOException {
        var random = RandomGenerator.getDefault();
        for (int i = 0; i < 20_000; i++) {
            var bytes = new byte[random.nextInt(40)];
            random.nextBytes(bytes);
            for (int j = 0; j < bytes.length; j++) { // many of the few that matter
                bytes[j] = random.nextBoolean() ? bytes[j] : (byte) "\\\t\n\r\0'N".charAt(random.nextInt(7));
            }
            var out = new TsvBuffer(1);
            if (i % 2 == 0) {
                out.escaped(bytes, 0, bytes.length);
            } else {
                for (byte b : bytes) {
                    out.escapedByte(b);
                }
            }
            var stream = new ByteArrayOutputStream();
            out.writeTo(stream);
            assertThat(stream.toByteArray()).doesNotContain('\t', '\n', '\r', 0);
            assertThat(unescape(stream.toByteArray())).isEqualTo(bytes);
        }
    }

    @Test
    void truncates_a_row_begun_in_vain() {
        var out = new TsvBuffer(1);
        out.ascii("whole\n");
        int start = out.size();
        out.ascii("hal");
        out.truncate(start);
        assertThat(out).hasToString("whole\n");
        assertThatThrownBy(() -> out.truncate(7)).isInstanceOf(IllegalArgumentException.class);
    }

    private static byte[] unescape(byte[] escaped) {
        var plain = new ByteArrayOutputStream();
        for (int i = 0; i < escaped.length; i++) {
            if (escaped[i] != '\\') {
                plain.write(escaped[i]);
            } else {
                i++;
                plain.write(
                        switch (escaped[i]) {
                            case '0' -> 0;
                            case 'b' -> '\b';
                            case 't' -> '\t';
                            case 'n' -> '\n';
                            case 'f' -> '\f';
                            case 'r' -> '\r';
                            default -> escaped[i];
                        });
            }
        }
        return plain.toByteArray();
    }
}
