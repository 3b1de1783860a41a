package dev.clickpipe.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Chunk;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ScheduleTest {
    private static final PipeException DOWN = PipeException.retryable(new Problem("Down", "o", "m", null), null);
    private static final PipeException BROKEN = PipeException.fatal(new Problem("Broken", "o", "m", null));

    @Test
    void tables_in_order_a_few_at_once_with_a_few_readers_each() {
        var schedule = new Schedule(List.of(table("a", 3), table("b", 3), table("c", 3)), 2, 2, () -> false);
        assertThat(schedule.usefulReaders()).isEqualTo(4);
        assertThat(next(schedule)).isEqualTo("a0");
        assertThat(next(schedule)).isEqualTo("a1");
        assertThat(next(schedule)).isEqualTo("b0");
        assertThat(next(schedule)).isEqualTo("b1");
        assertThat(next(schedule)).as("two tables with two readers each").isEqualTo("none");
    }

    @Test
    void who_is_free_helps_where_chunks_are_left() {
        var schedule = new Schedule(List.of(table("a", 2), table("b", 5)), 1, 2, () -> false);
        var first = schedule.next().orElseThrow();
        schedule.next().orElseThrow();
        assertThat(next(schedule)).as("the last chunk of a is still being read").isEqualTo("b0");
        schedule.loaded(first);
        assertThat(next(schedule)).isEqualTo("b1");
    }

    @Test
    void a_reader_is_free_when_its_chunk_is_read_and_the_chunk_counts_when_it_is_loaded() {
        var schedule = new Schedule(List.of(table("a", 2)), 1, 1, () -> false);
        var first = schedule.next().orElseThrow();
        schedule.read(first);
        var second = schedule.next().orElseThrow();
        schedule.loaded(first);
        assertThat(next(schedule)).as("the second is still being read").isEqualTo("none");
        schedule.read(second);
        assertThat(schedule.loaded()).isEmpty();
        schedule.loaded(second);
        assertThat(schedule.loaded()).hasSize(1);
    }

    @Test
    void loaded_chunks_are_not_read_again() {
        var plan = new ChunkLedger.Plan(
                "a",
                1,
                List.of(
                        new ChunkLedger.Entry(0, new Chunk(1, 1, 0, 16, 1), true, 5),
                        new ChunkLedger.Entry(1, new Chunk(1, 1, 16, Chunk.END, 1), false, 0)));
        var schedule = new Schedule(
                List.of(new Schedule.Table(definition("a"), "0/1", plan, false, false)), 1, 4, () -> false);
        assertThat(schedule.usefulReaders()).isEqualTo(1);
        assertThat(next(schedule)).isEqualTo("a1");
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void a_failed_chunk_waits_for_the_next_session_and_the_others_do_not() {
        var schedule = new Schedule(List.of(table("a", 4)), 1, 1, () -> false);
        schedule.failed(schedule.next().orElseThrow(), DOWN);
        schedule.failed(schedule.next().orElseThrow(), DOWN);
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).isEqualTo("a3");
        assertThat(schedule.failures()).containsExactly(DOWN, DOWN);
    }

    @Test
    void failures_without_a_success_between_them_end_it() {
        var schedule = new Schedule(List.of(table("a", 9)), 1, 1, () -> false);
        for (int i = 0; i < 3; i++) {
            schedule.failed(schedule.next().orElseThrow(), DOWN);
        }
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void a_table_that_is_no_use_in_part_is_left_and_so_is_a_broken_one() {
        var whole = new Schedule.Table(definition("w"), "0/1", plan("w", 4), true, false);
        var schedule = new Schedule(List.of(whole, table("a", 3), table("b", 1)), 1, 1, () -> false);
        schedule.failed(schedule.next().orElseThrow(), DOWN);
        var work = schedule.next().orElseThrow();
        assertThat(work.table().definition.target()).isEqualTo("a");
        schedule.failed(work, BROKEN);
        work = schedule.next().orElseThrow();
        assertThat(work.table().definition.target()).isEqualTo("b");
        schedule.rewritten(work);
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void a_session_that_lasts_too_long_hands_over_unless_a_table_needs_all_of_it() {
        var schedule = new Schedule(List.of(table("a", 4)), 1, 2, () -> true);
        var first = schedule.next().orElseThrow();
        assertThat(next(schedule)).as("it has to get somewhere").isEqualTo("a1");
        schedule.loaded(first);
        assertThat(next(schedule)).isEqualTo("none");

        var whole = new Schedule.Table(definition("w"), "0/1", plan("w", 2), true, false);
        schedule = new Schedule(List.of(whole, table("a", 4)), 2, 1, () -> true);
        first = schedule.next().orElseThrow();
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).as("w holds the session anyway").isEqualTo("a1");
        schedule.loaded(first);
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).isEqualTo("none");
    }

    private static String next(Schedule schedule) {
        return schedule.next()
                .map(work -> work.table().definition.target() + work.entry().number())
                .orElse("none");
    }

    private static Schedule.Table table(String name, int chunks) {
        return new Schedule.Table(definition(name), "0/1", plan(name, chunks), false, false);
    }

    private static ChunkLedger.Plan plan(String name, int chunks) {
        return new ChunkLedger.Plan(
                name,
                1,
                IntStream.range(0, chunks)
                        .mapToObj(i -> new ChunkLedger.Entry(i, new Chunk(1, 1, i * 16, i * 16 + 16, 1), false, 0))
                        .toList());
    }

    private static TableDefinition definition(String name) {
        return new TableDefinition(
                name,
                "s",
                name,
                1,
                name,
                TableEngine.ReplacingMergeTree,
                List.of(),
                List.of(),
                List.of(),
                0,
                null,
                null,
                null,
                null,
                null,
                null);
    }
}
