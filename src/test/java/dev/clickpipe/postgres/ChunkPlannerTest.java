package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.postgres.ChunkPlanner.Heap;
import java.util.List;
import org.junit.jupiter.api.Test;

class ChunkPlannerTest {
    private static final long BLOCK = 8192;

    @Test
    void as_many_rows_as_asked_for() {
        var chunks = ChunkPlanner.cut(heap(100, 10_000, 10_000 * BLOCK), 100_000);
        assertThat(chunks).hasSize(10).allSatisfy(chunk -> assertThat(chunk.bytes())
                .isEqualTo(1000 * BLOCK));
        assertCovers(chunks);
    }

    @Test
    void no_more_bytes_than_can_be_done_again_with_toast_counted() {
        long gigabyte = 1L << 30;
        var chunks = ChunkPlanner.cut(heap(1, 1024, gigabyte), 1_000_000);
        assertThat(chunks).hasSize(8).allSatisfy(chunk -> assertThat(chunk.bytes())
                .isEqualTo(gigabyte / 8));
        assertCovers(chunks);
    }

    @Test
    void not_too_small_and_not_too_many() {
        assertThat(ChunkPlanner.cut(heap(100, 16, 16 * BLOCK), 1)).hasSize(1);
        assertThat(ChunkPlanner.cut(heap(100, 17, 17 * BLOCK), 1)).hasSize(2);
        assertThat(ChunkPlanner.cut(heap(100, 4, 1L << 30), 1)).hasSize(4);
        var huge = ChunkPlanner.cut(heap(100, 4_000_000_000L, 4_000_000_000L * BLOCK), 1000);
        assertThat(huge).hasSizeBetween(20_000, 20_001);
        assertCovers(huge);
    }

    @Test
    void all_at_once_without_ctid_or_blocks() {
        assertThat(ChunkPlanner.cut(new Heap(1, 0, true, false, 50, 1_000_000, 1), 1000))
                .containsExactly(new Chunk(1, 0, 0, Chunk.END, 1));
        assertThat(ChunkPlanner.cut(heap(50, 0, 0), 1000)).containsExactly(new Chunk(1, 7, 0, Chunk.END, 0));
    }

    @Test
    void conditions() {
        assertThat(new Chunk(1, 7, 0, Chunk.END, 0).condition()).isEmpty();
        assertThat(new Chunk(1, 7, 0, 16, 0).condition()).hasValue("ctid >= '(0,0)'::tid AND ctid < '(16,0)'::tid");
        assertThat(new Chunk(1, 7, 16, Chunk.END, 0).condition()).hasValue("ctid >= '(16,0)'::tid");
    }

    private static Heap heap(double rowsPerBlock, long blocks, long bytes) {
        return new Heap(1, 7, true, true, rowsPerBlock, blocks, bytes);
    }

    /** Every block is in one chunk, those to come in the last. */
    private static void assertCovers(List<Chunk> chunks) {
        assertThat(chunks.getFirst().firstBlock()).isZero();
        assertThat(chunks.getLast().endBlock()).isEqualTo(Chunk.END);
        for (int i = 1; i < chunks.size(); i++) {
            assertThat(chunks.get(i).firstBlock()).isEqualTo(chunks.get(i - 1).endBlock());
        }
    }
}
