package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * A commit is in the WAL before others see its rows: with a synchronous standby that does not answer, for as long as one likes.
 * The stream sends it, a snapshot does not have it, and a load that took "the current WAL position" for its boundary would lose it.
 */
class CommitVisibilityIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @Test
    void commitsThatAreLoggedAndNotVisible() throws InterruptedException {
        var clickHouse = CLICKHOUSE.client();
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var postgres = server.createDatabase("source");
            postgres.execute(
                    "CREATE TABLE current (id int PRIMARY KEY, v text)",
                    "CREATE TABLE history (id int, v text)",
                    "INSERT INTO current SELECT i, 'old' FROM generate_series(1, 3000) i",
                    "INSERT INTO history SELECT i, 'old' FROM generate_series(1, 3000) i");
            try (var pipe = new TestPipe.Builder(postgres, clickHouse)
                    .table("current")
                    .table("history", TableEngine.MergeTree)
                    .chunkRows(1000)
                    .loaded()
                    .setUp()) {
                pipe.start();
                standby(postgres, "nobody");
                var before = commit(postgres, 1);
                awaitStalled(postgres, 1);
                assertThat(postgres.query("SELECT v FROM current WHERE id = 1"))
                        .as("logged, and not to be seen")
                        .isEqualTo("old");
                assertThat(postgres.query("SELECT count(*) FROM history WHERE v = 'stalled'"))
                        .isEqualTo("0");

                var load = pipe.startLoad();
                await().atMost(Duration.ofMinutes(1))
                        .until(() -> load.isDone() || load.status().problem() != null);
                assertThat(load.isDone())
                        .as("a session that begins now waits for what is not visible yet")
                        .isFalse();
                // While it begins: one that will be in the WAL before its boundary, and one that others can see at
                // once.
                var meanwhile = commit(postgres, 2);
                awaitStalled(postgres, 2);
                postgres.execute(
                        "SET synchronous_commit = local",
                        "UPDATE current SET v = 'seen' WHERE id = 3",
                        "INSERT INTO history VALUES (3, 'seen')");

                standby(postgres, "");
                before.join();
                meanwhile.join();
                load.awaitDone();
                postgres.execute("INSERT INTO current VALUES (0, 'last')", "INSERT INTO history VALUES (0, 'last')");
                pipe.awaitEqual("current", "history");
                pipe.awaitConfirmed();
                pipe.awaitSettled();
                pipe.awaitEqual("current", "history");
                assertThat(clickHouse.rows("SELECT id, v FROM current FINAL WHERE v != 'old' ORDER BY id"))
                        .isEqualTo(List.of(
                                List.of("0", "last"),
                                List.of("1", "stalled"),
                                List.of("2", "stalled"),
                                List.of("3", "seen")));
            }
        }
    }

    private static CompletableFuture<Void> commit(Postgres postgres, int id) {
        // Not in the common pool, which ClickHouse's client needs.
        return CompletableFuture.runAsync(
                () -> postgres.transaction(
                        "UPDATE current SET v = 'stalled' WHERE id = " + id,
                        "INSERT INTO history VALUES (" + id + ", 'stalled')"),
                Thread::startVirtualThread);
    }

    private static void awaitStalled(Postgres postgres, int sessions) {
        await().until(() -> postgres.query(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" + " AND query = 'COMMIT'")
                .equals(String.valueOf(sessions)));
    }

    /** @param name of a standby that commits wait for; empty: for none */
    private static void standby(Postgres postgres, String name) {
        postgres.execute("ALTER SYSTEM SET synchronous_standby_names = '" + name + "'", "SELECT pg_reload_conf()");
        await().until(() -> postgres.query("SHOW synchronous_standby_names").equals(name));
    }
}
