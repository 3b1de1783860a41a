package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CompressedBlocksTest {
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 65_535, 65_536, 65_537, 1_000_000})
    void readsWhatItWrote(int size) throws IOException {
        byte[] plain = randomText(size);
        assertThat(read(write(plain))).isEqualTo(plain);
    }

    @Test
    void refusesADamagedBlock() throws IOException {
        byte[] blocks = write(randomText(1000));
        blocks[blocks.length - 1] ^= 1;
        assertThatThrownBy(() -> read(blocks))
                .isInstanceOfSatisfying(
                        ClickHouseError.class, error -> assertThat(error.code()).isEqualTo(40));
    }

    @Test
    void refusesABlockCutOff() throws IOException {
        byte[] blocks = write(randomText(1000));
        assertThatThrownBy(() -> read(Arrays.copyOf(blocks, blocks.length - 1))).isInstanceOf(EOFException.class);
        assertThatThrownBy(() -> read(Arrays.copyOf(blocks, 20))).isInstanceOf(EOFException.class);
    }

    private static byte[] write(byte[] plain) throws IOException {
        var blocks = new ByteArrayOutputStream();
        try (var out = CompressedBlocks.compress(blocks)) {
            out.write(plain);
        }
        return blocks.toByteArray();
    }

    private static byte[] read(byte[] blocks) throws IOException {
        try (var in = CompressedBlocks.decompress(new ByteArrayInputStream(blocks))) {
            return in.readAllBytes();
        }
    }

    private static byte[] randomText(int size) {
        byte[] text = new byte[size];
        var random = new Random(1);
        for (int i = 0; i < size; i++) {
            text[i] = (byte) ('a' + random.nextInt(4));
        }
        return text;
    }
}
