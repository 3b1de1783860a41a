package dev.clickpipe.setup;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** A Postgres database that belongs to the pipe's role, and a ClickHouse database, for one test. */
record World(Postgres admin, Postgres role, ClickHouse clickHouse, TestPipe pipe) {
    private static final AtomicInteger NUMBER = new AtomicInteger();

    static World create(Postgres server, ClickHouse clickHouse, Path directory) {
        var name = "setup_%d_%d".formatted(ProcessHandle.current().pid(), NUMBER.incrementAndGet());
        server.execute(
                "CREATE ROLE %s LOGIN REPLICATION PASSWORD 'hush-%s'".formatted(name, name),
                "CREATE DATABASE %s OWNER %s".formatted(name, name));
        var admin = server.withDatabase(name);
        var role = new Postgres(server.host(), server.port(), name, "hush-" + name, name);
        clickHouse.query("CREATE DATABASE " + name);
        var target = clickHouse.withDatabase(name);
        // Slots are the server's, and named after the pipe.
        return new World(admin, role, target, new TestPipe(directory, role, target).name("shop-" + NUMBER.get()));
    }

    void destroy() {
        var maintenance = admin.withDatabase("postgres");
        maintenance
                .rows("SELECT slot_name FROM pg_replication_slots WHERE database = '" + admin.database()
                        + "' OR slot_type = 'physical'")
                .forEach(row -> maintenance.execute("SELECT pg_drop_replication_slot('" + row.getFirst() + "')"));
        maintenance.execute(
                "DROP DATABASE IF EXISTS " + admin.database() + " WITH (FORCE)", "DROP ROLE IF EXISTS " + role.user());
        clickHouse.withDatabase("system").query("DROP DATABASE IF EXISTS " + clickHouse.database() + " SYNC");
    }

    World source(String... sql) {
        role.execute(sql);
        return this;
    }

    World admin(String... sql) {
        admin.execute(sql);
        return this;
    }

    World destination(String... sql) {
        for (var statement : sql) {
            clickHouse.query(statement);
        }
        return this;
    }

    World orders() {
        source("CREATE TABLE orders (id int PRIMARY KEY, state text NOT NULL, amount numeric(10, 2))");
        pipe.map("public.orders");
        return this;
    }

    Setup setup() {
        return new Setup(pipe.pipe(), pipe.postgresClient(), pipe.clickHouseClient());
    }

    void run() throws InterruptedException {
        setup().run(new Stop());
    }

    List<Problem> refusal() {
        var refused = catchThrowableOfType(PipeException.class, this::run);
        assertThat(refused).as("it is refused").isNotNull();
        return refused.problems();
    }

    /** All that Setup could leave on either side. */
    Map<String, Object> remains() {
        return Map.of(
                "slots",
                admin.rows("SELECT slot_name, plugin, confirmed_flush_lsn FROM pg_replication_slots WHERE database = '"
                        + admin.database() + "' ORDER BY 1"),
                "publications",
                admin.rows(
                        "SELECT p.pubname, p.pubinsert, p.pubupdate, p.pubviaroot, string_agg(t.tablename, ',' ORDER BY t.tablename) FROM pg_publication p LEFT JOIN pg_publication_tables t USING (pubname) GROUP BY 1, 2, 3, 4 ORDER BY 1"),
                "targets",
                clickHouse
                        .withDatabase("system")
                        .rows("SELECT name, create_table_query, uuid FROM tables WHERE database = '"
                                + clickHouse.database() + "' AND NOT startsWith(name, '_clickpipe_') ORDER BY 1"));
    }

    List<List<String>> state() {
        return Stream.of("_clickpipe_tables", "_clickpipe_offsets")
                .flatMap(table -> clickHouse.rows("SELECT * FROM " + table + " FINAL ORDER BY ALL").stream())
                .toList();
    }
}
