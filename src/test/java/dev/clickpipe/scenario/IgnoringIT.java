package dev.clickpipe.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Fault;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.SharedPostgres;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What is ignored changes while a pipe runs. */
class IgnoringIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private Postgres postgres;
    private ClickHouse clickHouse;

    @BeforeEach
    void clients() {
        postgres = POSTGRES.client();
        clickHouse = CLICKHOUSE.client();
    }

    private static List<TableMapping> mappings(boolean ignoreDeletes, boolean ignoreTruncates) {
        return List.of(
                mapping("kept", TableEngine.ReplacingMergeTree, ignoreDeletes, ignoreTruncates),
                mapping("told", TableEngine.MergeTree, ignoreDeletes, ignoreTruncates));
    }

    private static TableMapping mapping(String table, TableEngine engine, boolean deletes, boolean truncates) {
        return new TableMapping(
                "public", table, table, List.of(), false, List.of(), engine, null, null, null, deletes, truncates,
                null);
    }

    private void both(String... statements) {
        for (var statement : statements) {
            postgres.execute(statement.formatted("kept"), statement.formatted("told"));
        }
    }

    private String rows() {
        return clickHouse.query(
                "SELECT arrayStringConcat(groupArray(toString(id)), ' ') FROM (SELECT id FROM kept FINAL"
                        + " ORDER BY id)");
    }

    /** The ids of deletes, and the word truncate, in their order. */
    private String told() {
        return clickHouse.query("SELECT arrayStringConcat(groupArray(what), ' ') FROM (SELECT if(_clickpipe_operation"
                + " = 'delete', toString(id), 'truncate') AS what FROM told WHERE _clickpipe_operation IN"
                + " ('delete', 'truncate') ORDER BY _clickpipe_version)");
    }

    private static void awaitTakenUp(ScenarioPipe pipe, Ignored ignored) {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> pipe.definitions().stream()
                .filter(build -> !build.target().equals(ScenarioPipe.MARKER))
                .allMatch(build -> build.streaming().ignored().equals(ignored)));
    }

    @Test
    @DisplayName("ignoring begins and ends with an edit: what was committed before goes by the former rule")
    void fromAnEditOn() throws InterruptedException {
        both("CREATE TABLE %s (id int PRIMARY KEY)", "INSERT INTO %s SELECT generate_series(1, 9)");
        var settings = new PostgresSettings(null, null, null, 0, null, null, null, null, null, null, null);
        try (var pipe = new ScenarioPipe(postgres, clickHouse, "ignoring", mappings(false, false), settings)) {
            pipe.setUp();
            pipe.load();
            pipe.start();
            both("DELETE FROM %s WHERE id = 1");
            pipe.awaitCaughtUp();
            var builds = pipe.definitions().stream().map(TableDefinition::build).toList();

            // stored, and not known to be when the worker dies: it is sent again, after the edit
            for (int i = 0; i < 3; i++) {
                CLICKHOUSE.failNext("INSERT INTO `told`", new Fault.LoseAnswer());
            }
            both("DELETE FROM %s WHERE id = 2");
            await().atMost(PATIENCE).pollInterval(Duration.ofMillis(10)).until(() -> told().equals("1 2"));
            pipe.kill();
            // not even read before the edit
            both("DELETE FROM %s WHERE id = 3");
            pipe.edit(mappings(true, true));
            pipe.start();
            awaitTakenUp(pipe, new Ignored(true, true));
            both("DELETE FROM %s WHERE id = 4", "TRUNCATE %s", "INSERT INTO %s VALUES (5), (6), (7)");
            pipe.awaitCaughtUp();
            assertThat(rows()).isEqualTo("4 5 6 7 8 9");
            assertThat(told()).isEqualTo("1 2 3");

            pipe.kill();
            both("DELETE FROM %s WHERE id = 5", "TRUNCATE %s", "INSERT INTO %s VALUES (6), (7)");
            pipe.edit(mappings(false, false));
            pipe.start();
            awaitTakenUp(pipe, Ignored.NOTHING);
            both("DELETE FROM %s WHERE id = 6");
            pipe.awaitCaughtUp();
            assertThat(rows()).isEqualTo("4 5 7 8 9");
            both("TRUNCATE %s");
            pipe.awaitCaughtUp();
            assertThat(rows()).isEmpty();
            assertThat(told()).isEqualTo("1 2 3 6 truncate");
            assertThat(pipe.definitions().stream().map(TableDefinition::build))
                    .as("nothing is built anew")
                    .containsExactlyElementsOf(builds);
        }
    }
}
