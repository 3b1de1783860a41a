package dev.clickpipe.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Tables of one shape, each with a target of its own, read as one table that says where a row is from. */
class SeveralAsOneIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private static final List<String> SHOPS = List.of("eu", "us");

    private final Postgres postgres = POSTGRES.client();
    private final ClickHouse clickHouse = CLICKHOUSE.client();

    private void assertEqual() {
        var there = postgres.query("SELECT string_agg(concat_ws(' ', source, id, v), ', ' ORDER BY source, id) FROM ("
                + "SELECT 'eu_orders' AS source, * FROM eu.orders UNION ALL SELECT 'us_orders', * FROM us.orders) o");
        assertThat(clickHouse.query("SELECT arrayStringConcat(groupArray(concat(source, ' ', id, ' ', v)), ', ') FROM"
                        + " (SELECT source, id, v FROM orders FINAL ORDER BY source, id)"))
                .isEqualTo(there);
    }

    @Test
    @DisplayName("several tables read as one, with a column that says where a row is from")
    void readAsOne() throws InterruptedException {
        for (var shop : SHOPS) {
            postgres.execute(
                    "CREATE SCHEMA " + shop,
                    "CREATE TABLE " + shop + ".orders (id int PRIMARY KEY, v text NOT NULL)",
                    "INSERT INTO " + shop + ".orders SELECT i, '" + shop + "' FROM generate_series(1, 5) i");
        }
        var settings = new PostgresSettings(null, null, null, 0, null, null, null, null, null, null, null);
        try (var pipe = new ScenarioPipe(
                postgres,
                clickHouse,
                "several",
                SHOPS.stream()
                        .map(shop -> ScenarioPipe.mapping(shop, "orders", shop + "_orders"))
                        .toList(),
                settings)) {
            pipe.setUp();
            clickHouse.query("CREATE TABLE orders (source String ALIAS _table, id Int32, v String)"
                    + " ENGINE = Merge(currentDatabase(), '^(eu|us)_orders$')");
            pipe.load();
            pipe.start();
            pipe.awaitCaughtUp();
            assertEqual();

            postgres.execute(
                    "UPDATE eu.orders SET v = 'changed' WHERE id = 1",
                    "UPDATE eu.orders SET id = 6 WHERE id = 2",
                    "DELETE FROM us.orders WHERE id = 1");
            pipe.awaitCaughtUp();
            assertEqual();

            postgres.execute("TRUNCATE us.orders", "INSERT INTO us.orders VALUES (7, 'after')");
            pipe.awaitCaughtUp();
            assertEqual();

            pipe.resync();
            assertEqual(); // the tables that are loaded beside do not count twice
            pipe.awaitSwapped();
            postgres.execute("INSERT INTO eu.orders VALUES (8, 'after the swap')");
            pipe.awaitCaughtUp();
            assertEqual();
        }
    }
}
