package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Initial load and change data capture together, under a load like pgbench's that never pauses. */
class LoadAndFollowIT {
    private static final int CLIENTS = 4;
    private static final int ACCOUNTS = 20_000;

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @ParameterizedTest
    @ValueSource(ints = {14, 17, 18})
    void everyTableEqualsPostgres(int version) throws Exception {
        try (var server = PostgresServer.create(version)) {
            var postgres = server.createDatabase("bench");
            var prefix = "bench_" + version + "_";
            create(postgres, prefix);
            var stop = new AtomicBoolean();
            var transactions = new AtomicInteger();
            try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
                var running = new ArrayList<Future<?>>();
                try (var pipe = new TestPipe.Builder(postgres, CLICKHOUSE.client())
                        .table(prefix + "accounts")
                        .table(prefix + "branches")
                        .table(prefix + "documents")
                        .table(prefix + "history", TableEngine.MergeTree)
                        .table(prefix + "audit", TableEngine.MergeTree)
                        .batchRows(1000)
                        .loaded()
                        .setUp()) {
                    for (int i = 0; i < CLIENTS; i++) {
                        var random = new Random(i);
                        running.add(clients.submit(client(postgres, prefix, random, stop, transactions)));
                    }
                    awaitMore(transactions, running);
                    pipe.load();
                    pipe.start();
                    for (int i = 0; i < 3; i++) {
                        awaitMore(transactions, running);
                        pipe.restart();
                    }
                    awaitMore(transactions, running);
                    stop.set(true);
                    for (var client : running) {
                        client.get();
                    }
                    for (var table : List.of("accounts", "branches", "documents", "history")) {
                        pipe.awaitEqual(prefix + table);
                    }
                    pipe.awaitConfirmed();
                    assertThat(CLICKHOUSE
                                    .client()
                                    .query("SELECT count() - uniqExact(_clickpipe_version) FROM `" + prefix
                                            + "audit` WHERE _clickpipe_operation != 'snapshot'"))
                            .isEqualTo("0");
                    // each change once: what came in last of each row is what Postgres has
                    assertThat(
                                    CLICKHOUSE
                                            .client()
                                            .rows(
                                                    "SELECT id, argMax(n, _clickpipe_version) FROM `" + prefix
                                                            + "audit` GROUP BY id HAVING argMax(_clickpipe_operation, _clickpipe_version) != 'delete' ORDER BY id"))
                            .isEqualTo(postgres.rows("SELECT id, n FROM " + prefix + "audit ORDER BY id"));
                } finally {
                    stop.set(true);
                }
            }
        }
    }

    private static void create(Postgres postgres, String prefix) {
        postgres.execute(
                "CREATE TABLE " + prefix + "accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
                "CREATE TABLE " + prefix + "branches (bid int PRIMARY KEY, bbalance bigint)",
                "CREATE TABLE " + prefix
                        + "history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
                "CREATE TABLE " + prefix + "documents (id int PRIMARY KEY, version int, body text)",
                "ALTER TABLE " + prefix + "documents ALTER body SET STORAGE EXTERNAL",
                "CREATE TABLE " + prefix + "audit (id int PRIMARY KEY, n int)",
                "INSERT INTO " + prefix + "accounts SELECT i, i % 10, 0, '' FROM generate_series(1, " + ACCOUNTS
                        + ") i",
                "INSERT INTO " + prefix + "branches SELECT i, 0 FROM generate_series(0, 9) i",
                "INSERT INTO " + prefix
                        + "documents SELECT i, 0, repeat(md5(i::text), 200) FROM generate_series(1, 500) i",
                "INSERT INTO " + prefix + "audit SELECT i, 0 FROM generate_series(1, 100) i");
    }

    /** One session of the application. */
    private static Callable<Void> client(
            Postgres postgres, String prefix, Random random, AtomicBoolean stop, AtomicInteger transactions) {
        return () -> {
            try (var connection = postgres.connect();
                    var statement = connection.createStatement()) {
                connection.setAutoCommit(false);
                while (!stop.get()) {
                    int aid = 1 + random.nextInt(ACCOUNTS);
                    int delta = random.nextInt(2000) - 1000;
                    int document = 1 + random.nextInt(500);
                    try {
                        statement.execute("UPDATE " + prefix + "accounts SET abalance = abalance + " + delta
                                + " WHERE aid = " + aid);
                        statement.execute("UPDATE " + prefix + "branches SET bbalance = bbalance + " + delta
                                + " WHERE bid = " + aid % 10);
                        statement.execute("INSERT INTO " + prefix + "history VALUES (1, 1, " + aid + ", " + delta
                                + ", now(), 'x')");
                        statement.execute("UPDATE " + prefix + "audit SET n = n + 1 WHERE id = " + (1 + aid % 100));
                        switch (random.nextInt(8)) {
                            case 0 ->
                                statement.execute("UPDATE " + prefix + "documents SET id = id + 1000, version = "
                                        + delta + " WHERE id = " + document);
                            case 1 ->
                                statement.execute("UPDATE " + prefix + "documents SET id = id - 1000 WHERE id = "
                                        + (document + 1000));
                            case 2 ->
                                statement.execute("UPDATE " + prefix + "documents SET body = repeat(md5('" + delta
                                        + "'), 150) WHERE id = " + document);
                            case 3 ->
                                statement.execute("DELETE FROM " + prefix + "accounts WHERE aid = "
                                        + (1 + random.nextInt(ACCOUNTS)));
                            case 4 ->
                                statement.execute("INSERT INTO " + prefix + "accounts VALUES ("
                                        + (ACCOUNTS + random.nextInt(5000)) + ", 1, 2, 'new') ON CONFLICT DO NOTHING");
                            default ->
                                statement.execute("UPDATE " + prefix
                                        + "documents SET version = version + 1 WHERE id % 50 = " + document % 50);
                        }
                        if (random.nextInt(10) == 0) {
                            connection.rollback();
                        } else {
                            connection.commit();
                        }
                    } catch (SQLException e) {
                        connection.rollback(); // a deadlock or a key that is taken: the application tries another
                    }
                    transactions.incrementAndGet();
                }
            }
            return null;
        };
    }

    private static void awaitMore(AtomicInteger transactions, List<Future<?>> clients) throws Exception {
        int goal = transactions.get() + 300;
        await().until(() -> transactions.get() >= goal || clients.stream().anyMatch(Future::isDone));
        for (var client : clients) {
            if (client.isDone()) {
                client.get();
            }
        }
    }
}
