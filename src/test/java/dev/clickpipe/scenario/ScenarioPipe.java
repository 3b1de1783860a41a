package dev.clickpipe.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.api.ClickHouseDestination;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.PostgresSource;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.api.Tls;
import dev.clickpipe.api.TlsMode;
import dev.clickpipe.cdc.Cdc;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.WorkerStatus;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.snapshot.Snapshot;
import dev.clickpipe.teardown.Teardown;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.stream.Stream;
import org.awaitility.core.ConditionFactory;

/**
 * The pipe of a run: the real run modes one after the other, as the operator would start them, in this process. Besides the
 * scenario's tables it has one whose only purpose is that its row shows how far the stream is.
 */
final class ScenarioPipe implements AutoCloseable {
    static final String MARKER = "marker";
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    private final Postgres postgres;
    private final ClickHouse clickHouse;
    /** The marker's. */
    private final String schema;

    private List<TableMapping> mappings;
    private final ClickHouseClient destination;
    private final PostgresClient source;
    private Pipe pipe;
    private Worker worker;
    private int markers;
    /** What was confirmed when ClickHouse was last asked for the marker. */
    private String lookedAt;

    ScenarioPipe(
            Postgres postgres,
            ClickHouse clickHouse,
            String schema,
            List<TableMapping> mappings,
            PostgresSettings settings) {
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        this.schema = schema;
        this.mappings = withMarker(mappings);
        pipe = new Pipe("test", "scenario", UUID.randomUUID().toString(), spec(settings, null));
        var credentials = new CredentialFiles(credentials());
        source = new PostgresClient(pipe, credentials);
        destination = new ClickHouseClient(pipe, credentials);
        postgres.execute(
                "CREATE SCHEMA " + Names.postgres(schema), "CREATE TABLE " + marker() + " (id int PRIMARY KEY)");
    }

    private List<TableMapping> withMarker(List<TableMapping> tables) {
        return Stream.concat(tables.stream(), Stream.of(mapping(schema, MARKER, MARKER)))
                .toList();
    }

    /** One that says nothing but from where to where. */
    static TableMapping mapping(String schema, String table, String target) {
        return new TableMapping(
                schema, table, target, List.of(), false, List.of(), null, null, null, null, null, null, null);
    }

    private ClickPipeSpec spec(PostgresSettings settings, String resync) {
        return new ClickPipeSpec(
                new ClickPipeSpec.Source(new PostgresSource(
                        postgres.host(),
                        postgres.port(),
                        postgres.database(),
                        null,
                        new Tls(TlsMode.DISABLE, null),
                        settings)),
                mappings,
                new ClickPipeSpec.Destination(new ClickHouseDestination(
                        clickHouse.host(), clickHouse.port(), clickHouse.database(), null, null)),
                null,
                resync,
                null,
                null);
    }

    private String marker() {
        return Names.postgres(schema) + "." + MARKER;
    }

    /** As the user does, before the pipe. */
    void publish(List<String> tables) {
        postgres.execute("CREATE PUBLICATION " + Names.postgres(pipe.publication()) + " FOR TABLE "
                + String.join(", ", tables) + ", " + marker() + " WITH (publish_via_partition_root = true)");
    }

    Pipe pipe() {
        return pipe;
    }

    void setUp() throws InterruptedException {
        new Setup(pipe, source, destination).run(new Stop());
    }

    /** The load, as its Job runs it: again when something passing stopped it. */
    void load() throws InterruptedException {
        var stop = new Stop();
        while (true) {
            try {
                new Snapshot(pipe, source, destination, new SimpleMeterRegistry(), 1).run(stop);
                return;
            } catch (PipeException e) {
                if (!e.retryable()) {
                    throw e;
                }
            }
        }
    }

    void start() {
        worker = new Worker();
    }

    boolean isRunning() {
        return worker != null;
    }

    /** Ends the worker wherever it is. */
    void kill() {
        // again and again: a driver may take an interrupt for its own
        await().pollInterval(Duration.ofMillis(5)).atMost(PATIENCE).until(() -> {
            worker.thread.interrupt();
            return worker.thread.join(Duration.ofMillis(20));
        });
        worker.stop.request();
        worker = null;
    }

    /** A new token: everything is loaded anew, beside the live tables, which it is about to replace. */
    void resync() throws InterruptedException {
        pipe = new Pipe(pipe.namespace(), pipe.name(), pipe.uid(), spec(pipe.settings(), "again"));
        setUp();
        load();
    }

