package dev.clickpipe.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.TableComparison;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * An application that goes on whatever happens to its database, with changes of which each can be accounted for: accounts that
 * come, go, change and get other keys; events, one row each for ever; meters, that count up, so that a gap or a double shows.
 */
final class Customers implements AutoCloseable {
    private static final int CLIENTS = 3;
    private static final int METERS = 50;

    private final Postgres postgres;
    private final long seed;
    private final int rows;
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean stop;

    /** Makes and fills the tables. @param rows of accounts and of events */
    Customers(Postgres postgres, long seed, int rows) {
        this.postgres = postgres;
        this.seed = seed;
        this.rows = rows;
        postgres.execute(
                "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint, note text)",
                "ALTER TABLE accounts ALTER note SET STORAGE EXTERNAL",
                "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client int, v bigint)",
                "CREATE TABLE meters (id int PRIMARY KEY, n int)",
                "CREATE TABLE probe (id int PRIMARY KEY, n int)",
                "INSERT INTO accounts SELECT i, 0, repeat(md5(i::text), CASE WHEN i % 10 = 0 THEN 150 ELSE 1 END)"
                        + " FROM generate_series(1, " + rows + ") i",
                "INSERT INTO events (client, v) SELECT -1, i FROM generate_series(1, " + rows + ") i",
                "INSERT INTO meters SELECT i, 0 FROM generate_series(1, " + METERS + ") i",
                "INSERT INTO probe VALUES (1, 0)");
    }

    void start() {
        stop = false;
        for (int i = 0; i < CLIENTS; i++) {
            int number = i;
            threads.add(Thread.ofVirtual().start(() -> serve(number)));
        }
    }

    void stop() throws InterruptedException {
        stop = true;
        for (var thread : threads) {
            thread.join();
        }
        threads.clear();
    }

    private void serve(int client) {
        var random = new Random(seed * 31 + client);
        while (!stop) {
            try (var connection = postgres.connect();
                    var statement = connection.createStatement()) {
                connection.setAutoCommit(false);
                while (!stop) {
                    try {
                        change(statement, client, random);
                        if (random.nextInt(12) == 0) {
                            connection.rollback();
                        } else {
                            connection.commit();
                        }
                    } catch (SQLException e) {
                        connection.rollback(); // a key that is taken, a deadlock: another one; a dead server: see below
                    }
                    Thread.sleep(40);
                }
            } catch (SQLException e) {
                pause();
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void change(Statement statement, int client, Random random) throws SQLException {
        int id = 1 + random.nextInt(rows);
        statement.execute("INSERT INTO events (client, v) SELECT " + client + ", i FROM generate_series(1, "
                + (1 + random.nextInt(random.nextInt(30) == 0 ? 500 : 4)) + ") i");
        statement.execute("UPDATE meters SET n = n + 1 WHERE id = " + (1 + random.nextInt(METERS)));
        statement.execute("UPDATE accounts SET balance = balance + " + (random.nextInt(2000) - 1000) + " WHERE id = "
                + (random.nextBoolean() ? id : id + rows));
        switch (random.nextInt(8)) {
            case 0 -> statement.execute("UPDATE accounts SET id = id + " + rows + " WHERE id = " + id);
            case 1 -> statement.execute("UPDATE accounts SET id = id - " + rows + " WHERE id = " + (id + rows));
            case 2 -> statement.execute("DELETE FROM accounts WHERE id = " + id);
            case 3 ->
                statement.execute("INSERT INTO accounts VALUES (" + id + ", 1, repeat('new', " + random.nextInt(2000)
                        + ")) ON CONFLICT DO NOTHING");
            default -> {}
        }
    }

    private static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What a summing view of the events gets. */
    static void view(ClickHouse clickHouse) {
        clickHouse.query("CREATE TABLE event_sums (client Int32, n UInt64, v Int64) ENGINE = SummingMergeTree"
                + " ORDER BY client SETTINGS non_replicated_deduplication_window = 10000");
        clickHouse.query("CREATE MATERIALIZED VIEW event_view TO event_sums AS"
                + " SELECT assumeNotNull(client) AS client, toUInt64(1) AS n, assumeNotNull(v) AS v FROM events"
                + " WHERE client >= 0 AND _clickpipe_operation = 'insert'");
        clickHouse.query("INSERT INTO event_sums SELECT client, 1, v FROM events WHERE client >= 0");
    }

    static void noView(ClickHouse clickHouse) {
        clickHouse.query("DROP TABLE event_view SYNC");
        clickHouse.query("DROP TABLE event_sums SYNC");
    }

    /** Nothing is missing and nothing is there twice; while nobody writes. */
    void assertExact(ClickHouse clickHouse, boolean view) {
        TableComparison.between(postgres, "accounts", clickHouse, "accounts")
                .key("id")
                .assertEqual();
        var events = postgres.query(
                "SELECT count(*) || ' ' || sum(v) || ' ' || count(DISTINCT id) || ' ' || sum(id) FROM events");
        assertThat(clickHouse.query("SELECT concat(toString(count()), ' ', toString(sum(v)), ' ',"
                        + " toString(uniqExact(id)), ' ', toString(sum(id))) FROM events"))
                .as("events")
                .isEqualTo(events);
        assertThat(clickHouse.rows("SELECT id, count(), uniqExact(n), min(n), max(n) FROM meters GROUP BY id"
                        + " HAVING count() != uniqExact(n) OR count() != max(n) - min(n) + 1"))
                .as("meters with a change that is missing or there twice")
                .isEmpty();
        assertThat(clickHouse.rows("SELECT id, argMax(n, _clickpipe_version) FROM meters GROUP BY id ORDER BY id"))
                .as("meters")
                .isEqualTo(postgres.rows("SELECT id, n FROM meters ORDER BY id"));
        if (view) {
            assertThat(clickHouse.rows("SELECT client, sum(n), sum(v) FROM event_sums GROUP BY client ORDER BY client"))
                    .as("sums of the materialized view")
                    .isEqualTo(postgres.rows("SELECT client, count(*), sum(v) FROM events WHERE client >= 0"
                            + " GROUP BY client ORDER BY client"));
        }
    }

    @Override
    public void close() {
        stop = true;
    }
}
