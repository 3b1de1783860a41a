package dev.clickpipe.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.WorkerStatus.State;
import dev.clickpipe.postgres.Chunk;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ProgressTest {
    private static final Problem PROBLEM = new Problem("Down", "o", "m", "r");

    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final Progress progress = new Progress(meters);
    private final ChunkLedger.Plan plan = new ChunkLedger.Plan(
            "t",
            1,
            List.of(
                    new ChunkLedger.Entry(0, new Chunk(1, 1, 0, 16, 300), true, 30),
                    new ChunkLedger.Entry(1, new Chunk(1, 1, 16, 32, 600), false, 0),
                    new ChunkLedger.Entry(2, new Chunk(1, 1, 32, Chunk.END, 100), false, 0)));

    @Test
    void begins_with_what_is_loaded_already() {
        progress.begin(List.of(definition("t"), definition("u")), Map.of("t", plan));
        var load = progress.load();
        assertThat(load.rows()).isEqualTo(30);
        assertThat(load.percent()).isEqualTo(15);
        assertThat(load.tablesDone()).isZero();
        assertThat(load.tablesTotal()).isEqualTo(2);
        assertThat(load.secondsLeft()).isNull();
        assertThat(meters.get("clickpipe.load.chunks.left").gauge().value()).isEqualTo(2);
        assertThat(meters.get("clickpipe.load.tables.left").gauge().value()).isEqualTo(2);
    }

    @Test
    void a_chunk_under_way_counts_and_a_failed_one_no_more() {
        progress.begin(List.of(definition("t")), Map.of("t", plan));
        var chunk = progress.begin("t", plan.entries().get(1));
        chunk.read(10, 200);
        chunk.read(25, 5000); // more bytes of text than the heap was planned with
        assertThat(progress.load().rows()).isEqualTo(55);
        assertThat(progress.load().percent()).isEqualTo(90);
        assertThat(progress.status().tables().getFirst().rows()).isEqualTo(55);

        progress.failed(chunk, PROBLEM);
        assertThat(progress.load().rows()).isEqualTo(30);
        assertThat(progress.load().percent()).isEqualTo(30);
        assertThat(progress.status().state()).isEqualTo(State.Retrying);
        assertThat(progress.status().problem()).isEqualTo(PROBLEM);
        assertThat(progress.status().tables().getFirst().problem()).isEqualTo(PROBLEM);
        assertThat(meters.get("clickpipe.load.rows").functionCounter().count()).isEqualTo(25);
    }

    @Test
    void ends_at_a_hundred_and_not_before() {
        progress.begin(List.of(definition("t")), Map.of("t", plan));
        for (int i = 1; i < 3; i++) {
            var chunk = progress.begin("t", plan.entries().get(i));
            chunk.read(5, 1000);
            assertThat(progress.load().percent()).isLessThan(100);
            progress.loaded(chunk);
        }
        assertThat(progress.load().rows()).isEqualTo(40);
        assertThat(progress.load().percent()).isEqualTo(100);
        assertThat(progress.load().tablesDone()).isEqualTo(1);
        assertThat(progress.status().tables().getFirst().loaded()).isTrue();
    }

    @Test
    void what_other_workers_have_loaded_counts_once() {
        progress.begin(List.of(definition("t")), Map.of("t", plan));
        var own = progress.begin("t", plan.entries().get(1));
        own.read(5, 600);
        var entries = new ArrayList<>(plan.entries());
        entries.set(2, new ChunkLedger.Entry(2, entries.get(2).chunk(), true, 7));
        progress.loaded(Map.of("t", new ChunkLedger.Plan("t", 1, entries)));
        assertThat(progress.load().rows()).isEqualTo(42);
        progress.loaded(own);
        entries.set(1, new ChunkLedger.Entry(1, entries.get(1).chunk(), true, 5));
        progress.loaded(Map.of("t", new ChunkLedger.Plan("t", 1, entries)));
        assertThat(progress.load().rows()).isEqualTo(42);
        assertThat(progress.load().percent()).isEqualTo(100);

        progress.loaded(Map.of("t", new ChunkLedger.Plan("t", 2, plan.entries())));
        assertThat(progress.load().rows()).as("another began it anew").isEqualTo(30);
    }

    @Test
    void tables_without_bytes_count_as_tables() {
        var empty = new ChunkLedger.Plan(
                "t", 1, List.of(new ChunkLedger.Entry(0, new Chunk(1, 1, 0, Chunk.END, 0), true, 0)));
        progress.begin(List.of(definition("t"), definition("u")), Map.of("t", empty));
        assertThat(progress.load().percent()).isEqualTo(50);
    }

    @Test
    void what_is_replaced_is_no_part_of_the_load_and_nothing_is_guessed_before_the_plan() {
        var live = definition("t");
        var replacement = new TableDefinition(
                "r",
                "s",
                "t",
                1,
                "t_resync",
                TableEngine.ReplacingMergeTree,
                List.of(),
                List.of(),
                List.of(),
                0,
                null,
                null,
                new TableDefinition.Replacement("t", "uuid"),
                null,
                null,
                null);
        var loaded = List.of(new ChunkLedger.Entry(0, new Chunk(1, 1, 0, Chunk.END, 100), true, 7));
        var waiting = List.of(new ChunkLedger.Entry(0, new Chunk(1, 1, 0, Chunk.END, 100), false, 0));
        progress.begin(List.of(live, replacement), Map.of("t", new ChunkLedger.Plan("t", 1, loaded)));
        assertThat(progress.load().percent()).isZero();
        assertThat(progress.load().rows()).isZero();
        progress.planned(new ChunkLedger.Plan("r", 1, waiting));
        assertThat(progress.load().percent()).isZero();
        progress.planned(new ChunkLedger.Plan("r", 1, loaded));
        assertThat(progress.load().percent()).isEqualTo(100);
        assertThat(progress.load().rows()).isEqualTo(7);
    }

    private static TableDefinition definition(String target) {
        return new TableDefinition(
                target,
                "s",
                target,
                1,
                target,
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
