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
 * come, go, change and get other keys; events, one row each for ever; meters, that count up, so that a gap or a double shows;
 * baskets, of which all go at once now and then. Some transactions are larger than a batch, and some are undone in part.
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
                "CREATE TABLE baskets (id int PRIMARY KEY, n int)",
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
                + (1 + random.nextInt(random.nextInt(400) == 0 ? 6000 : random.nextInt(30) == 0 ? 500 : 4)) + ") i");
        statement.execute("UPDATE meters SET n = n + 1 WHERE id = " + (1 + random.nextInt(METERS)));
        statement.execute("UPDATE accounts SET balance = balance + " + (random.nextInt(2000) - 1000) + " WHERE id = "
                + (random.nextBoolean() ? id : id + rows));
        statement.execute("INSERT INTO baskets VALUES (" + (client * 1000 + random.nextInt(1000)) + ", " + id
                + ") ON CONFLICT (id) DO UPDATE SET n = baskets.n + 1");
        switch (random.nextInt(8)) {
            case 0 -> statement.execute("UPDATE accounts SET id = id + " + rows + " WHERE id = " + id);
            case 1 -> statement.execute("UPDATE accounts SET id = id - " + rows + " WHERE id = " + (id + rows));
            case 2 -> statement.execute("DELETE FROM accounts WHERE id = " + id);
            case 3 ->
                statement.execute("INSERT INTO accounts VALUES (" + id + ", 1, repeat('new', " + random.nextInt(2000)
                        + ")) ON CONFLICT DO NOTHING");
            case 4 -> {
                statement.execute("SAVEPOINT regretted");
                statement.execute(
                        "INSERT INTO events (client, v) SELECT " + client + ", -i FROM generate_series(1, 50) i");
                statement.execute("UPDATE accounts SET balance = -1 WHERE id = " + id);
                statement.execute("ROLLBACK TO regretted");
            }
            default -> {}
        }
        if (random.nextInt(80) == 0) {
            statement.execute("TRUNCATE baskets");
        }
    }

    private static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What a summing view of the events gets: those that the stream brings. Before the load. */
    static void view(ClickHouse clickHouse) {
        clickHouse.query("CREATE TABLE event_sums (id Int64, client Int32, n UInt64, v Int64) ENGINE = SummingMergeTree"
                + " ORDER BY (id, client) SETTINGS non_replicated_deduplication_window = 10000");
        clickHouse.query("CREATE MATERIALIZED VIEW event_view TO event_sums AS"
                + " SELECT assumeNotNull(id) AS id, assumeNotNull(client) AS client, toUInt64(1) AS n,"
                + " assumeNotNull(v) AS v FROM events WHERE _clickpipe_operation = 'insert'");
    }

    /** The load brought these, or a load that began anew took them for its own: from now on the view has all. */
    static void fillView(ClickHouse clickHouse) {
        clickHouse.query("INSERT INTO event_sums SELECT id, client, 1, v FROM events"
                + " WHERE id NOT IN (SELECT id FROM event_sums)");
    }

    /** Nothing is missing and nothing is there twice; while nobody writes. */
    void assertExact(ClickHouse clickHouse, boolean wholeView) {
        for (var table : List.of("accounts", "baskets")) {
            TableComparison.between(postgres, table, clickHouse, table)
                    .key("id")
                    .assertEqual();
        }
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
        assertThat(clickHouse.rows("SELECT id, sum(n) FROM event_sums GROUP BY id HAVING sum(n) != 1"))
                .as("changes that the materialized view saw more than once")
                .isEmpty();
        assertThat(clickHouse.query("SELECT count() FROM events WHERE _clickpipe_operation = 'insert'"
                        + " AND id NOT IN (SELECT id FROM event_sums)"))
                .as("changes that the materialized view did not see")
                .isEqualTo("0");
        if (wholeView) {
            assertThat(clickHouse.rows("SELECT client, sum(n), sum(v) FROM event_sums GROUP BY client ORDER BY client"))
                    .as("sums of the materialized view")
                    .isEqualTo(postgres.rows(
                            "SELECT client, count(*), sum(v) FROM events GROUP BY client ORDER BY client"));
        }
    }

    @Override
    public void close() {
        stop = true;
    }
}
