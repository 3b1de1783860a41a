package dev.clickpipe.cdc;

import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.ClickHouseDestination;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.ColumnMapping;
import dev.clickpipe.api.Credentials;
import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.PostgresSource;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.api.Tls;
import dev.clickpipe.api.TlsMode;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.Manifests;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.snapshot.Snapshot;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.TableComparison;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/**
 * A pipe under test: the real Setup makes it, and a worker follows its slot in this process, retrying as the runner does. Closing
 * it stops the worker and drops the slot.
 */
final class TestPipe implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final Duration NEVER = Duration.ofDays(1);
    /** Through SQL alone, in stretches that end anywhere in the transactions. */
    static final CatchUp.Limits ALWAYS_CATCHING_UP = new CatchUp.Limits(0, 0, 20_000);

    /** {@code -Dclickpipe.test.catchUp=true}, by hand: every test so. */
    private static final CatchUp.Limits CATCH_UP =
            Boolean.getBoolean("clickpipe.test.catchUp") ? ALWAYS_CATCHING_UP : CatchUp.Limits.USUAL;

    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final Pipe pipe;
    private final ClickHouseClient client;
    private final PostgresClient source;
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final Definitions definitions;
    private final Duration longestHold;
    private final CatchUp.Limits catchUp;
    private Worker worker;

    private TestPipe(
            Postgres postgres, ClickHouse clickHouse, Pipe pipe, Duration longestHold, CatchUp.Limits catchUp) {
        this.longestHold = longestHold;
        this.catchUp = catchUp;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.pipe = pipe;
        var credentials = new CredentialFiles(credentials(postgres, clickHouse));
        this.client = new ClickHouseClient(pipe, credentials);
        this.source = new PostgresClient(pipe, credentials);
        this.definitions = new Definitions(client, pipe);
    }

    /** What a test says of its pipe; the rest is as users get it, except that batches are sent at once. */
    static final class Builder {
        private final Postgres postgres;
        private final ClickHouse clickHouse;
        private final List<TableMapping> mappings = new ArrayList<>();
        private int batchRows = 100_000;
        private int intervalSeconds;
        private Integer chunkRows;
        private boolean nullable = true;
        private ReplicationMode mode = ReplicationMode.CDC_ONLY;
        private String publication = "";
        private CatchUp.Limits catchUp = CATCH_UP;
        private Duration longestHold = NEVER;

        Builder(Postgres postgres, ClickHouse clickHouse) {
            this.postgres = postgres;
            this.clickHouse = clickHouse;
        }

        Builder table(String name) {
            return table(name, TableEngine.ReplacingMergeTree);
        }

        Builder table(String name, TableEngine engine, String... excluded) {
            return table(name, engine, List.of(), excluded);
        }

        Builder table(String name, TableEngine engine, List<ColumnMapping> columns, String... excluded) {
            mappings.add(new TableMapping(
                    "public",
                    name,
                    name,
                    List.of(excluded),
                    false,
                    List.of(),
                    engine,
                    null,
                    null,
                    columns,
                    null,
                    null,
                    null));
            return this;
        }

        Builder sortedBy(String name, String... columns) {
            mappings.add(new TableMapping(
                    "public",
                    name,
                    name,
                    List.of(),
                    true,
                    List.of(columns),
                    TableEngine.ReplacingMergeTree,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null));
            return this;
        }

        /** How far behind it has to be to read through SQL. */
        Builder catchUp(CatchUp.Limits limits) {
            catchUp = limits;
            return this;
        }

        /** How long it waits for a load that does not begin. */
        Builder longestHold(Duration hold) {
            longestHold = hold;
            return this;
        }

        Builder batchRows(int rows) {
            batchRows = rows;
            return this;
        }

        Builder chunkRows(int rows) {
            chunkRows = rows;
            return this;
        }

        /** {@link TestPipe#load} first. */
        Builder loaded() {
            mode = ReplicationMode.CDC;
            return this;
        }

        /** One that the user made. */
        Builder publication(String name) {
            publication = name;
            return this;
        }

        Builder intervalSeconds(int seconds) {
            intervalSeconds = seconds;
            return this;
        }

        Builder nullable(boolean allowed) {
            nullable = allowed;
            return this;
        }

        /** Runs Setup; the worker is not started. */
        TestPipe setUp() throws InterruptedException {
            var settings = new PostgresSettings(
                    mode, publication, null, intervalSeconds, batchRows, null, chunkRows, null, nullable, null, null);
            var login = new Credentials(new Credentials.SecretRef("unused", null, null));
            var spec = new ClickPipeSpec(
                    new ClickPipeSpec.Source(new PostgresSource(
                            postgres.host(),
                            postgres.port(),
                            postgres.database(),
                            login,
                            new Tls(TlsMode.DISABLE, null),
                            settings)),
                    mappings,
                    new ClickPipeSpec.Destination(new ClickHouseDestination(
                            clickHouse.host(), clickHouse.port(), clickHouse.database(), login, null)),
                    null,
                    null,
                    null,
                    null);
            var pipe = new TestPipe(
                    postgres,
                    clickHouse,
                    new Pipe("test", "cdc", UUID.randomUUID().toString(), spec),
                    longestHold,
                    catchUp);
            new Setup(pipe.pipe, pipe.source, pipe.client).run(new Stop());
            return pipe;
        }

        TestPipe start() throws InterruptedException {
            var pipe = setUp();
            pipe.start();
            return pipe;
        }
    }

    /** A worker of its own, as a process would be. */
    private final class Worker {
        private final Stop stop = new Stop();
        private final Cdc cdc = new Cdc(pipe, source, client, meters, Duration.ofMillis(500), longestHold, catchUp);
        private final Thread thread = Thread.ofPlatform().name("worker").start(this::run);
        private volatile PipeException fatal;
        private volatile PipeException retried;

        private void run() {
            try {
                while (!stop.requested()) {
                    try {
                        cdc.run(stop);
                    } catch (PipeException e) {
                        if (!e.retryable()) {
                            fatal = e;
                            return;
                        }
                        retried = e;
                        stop.await(Duration.ofMillis(100));
                    }
                }
            } catch (InterruptedException e) {
                // killed
            }
        }

        private void end() {
            try {
                thread.join(Duration.ofSeconds(10));
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            if (thread.isAlive()) {
                var stuck = new AssertionError("the worker does not end");
                stuck.setStackTrace(thread.getStackTrace());
                throw stuck;
            }
        }
    }

    /** A load beside the stream, as its Job: run again when it fails, until it is done or killed. */
    final class Loader {
        private final Snapshot snapshot = new Snapshot(pipe, source, client, new SimpleMeterRegistry(), 1);
        private final Thread thread = Thread.ofPlatform().name("loader").start(this::run);
        private volatile boolean done;
        private volatile RuntimeException fatal;

        private void run() {
            while (!done) {
                try {
                    snapshot.run(new Stop());
                    done = true;
                } catch (PipeException e) {
                    if (!e.retryable()) {
                        fatal = e;
                        return;
                    }
                } catch (RuntimeException e) {
                    fatal = e;
                    return;
                } catch (InterruptedException e) {
                    return;
                }
            }
        }

        WorkerStatus status() {
            return snapshot.status();
        }

        boolean isDone() {
            return done;
        }

        /** Waits until so many rows are read of a table that is not loaded whole. */
        void awaitRows(String target, long rows) {
            await().atMost(PATIENCE)
                    .pollInterval(Duration.ofMillis(5))
                    .until(() -> done
                            || status().tables().stream()
                                    .anyMatch(table -> table.target().equals(target) && table.rows() >= rows));
        }

        void awaitRows(long rows) {
            await().atMost(PATIENCE)
                    .pollInterval(Duration.ofMillis(5))
                    .until(() ->
                            done || status().load() != null && status().load().rows() >= rows);
        }

        void awaitDone() {
            await().atMost(PATIENCE).until(() -> {
                if (fatal != null) {
                    throw fatal;
                }
                return done;
            });
        }

        /** Ends it wherever it is. */
        void kill() {
            await().pollInterval(Duration.ofMillis(20)).atMost(PATIENCE).until(() -> {
                thread.interrupt();
                return thread.join(Duration.ofMillis(10));
            });
        }
    }

    Loader startLoad() {
        return new Loader();
    }

    List<TableDefinition> definitions() {
        return definitions.all();
    }

    /** The one of that target. */
    TableDefinition definition(String target) {
        return definitions().stream()
                .filter(definition -> definition.target().equals(target))
                .findFirst()
                .orElseThrow();
    }

    /** What Setup does of a table that is mapped later. */
    TableDefinition add(String table, TableEngine engine) {
        return add(table, table, engine);
    }

    TableDefinition add(String target, String table, TableEngine engine) {
        return publish(make(table, target, engine, null), null);
    }

    PostgresClient source() {
        return source;
    }

    Manifests manifests() {
        return new Manifests(client, pipe);
    }

    void forget(TableDefinition definition) {
        definitions.forget(definition);
    }

    /** Waits until nothing is due that the load has left to the stream. */
    void awaitSettled() {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(50)).until(() -> definitions().stream()
                .allMatch(definition -> definition.streaming() != null
                        && (!definition.engine().appendOnly()
                                || Objects.equals(
                                        definition.boundary(),
                                        definition.streaming().cut()))));
    }

    /** Waits until every replacement has taken its place. */
    void awaitSwapped() {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(50)).until(() -> definitions().stream()
                .noneMatch(TableDefinition::replaces));
    }

    /** Stands for the process. */
    Object worker() {
        return worker;
    }

    /** What Setup does of a table that is to be built anew. */
    TableDefinition rebuild(String table) {
        var live = definition(table);
        var made = make(table, table + "_resync", live.engine(), live.request());
        return publish(
                made,
                new TableDefinition.Replacement(
                        table, TargetTable.uuid(client, made.target()).orElseThrow()));
    }

    /** What Setup does of a table that is not mapped any more. */
    void remove(String table) {
        postgres.execute("ALTER PUBLICATION " + pipe.publication() + " DROP TABLE " + table);
        definitions.forget(definition(table));
    }

    private TableDefinition make(String table, String target, TableEngine engine, TableDefinition.Request request) {
        try (var connection = source.connect("test")) {
            var found = Catalogue.table(connection, "public", table).orElseThrow();
            var excluded =
                    request == null ? List.<String>of() : request.layout().excludedColumns();
            var columns = found.columns().stream()
                    .filter(column -> !excluded.contains(column.name()))
                    .map(column -> TableDefinition.Column.of(column, true))
                    .toList();
            var wanted = TableDefinition.wanted(
                    "public",
                    table,
                    found.relid(),
                    target,
                    engine,
                    found.identityColumns(),
                    engine.appendOnly() ? List.of() : found.primaryKey(),
                    columns);
            client.execute(TargetTable.createStatement(
                    wanted, null, TargetTable.engine(wanted, true), TargetTable.comment(pipe, wanted)));
            return request == null ? wanted : wanted.built(request, null, null);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private TableDefinition publish(TableDefinition made, TableDefinition.Replacement replacement) {
        var publication = pipe.settings().ownsPublication() && made.keyColumns().isEmpty()
                ? pipe.insertOnlyPublication()
                : pipe.publication();
        if (postgres.rows("SELECT 1 FROM pg_publication WHERE pubname = '" + publication + "'")
                .isEmpty()) {
            postgres.execute("CREATE PUBLICATION " + publication + " FOR TABLE " + made.sourceTable()
                    + " WITH (publish = 'insert, truncate', publish_via_partition_root = true)");
        } else if (postgres.rows("SELECT 1 FROM pg_publication_tables WHERE pubname = '" + publication
                        + "' AND tablename = '" + made.sourceTable() + "'")
                .isEmpty()) {
            postgres.execute("ALTER PUBLICATION " + publication + " ADD TABLE " + made.sourceTable());
        }
        var ran = postgres.query("SELECT pg_snapshot_xmax(pg_current_snapshot())");
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> "t"
                .equals(postgres.query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= " + ran)));
        var from = postgres.query("SELECT pg_current_wal_insert_lsn()");
        var built = made.built(made.request(), replacement, new TableDefinition.Publishing(publication, from));
        definitions.record(built);
        return built;
    }

    /** The initial load, to its end. */
    void load() throws InterruptedException {
        new Snapshot(pipe, source, client, meters, 1).run(new Stop());
    }

    void start() {
        worker = new Worker();
    }

    /** As SIGTERM does. */
    void stop() {
        worker.stop.request();
        worker.end();
        worker = null;
    }

    /** Ends the worker wherever it is, without any chance to finish anything. */
    void kill() {
        // again and again: a driver may take an interrupt for its own
        await().pollInterval(Duration.ofMillis(20)).atMost(PATIENCE).until(() -> {
            worker.thread.interrupt();
            return worker.thread.join(Duration.ofMillis(10));
        });
        worker.stop.request();
        worker = null;
    }

    void restart() {
        kill();
        start();
    }

    WorkerStatus status() {
        return worker.cdc.status();
    }

    Pipe pipe() {
        return pipe;
    }

    SimpleMeterRegistry meters() {
        return meters;
    }

    /** Waits for the worker to give up. */
    PipeException awaitFatal() {
        return await().atMost(PATIENCE).until(() -> worker.fatal, fatal -> fatal != null);
    }

    /** Waits for the worker to meet something transient. */
    PipeException awaitRetry() {
        return await().atMost(PATIENCE).until(() -> worker.retried, retried -> retried != null);
    }

    TableComparison comparison(String table) {
        return comparison(table, table);
    }

    TableComparison comparison(String table, String target) {
        return TableComparison.between(postgres, table, clickHouse, '`' + target + '`');
    }

    /** Waits until the tables in ClickHouse equal those in Postgres. */
    void awaitEqual(String... tables) {
        for (var table : tables) {
            awaitEqual(comparison(table));
        }
    }

    void awaitEqual(TableComparison comparison) {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(50)).untilAsserted(() -> {
            if (worker != null && worker.fatal != null) {
                throw worker.fatal;
            }
            comparison.assertEqual();
        });
    }

    /** Waits until Postgres knows that everything written so far is in ClickHouse. */
    void awaitConfirmed() {
        var written = postgres.query("SELECT pg_current_wal_lsn()");
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(50)).until(() -> "t"
                .equals(postgres.query("SELECT confirmed_flush_lsn >= '" + written
                        + "' FROM pg_replication_slots WHERE slot_name = '" + pipe.slot() + "'")));
    }

    /** The server ends a stream a moment after the worker that read it. */
    void awaitSlotFree() {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(() -> "f"
                .equals(postgres.query(
                        "SELECT active FROM pg_replication_slots WHERE slot_name = '" + pipe.slot() + "'")));
    }

    @Override
    public void close() {
        if (worker != null) {
            stop();
        }
        client.close();
        await().atMost(PATIENCE).ignoreExceptions().until(() -> {
            postgres.rows("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '"
                    + pipe.slot() + "'");
            return true;
        });
    }

    private static Path credentials(Postgres postgres, ClickHouse clickHouse) {
        try {
            var directory = Files.createTempDirectory("credentials");
            write(directory.resolve("postgres"), postgres.user(), postgres.password());
            write(directory.resolve("clickhouse"), clickHouse.user(), clickHouse.password());
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void write(Path directory, String user, String password) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve("username"), user);
        Files.writeString(directory.resolve("password"), password);
    }
}
