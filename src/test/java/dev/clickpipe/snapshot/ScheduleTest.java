package dev.clickpipe.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Chunk;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ScheduleTest {
    private static final PipeException DOWN = PipeException.retryable(new Problem("Down", "o", "m", null), null);
    private static final PipeException BROKEN = PipeException.fatal(new Problem("Broken", "o", "m", null));

    @Test
    void tables_in_order_a_few_at_once_with_a_few_readers_each() {
        var schedule = new Schedule(
                List.of(table("a", 3), table("b", 3), table("c", 3)), 2, 2, () -> false, Schedule.Claims.ALL);
        assertThat(schedule.usefulReaders()).isEqualTo(4);
        assertThat(next(schedule)).isEqualTo("a0");
        assertThat(next(schedule)).isEqualTo("a1");
        assertThat(next(schedule)).isEqualTo("b0");
        assertThat(next(schedule)).isEqualTo("b1");
        assertThat(next(schedule)).as("two tables with two readers each").isEqualTo("none");
    }

    @Test
    void who_is_free_helps_where_chunks_are_left() {
        var schedule = new Schedule(List.of(table("a", 2), table("b", 5)), 1, 2, () -> false, Schedule.Claims.ALL);
        var first = schedule.next().orElseThrow();
        schedule.next().orElseThrow();
        assertThat(next(schedule)).as("the last chunk of a is still being read").isEqualTo("b0");
        schedule.loaded(first);
        assertThat(next(schedule)).isEqualTo("b1");
    }

    @Test
    void a_reader_is_free_when_its_chunk_is_read() {
        var schedule = new Schedule(List.of(table("a", 3)), 1, 1, () -> false, Schedule.Claims.ALL);
        var first = schedule.next().orElseThrow();
        schedule.read(first);
        var second = schedule.next().orElseThrow();
        schedule.loaded(first);
        assertThat(next(schedule)).as("the second is still being read").isEqualTo("none");
        schedule.read(second);
        schedule.loaded(second);
        assertThat(next(schedule)).isEqualTo("a2");
    }

    @Test
    void what_other_workers_have_is_left_to_them() {
        var claims = new Claimed();
        var schedule = new Schedule(List.of(table("a", 4), table("b", 1)), 1, 4, () -> false, claims);
        claims.others.addAll(List.of("a0", "a2", "a3"));
        var first = schedule.next().orElseThrow();
        assertThat(name(first)).isEqualTo("a1");
        var second = schedule.next().orElseThrow();
        assertThat(name(second)).as("a has nothing more for this worker").isEqualTo("b0");
        assertThat(claims.own).containsExactlyInAnyOrder("a1", "b0");
        schedule.loaded(first);
        schedule.failed(second, DOWN);
        assertThat(claims.own).isEmpty();
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void claims_that_can_not_be_had_end_it() {
        var claims = new Claimed();
        var schedule = new Schedule(List.of(table("a", 2), table("b", 2)), 2, 4, () -> false, claims);
        claims.broken = true;
        assertThat(next(schedule)).isEqualTo("none");
        claims.broken = false;
        assertThat(next(schedule)).as("the session is of no use any more").isEqualTo("none");
        assertThat(schedule.failures()).extracting(Schedule.Failure::why).containsExactly(DOWN);
    }

    @Test
    void who_helps_begins_where_others_do_not() {
        var schedule = new Schedule(
                List.of(table("a", 4).fromAnywhere(new java.util.Random(0))), 1, 9, () -> false, Schedule.Claims.ALL);
        assertThat(List.of(next(schedule), next(schedule), next(schedule), next(schedule), next(schedule)))
                .doesNotHaveDuplicates()
                .contains("a0", "a1", "a2", "a3", "none");
    }

    private static final class Claimed implements Schedule.Claims {
        private final Set<String> others = new HashSet<>();
        private final Set<String> own = new HashSet<>();
        private boolean broken;

        @Override
        public boolean take(Schedule.Work work) {
            if (broken) {
                throw DOWN;
            }
            return !others.contains(name(work)) && own.add(name(work));
        }

        @Override
        public void release(Schedule.Work work) {
            own.remove(name(work));
        }
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
                List.of(new Schedule.Table(definition("a"), plan, false, false)),
                1,
                4,
                () -> false,
                Schedule.Claims.ALL);
        assertThat(schedule.usefulReaders()).isEqualTo(1);
        assertThat(next(schedule)).isEqualTo("a1");
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void a_failed_chunk_waits_for_the_next_session_and_the_others_do_not() {
        var schedule = new Schedule(List.of(table("a", 4)), 1, 1, () -> false, Schedule.Claims.ALL);
        schedule.failed(schedule.next().orElseThrow(), DOWN);
        schedule.failed(schedule.next().orElseThrow(), DOWN);
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).isEqualTo("a3");
        assertThat(schedule.failures()).extracting(Schedule.Failure::why).containsExactly(DOWN, DOWN);
    }

    @Test
    void failures_without_a_success_between_them_end_it() {
        var schedule = new Schedule(List.of(table("a", 9)), 1, 1, () -> false, Schedule.Claims.ALL);
        for (int i = 0; i < 3; i++) {
            schedule.failed(schedule.next().orElseThrow(), DOWN);
        }
        assertThat(next(schedule)).isEqualTo("none");
    }

    @Test
    void a_table_that_is_no_use_in_part_is_left_and_so_is_a_broken_one() {
        var whole = new Schedule.Table(definition("w"), plan("w", 4), true, false);
        var schedule =
                new Schedule(List.of(whole, table("a", 3), table("b", 1)), 1, 1, () -> false, Schedule.Claims.ALL);
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
        var schedule = new Schedule(List.of(table("a", 4)), 1, 2, () -> true, Schedule.Claims.ALL);
        var first = schedule.next().orElseThrow();
        assertThat(next(schedule)).as("it has to get somewhere").isEqualTo("a1");
        schedule.loaded(first);
        assertThat(next(schedule)).isEqualTo("none");

        var whole = new Schedule.Table(definition("w"), plan("w", 2), true, false);
        schedule = new Schedule(List.of(whole, table("a", 4)), 2, 1, () -> true, Schedule.Claims.ALL);
        first = schedule.next().orElseThrow();
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).as("w holds the session anyway").isEqualTo("a1");
        schedule.loaded(first);
        schedule.loaded(schedule.next().orElseThrow());
        assertThat(next(schedule)).isEqualTo("none");
    }

    private static String next(Schedule schedule) {
        return schedule.next().map(ScheduleTest::name).orElse("none");
    }

    private static String name(Schedule.Work work) {
        return work.table().definition.target() + work.entry().number();
    }

    private static Schedule.Table table(String name, int chunks) {
        return new Schedule.Table(definition(name), plan(name, chunks), false, false);
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
