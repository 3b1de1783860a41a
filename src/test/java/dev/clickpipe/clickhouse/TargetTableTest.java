package dev.clickpipe.clickhouse;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.postgres.PgType;
import java.util.List;
import org.junit.jupiter.api.Test;

class TargetTableTest {
    private static final PgType TEXT = new PgType(25, "text", PgType.Kind.SCALAR, -1, null);

    @Test
    void keepsOneRowAKey() {
        var orders = definition(TableEngine.ReplacingMergeTree, List.of("id", "it's `odd` \\"));

        assertThat(TargetTable.createStatement(orders, null, TargetTable.engine(orders, true), "ClickPipe u: it's"))
                .isEqualTo("""
                        CREATE TABLE `orders` (
                            `id` Int64,
                            `it\\'s` Nullable(String),
                            `it's \\`odd\\` \\\\` String,
                            `_clickpipe_version` UInt128,
                            `_clickpipe_is_deleted` UInt8,
                            `_clickpipe_synced_at` DateTime64(9) DEFAULT now64(9)
                        ) ENGINE = ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted)
                        ORDER BY (`id`, `it's \\`odd\\` \\\\`)
                        COMMENT 'ClickPipe u: it\\'s'""".replace("`it\\'s`", "`it's`"));
    }

    @Test
    void appendsEveryChange() {
        var orders = definition(TableEngine.MergeTree, List.of());

        assertThat(TargetTable.createStatement(orders, null, TargetTable.engine(orders, true), "c"))
                .contains(
                        "`_clickpipe_operation` LowCardinality(String),\n    `_clickpipe_committed_at` DateTime64(6, 'UTC'),\n")
                .contains("""

                        ) ENGINE = MergeTree
                        ORDER BY tuple()
                        SETTINGS non_replicated_deduplication_window = 10000
                        COMMENT""");
    }

    @Test
    void knowsInsertsAgain() {
        assertThat(List.of(
                        "MergeTree ORDER BY tuple() SETTINGS index_granularity = 8192",
                        "MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 0",
                        "MergeTree ORDER BY tuple() SETTINGS replicated_deduplication_window = 100",
                        "ReplicatedMergeTree('/a', 'b') ORDER BY id SETTINGS replicated_deduplication_window = 0"))
                .noneMatch(TargetTable::deduplicates);
        assertThat(List.of(
                        "MergeTree ORDER BY tuple() SETTINGS a = 1, non_replicated_deduplication_window = 10, b = 2",
                        "ReplicatedMergeTree('/a', 'b') ORDER BY id SETTINGS non_replicated_deduplication_window = 0",
                        "SharedMergeTree ORDER BY id"))
                .allMatch(TargetTable::deduplicates);
    }

    @Test
    void sortsByColumnsThatMayBeNull() {
        var orders = definition(TableEngine.ReplacingMergeTree, List.of("it's", "id"));

        assertThat(TargetTable.createStatement(orders, null, TargetTable.engine(orders, false), "c"))
                .contains(
                        "ENGINE = ReplacingMergeTree(_clickpipe_version)\nORDER BY (`it's`, `id`)\nSETTINGS allow_nullable_key = 1\n");
    }

    private static TableDefinition definition(TableEngine engine, List<String> sortingKey) {
        return TableDefinition.wanted(
                "public",
                "orders",
                1,
                "orders",
                engine,
                List.of("id"),
                sortingKey,
                List.of(
                        new TableDefinition.Column(1, "id", TEXT, 0, false, "Int64"),
                        new TableDefinition.Column(2, "it's", TEXT, 0, true, "Nullable(String)"),
                        new TableDefinition.Column(3, "it's `odd` \\", TEXT, 0, false, "String")));
    }
}
