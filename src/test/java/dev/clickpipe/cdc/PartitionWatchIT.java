package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.SharedPostgres;
import java.sql.Connection;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class PartitionWatchIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    private final PartitionWatch watch = new PartitionWatch();
    private Postgres postgres;
    private Connection connection;
    private TableDefinition build;

    @BeforeEach
    void partitions() throws Exception {
        postgres = POSTGRES.client();
        postgres.execute(
                "CREATE TABLE t (id int, v text) PARTITION BY RANGE (id)",
                "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)",
                "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id)",
                "CREATE TABLE \"t 2\" PARTITION OF t_2 FOR VALUES FROM (100) TO (200)",
                "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 199) i");
        connection = postgres.connect();
        build = TableDefinition.wanted(
                        "public",
                        "t",
                        Long.parseLong(postgres.rows("SELECT 't'::regclass::oid")
                                .getFirst()
                                .getFirst()),
                        "t",
                        TableEngine.ReplacingMergeTree,
                        List.of(),
                        List.of("id"),
                        List.of())
                .built(null, null, null);
        assertThat(look()).isNull();
    }

    @AfterEach
    void dropThem() throws Exception {
        connection.close();
        postgres.execute("DROP TABLE t");
    }

    private String look() throws Exception {
        var noticed = watch.look(connection, List.of(build)).get(build.build());
        return noticed == null ? null : noticed.sentence();
    }

    private String after(String... statements) throws Exception {
        postgres.execute(statements);
        return look();
    }

    @Test
    void whatTheLogTellsIsNotNoticed() throws Exception {
        assertThat(after(
                        "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM (300) TO (400)",
                        "INSERT INTO t VALUES (300, 'x')",
                        "CREATE TABLE t_4 (LIKE t)",
                        "ALTER TABLE t ATTACH PARTITION t_4 FOR VALUES FROM (400) TO (500)",
                        "INSERT INTO t VALUES (400, 'x')"))
                .isNull();
        assertThat(after("VACUUM FULL t_1")).isNull();
        assertThat(after("TRUNCATE t")).isNull();
        assertThat(after("TRUNCATE t_1", "DROP TABLE t_3", "INSERT INTO t VALUES (1, 'x')"))
                .isNull();
    }

    @Test
    void rowsThatCome() throws Exception {
        assertThat(after(
                        "CREATE TABLE t_3 (LIKE t)",
                        "INSERT INTO t_3 VALUES (300, 'x')",
                        "ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM (300) TO (400)"))
                .contains("table public.t", "partition t_3 was attached with rows", "resync");
    }

    @Test
    void rowsThatGo() throws Exception {
        assertThat(after("TRUNCATE \"t 2\"", "INSERT INTO t VALUES (150, 'x')"))
                .contains("partition \"t 2\" was truncated by itself");
        assertThat(after("ALTER TABLE t DETACH PARTITION t_1")).contains("partition t_1 was detached or dropped");
        assertThat(after("DROP TABLE \"t 2\"", "DROP TABLE t_1")).contains("partition \"t 2\" was detached or dropped");
        assertThat(look()).as("until the table is built anew").isNotNull();
    }
}
