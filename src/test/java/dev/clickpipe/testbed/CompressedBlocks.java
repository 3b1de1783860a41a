package dev.clickpipe.testbed;

import com.clickhouse.data.ClickHouseCityHash;
import com.github.luben.zstd.Zstd;
import java.io.EOFException;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;

/**
 * ClickHouse's own compression ({@code compress=1}, {@code decompress=1}): a sequence of blocks, each
 * CityHash128 of the rest (16 bytes), method (1), compressed size with this 9-byte header (4), plain size (4), payload;
 * numbers little-endian.
 */
final class CompressedBlocks {
    private static final int CHECKSUM = 16;
    private static final int HEADER = 9;
    private static final int PLAIN_BLOCK = 1 << 16;
    private static final int LARGEST_BLOCK = 1 << 30;
    private static final byte NONE = 0x02;
    private static final byte LZ4 = (byte) 0x82;
    private static final byte ZSTD = (byte) 0x90;

    private CompressedBlocks() {}

    /** The plain bytes of LZ4, ZSTD and uncompressed blocks. */
    static InputStream decompress(InputStream blocks) {
        return new Input(blocks);
    }

    /** Writes LZ4 blocks; flushing ends the block under way. */
    static OutputStream compress(OutputStream blocks) {
        return new Output(blocks);
    }

    /** The client library has the one implementation of ClickHouse's old CityHash variant that Maven Central offers. */
    @SuppressWarnings("deprecation")
    private static long[] checksum(byte[] bytes, int offset, int length) {
        return ClickHouseCityHash.cityHash128(bytes, offset, length);
    }

    private static final class Output extends FilterOutputStream {
        private final LZ4Compressor compressor = LZ4Factory.fastestInstance().fastCompressor();
        private final byte[] plain = new byte[PLAIN_BLOCK];
        private final byte[] block = new byte[CHECKSUM + HEADER + compressor.maxCompressedLength(PLAIN_BLOCK)];
        private int length;

        Output(OutputStream blocks) {
            super(blocks);
        }

        @Override
        public void write(int value) throws IOException {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int count) throws IOException {
            int done = 0;
            while (done < count) {
                if (length == plain.length) {
                    writeBlock();
                }
                int part = Math.min(count - done, plain.length - length);
                System.arraycopy(bytes, offset + done, plain, length, part);
                length += part;
                done += part;
            }
        }

        @Override
        public void flush() throws IOException {
            writeBlock();
            out.flush();
        }

        private void writeBlock() throws IOException {
            if (length == 0) {
                return;
            }
            int payload = compressor.compress(plain, 0, length, block, CHECKSUM + HEADER);
            var header = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
            header.put(CHECKSUM, LZ4).putInt(CHECKSUM + 1, payload + HEADER).putInt(CHECKSUM + 5, length);
            long[] hash = checksum(block, CHECKSUM, payload + HEADER);
            header.putLong(0, hash[0]).putLong(Long.BYTES, hash[1]);
            out.write(block, 0, CHECKSUM + HEADER + payload);
            length = 0;
        }
    }

    private static final class Input extends InputStream {
        private final LZ4SafeDecompressor lz4 = LZ4Factory.fastestInstance().safeDecompressor();
        private final InputStream blocks;
        private byte[] plain = new byte[0];
        private int position;

        Input(InputStream blocks) {
            this.blocks = blocks;
        }

        @Override
        public int read() throws IOException {
            return prepare() ? plain[position++] & 0xff : -1;
        }

        @Override
        public int read(byte[] bytes, int offset, int count) throws IOException {
            if (!prepare()) {
                return -1;
            }
            int part = Math.min(count, plain.length - position);
            System.arraycopy(plain, position, bytes, offset, part);
            position += part;
            return part;
        }

        @Override
        public void close() throws IOException {
            blocks.close();
        }

        /** Whether there is another byte. */
        private boolean prepare() throws IOException {
            while (position == plain.length) {
                byte[] start = blocks.readNBytes(CHECKSUM + HEADER);
                if (start.length == 0) {
                    return false;
                }
                plain = readBlock(start);
                position = 0;
            }
            return true;
        }

        private byte[] readBlock(byte[] start) throws IOException {
            if (start.length < CHECKSUM + HEADER) {
                throw new EOFException("compressed block cut off");
            }
            var header = ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN);
            int size = header.getInt(CHECKSUM + 1);
            int plainSize = header.getInt(CHECKSUM + 5);
            if (size < HEADER || size > LARGEST_BLOCK || plainSize < 0 || plainSize > LARGEST_BLOCK) {
                throw ClickHouseError.of(39, "TOO_LARGE_SIZE_COMPRESSED", "Most likely corrupted data");
            }
            byte[] block = new byte[size];
            System.arraycopy(start, CHECKSUM, block, 0, HEADER);
            if (blocks.readNBytes(block, HEADER, size - HEADER) < size - HEADER) {
                throw new EOFException("compressed block cut off");
            }
            long[] hash = checksum(block, 0, size);
            if (hash[0] != header.getLong(0) || hash[1] != header.getLong(Long.BYTES)) {
                throw ClickHouseError.of(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data");
            }
            return decode(block, plainSize);
        }

        private byte[] decode(byte[] block, int plainSize) {
            byte[] decoded = new byte[plainSize];
            int length = block.length - HEADER;
            switch (block[0]) {
                case LZ4 -> lz4.decompress(block, HEADER, length, decoded, 0);
                case ZSTD -> Zstd.decompressByteArray(decoded, 0, plainSize, block, HEADER, length);
                case NONE -> System.arraycopy(block, HEADER, decoded, 0, plainSize);
                default -> throw ClickHouseError.of(89, "UNKNOWN_COMPRESSION_METHOD", "Unknown codec");
            }
            return decoded;
        }
    }
}
