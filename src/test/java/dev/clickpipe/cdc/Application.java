package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** An application that never pauses, with a load like pgbench's: updates, key changes, long values, deletes, roll-backs. */
final class Application implements AutoCloseable {
    private static final int CLIENTS = 4;
    private static final int ACCOUNTS = 20_000;
    /** Without it, a machine that is slow for ClickHouse would never catch up with one that is fast for Postgres. */
    private static final Duration THINK_TIME = Duration.ofMillis(20);

    private final Postgres postgres;
    private final String prefix;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicInteger transactions = new AtomicInteger();
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final List<Future<?>> running = new ArrayList<>();

    /** Makes its tables: accounts, branches, documents; history, without a key; audit, where every update counts n up. */
    Application(Postgres postgres, String prefix) {
        this.postgres = postgres;
        this.prefix = prefix;
        create(postgres, prefix);
    }

    void start() {
        for (int i = 0; i < CLIENTS; i++) {
            running.add(threads.submit(client(postgres, prefix, new Random(i), stop, transactions)));
        }
    }

    /** Waits for some hundred transactions more. */
    void awaitMore() {
        awaitMore(300);
    }

    void awaitMore(int more) {
        int goal = transactions.get() + more;
        await().atMost(Duration.ofMinutes(2))
                .until(() -> transactions.get() >= goal || running.stream().anyMatch(Future::isDone));
        assertThat(running).noneMatch(Future::isDone);
    }

    void stop() throws Exception {
        stop.set(true);
        for (var client : running) {
            client.get();
        }
    }

    /**
     * Each change of the audit table is in its history once: what came in of a row begins with its snapshot and counts up to
     * what Postgres has, one by one.
     */
    void assertHistory(ClickHouse clickHouse) {
        var audit = "`" + prefix + "audit`";
        assertThat(clickHouse.rows("SELECT id, count(), uniqExact(n), min(n), max(n) FROM " + audit
                        + " GROUP BY id HAVING count() != uniqExact(n) OR count() != max(n) - min(n) + 1"
                        + " OR countIf(_clickpipe_operation = 'snapshot') != 1"
                        + " OR argMin(_clickpipe_operation, n) != 'snapshot'"))
                .as("rows doubled or missing")
                .isEmpty();
        assertThat(clickHouse.query("SELECT count() - uniqExact(_clickpipe_version) FROM " + audit
                        + " WHERE _clickpipe_operation != 'snapshot'"))
                .isEqualTo("0");
        assertThat(clickHouse.rows(
                        "SELECT id, argMax(n, _clickpipe_version) FROM " + audit + " GROUP BY id ORDER BY id"))
                .isEqualTo(postgres.rows("SELECT id, n FROM " + prefix + "audit ORDER BY id"));
    }

    @Override
    public void close() {
        stop.set(true);
        threads.close();
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
                                        + "documents SET version = version + 1 WHERE id % 250 = " + document % 250);
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
                    Thread.sleep(THINK_TIME);
                }
            }
            return null;
        };
    }
}
