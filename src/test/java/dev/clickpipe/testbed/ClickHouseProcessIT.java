package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ClickHouseProcessIT {
    @Test
    void keepsDataAndDeduplicationOverAKillAndAStop() {
        try (var server = ClickHouseProcess.create()) {
            server.client("system").query("CREATE DATABASE d");
            ClickHouse clickhouse = server.client("d");
            clickhouse.query("""
                    CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a
                    SETTINGS non_replicated_deduplication_window = 100""");
            insert(clickhouse);

            server.kill();
            assertThat(clickhouse.isAlive()).isFalse();
            server.start();
            assertThat(clickhouse.count("t")).isEqualTo(2);
            insert(clickhouse);
            assertThat(clickhouse.count("t")).as("the token is remembered").isEqualTo(2);

            server.stop();
            assertThat(clickhouse.isAlive()).isFalse();
            server.start();
            assertThat(clickhouse.count("t")).isEqualTo(2);
        }
    }

    private static void insert(ClickHouse clickhouse) {
        clickhouse.insert(
                "INSERT INTO t SETTINGS insert_deduplication_token = 'batch-1', async_insert = 0 FORMAT TSV",
                "1\n2\n".getBytes(StandardCharsets.UTF_8));
    }
}
