package dev.clickpipe.snapshot;

import static dev.clickpipe.api.TableEngine.MergeTree;
import static dev.clickpipe.api.TableEngine.ReplacingMergeTree;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class SnapshotIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private LoadedPipe pipe() {
        return new LoadedPipe(directory, POSTGRES.client(), CLICKHOUSE.client());
    }

    @Test
    void loads_tables_of_any_size_in_chunks() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE large (id int PRIMARY KEY, text text)",
                        "INSERT INTO large SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 20000) i",
                        "ANALYZE large",
                        "CREATE TABLE never_analysed (id int PRIMARY KEY, n int) WITH (autovacuum_enabled = false)",
                        "INSERT INTO never_analysed SELECT i, i FROM generate_series(1, 5000) i",
                        "CREATE TABLE nothing (id int PRIMARY KEY)");
        try (var pipe = pipe().table("public", "large", ReplacingMergeTree)
                .table("public", "never_analysed", ReplacingMergeTree)
                .table("public", "nothing", ReplacingMergeTree)) {
            var status = pipe.load().status();
            for (var table : new String[] {"large", "never_analysed", "nothing"}) {
                pipe.compare("public", table).assertEqual();
            }
            assertThat(pipe.ledger("large", "loaded")).hasSizeBetween(15, 25).containsOnly(java.util.List.of("true"));
            assertThat(status.load().percent()).isEqualTo(100);
            assertThat(status.load().rows()).isEqualTo(25000);
            assertThat(status.load().tablesDone()).isEqualTo(3);
            assertThat(status.problem()).isNull();
            assertThat(status.tables()).allMatch(table -> table.loaded() && table.chunksDone() == table.chunksTotal());
        }
    }

    @Test
    void append_only_rows_say_what_they_are() throws InterruptedException {
        POSTGRES.client()
                .execute(
                        "CREATE TABLE history (n int, note text)",
                        "INSERT INTO history SELECT i % 3, 'same' FROM generate_series(1, 7000) i");
        try (var pipe = pipe().table("public", "history", MergeTree)) {
            pipe.load();
            pipe.compare("public", "history").assertEqual();
            assertThat(pipe.definition("history").boundary()).isNotNull();
            assertThat(
                            CLICKHOUSE
                                    .client()
                                    .rows(
                                            "SELECT DISTINCT _clickpipe_operation, abs(dateDiff('minute', _clickpipe_committed_at, now())) < 5 FROM history"))
                    .containsExactly(java.util.List.of("snapshot", "true"));
        }
    }
}
