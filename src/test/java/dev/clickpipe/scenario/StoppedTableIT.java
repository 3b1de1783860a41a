package dev.clickpipe.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import dev.clickpipe.testbed.TableComparison;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What can't be followed. */
class StoppedTableIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @Test
    @DisplayName("a table that lost its identity stops alone, and a resync heals it")
    void aTableThatLostItsIdentity() throws InterruptedException {
        var postgres = POSTGRES.client();
        postgres.execute(
                "CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v text)",
                "CREATE TABLE other (id int PRIMARY KEY, v text)",
                "INSERT INTO t SELECT i, i, 'v' FROM generate_series(1, 10) i",
                "INSERT INTO other SELECT i, 'v' FROM generate_series(1, 10) i");
        var mappings = Stream.of("t", "other")
                .map(table -> new TableMapping(
                        "public", table, table, List.of(), false, List.of(), null, null, null, null, null, null, null))
                .toList();
        var settings = new PostgresSettings(null, null, null, 0, null, null, null, null, null, null, null);
        try (var pipe = new ScenarioPipe(postgres, CLICKHOUSE.client(), "stopped", mappings, settings)) {
            pipe.setUp();
            pipe.load();
            pipe.start();
            postgres.execute(
                    "ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_key",
                    "UPDATE t SET v = 'w' WHERE id < 4",
                    "DELETE FROM t WHERE id = 5",
                    "UPDATE other SET v = 'w'");
            pipe.awaitCaughtUp();
            assertThat(pipe.problem("t").reason()).isEqualTo("ReplicaIdentityInsufficient");
            assertThat(pipe.problem("t").remedy()).contains("REPLICA IDENTITY FULL", "resync");
            assertThat(pipe.problem("other")).isNull();
            TableComparison.between(postgres, "other", CLICKHOUSE.client(), "other")
                    .assertEqual();

            postgres.execute("ALTER TABLE t REPLICA IDENTITY DEFAULT");
            pipe.resync();
            pipe.awaitSwapped();
            postgres.execute("UPDATE t SET id = id + 100 WHERE id > 7");
            pipe.awaitCaughtUp();
            for (var table : List.of("t", "other")) {
                TableComparison.between(postgres, table, CLICKHOUSE.client(), table)
                        .assertEqual();
            }
        }
    }
}
