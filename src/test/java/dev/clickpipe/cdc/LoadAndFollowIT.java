package dev.clickpipe.cdc;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import java.util.List;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Initial load and change data capture together, under a load like pgbench's that never pauses. */
class LoadAndFollowIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @ParameterizedTest
    @ValueSource(ints = {14, 17, 18})
    void everyTableEqualsPostgres(int version) throws Exception {
        try (var server = PostgresServer.create(version)) {
            var postgres = server.createDatabase("bench");
            var prefix = "bench_" + version + "_";
            try (var application = new Application(postgres, prefix);
                    var pipe = new TestPipe.Builder(postgres, CLICKHOUSE.client())
                            .table(prefix + "accounts")
                            .table(prefix + "branches")
                            .table(prefix + "documents")
                            .table(prefix + "history", TableEngine.MergeTree)
                            .table(prefix + "audit", TableEngine.MergeTree)
                            .batchRows(1000)
                            .loaded()
                            .setUp()) {
                application.start();
                application.awaitMore();
                pipe.load();
                pipe.start();
                for (int i = 0; i < 3; i++) {
                    application.awaitMore();
                    pipe.restart();
                }
                application.awaitMore();
                application.stop();
                for (var table : List.of("accounts", "branches", "documents", "history")) {
                    pipe.awaitEqual(prefix + table);
                }
                pipe.awaitConfirmed();
                application.assertHistory(CLICKHOUSE.client());
            }
        }
    }
}