    void awaitSwapped() {
        waiting().until(() -> checked(definitions().stream().noneMatch(TableDefinition::replaces)));
    }

    /** Other mappings: Setup has accepted them when this returns. */
    void edit(List<TableMapping> others) throws InterruptedException {
        mappings = withMarker(others);
        pipe = new Pipe(
                pipe.namespace(),
                pipe.name(),
                pipe.uid(),
                spec(pipe.settings(), pipe.spec().resync()));
        setUp();
    }

    List<TableDefinition> definitions() {
        return new Definitions(destination, pipe).all();
    }

    /** Commits before this LSN are in the target's load; 0 where there was none. */
    long boundary(String target) {
        return definitions().stream()
                .filter(definition -> definition.target().equals(target) && definition.boundary() != null)
                .map(definition -> Lsn.parse(definition.boundary()).value())
                .findFirst()
                .orElse(0L);
    }

    /** Waits until everything that was committed is in ClickHouse, and no more is due that the load has left to the stream. */
    void awaitCaughtUp() {
        markers++;
        lookedAt = null;
        // Two transactions: the last one's row may fill a batch, and then its commit is confirmed with whatever comes
        // next.
        postgres.execute(
                "INSERT INTO " + marker() + " VALUES (" + markers + ")",
                "INSERT INTO " + marker() + " VALUES (-" + markers + ")");
        waiting().until(() -> checked(isConfirmed()));
        waiting().until(() -> checked(definitions().stream().allMatch(ScenarioPipe::isSettled)));
    }

    /** What is confirmed is in ClickHouse, of all tables; the marker's row alone says nothing of the others. */
    private boolean isConfirmed() {
        var confirmed = worker.cdc.status().replication().confirmedLsn();
        if (confirmed == null || confirmed.equals(lookedAt)) {
            return false;
        }
        lookedAt = confirmed;
        var committed = clickHouse.query("SELECT toString(bitShiftRight(max(_clickpipe_version), 64)) FROM " + MARKER
                + " WHERE id = " + markers + " HAVING count() > 0");
        return !committed.isEmpty() && Lsn.parse(confirmed).compareTo(new Lsn(Long.parseUnsignedLong(committed))) > 0;
    }

    private static boolean isSettled(TableDefinition definition) {
        return definition.failure() != null
                || definition.streaming() != null
                        && (!definition.engine().appendOnly()
                                || Objects.equals(
                                        definition.boundary(),
                                        definition.streaming().cut()));
    }

    private boolean checked(boolean done) {
        if (worker.fatal != null) {
            throw worker.fatal;
        }
        return done;
    }

    private static ConditionFactory waiting() {
        return await().atMost(PATIENCE).pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(10));
    }

    /** What the pipe says of a table; null when all is well. */
    Problem problem(String target) {
        return worker.cdc.status().tables().stream()
                .filter(table -> table.target().equals(target))
                .map(WorkerStatus.Table::problem)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
    }

    /** A worker of its own, as a process would be. */
    private final class Worker {
        private final Stop stop = new Stop();
        private final Cdc cdc = new Cdc(pipe, source, destination, new SimpleMeterRegistry());
        private volatile RuntimeException fatal;
        private final Thread thread = Thread.ofPlatform().name("worker").start(this::run);

        private void run() {
            try {
                while (!stop.requested()) {
                    try {
                        cdc.run(stop);
                    } catch (PipeException e) {
                        if (!e.retryable()) {
                            throw e;
                        }
                        stop.await(Duration.ofMillis(50));
                    }
                }
            } catch (RuntimeException e) {
                fatal = e;
            } catch (InterruptedException e) {
                // killed
            }
        }
    }

    /** As when the resource is deleted: nothing of the pipe is left in Postgres. */
    @Override
    public void close() {
        if (worker != null) {
            kill();
        }
        waiting().ignoreExceptions().until(() -> {
            new Teardown(pipe, source, destination).run(new Stop());
            return true;
        });
        destination.close();
        postgres.execute("DROP SCHEMA " + Names.postgres(schema) + " CASCADE");
        assertThat(postgres.rows("SELECT slot_name FROM pg_replication_slots WHERE slot_name = '" + pipe.ownSlot()
                        + "' UNION ALL SELECT pubname FROM pg_publication WHERE pubname IN ('" + pipe.ownPublication()
                        + "', '" + pipe.insertOnlyPublication() + "')"))
                .as("left behind")
                .isEmpty();
    }

    private Path credentials() {
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
