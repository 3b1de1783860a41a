package dev.clickpipe.snapshot;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;

import dev.clickpipe.Main;
import dev.clickpipe.api.ClickHouseDestination;
import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.PostgresSettings;
import dev.clickpipe.api.PostgresSource;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.Catalogue;
import dev.clickpipe.postgres.LoadTurn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.SnapshotSession;
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
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;

/** A pipe between a test's databases, with targets and definitions as its setup leaves them, to be loaded. */
final class LoadedPipe implements AutoCloseable {
    final Pipe pipe;
    final PostgresClient source;
    final ClickHouseClient destination;
    final Definitions definitions;
    private final Path directory;
    private final Postgres postgres;
    private final ClickHouse clickHouse;

    LoadedPipe(Path directory, Postgres postgres, ClickHouse clickHouse) {
        this(directory, postgres, clickHouse, ReplicationMode.CDC);
    }

    /** Chunks of about 1000 rows, four readers, two tables at once. */
    LoadedPipe(Path directory, Postgres postgres, ClickHouse clickHouse, ReplicationMode mode) {
        this(directory, postgres, clickHouse, mode, UUID.randomUUID().toString());
    }

    LoadedPipe(Path directory, Postgres postgres, ClickHouse clickHouse, ReplicationMode mode, String uid) {
        this(directory, postgres, clickHouse, mode, uid, List.of());
    }

    /** @param mappings for what of them concerns the load alone */
    LoadedPipe(
            Path directory,
            Postgres postgres,
            ClickHouse clickHouse,
            ReplicationMode mode,
            String uid,
            List<TableMapping> mappings) {
        this.directory = directory;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
        var settings = new PostgresSettings(mode, null, null, null, null, 4, 1000, 2, true, true, true);
        pipe = new Pipe(
                "tests",
                "load",
                uid,
                new ClickPipeSpec(
                        new ClickPipeSpec.Source(new PostgresSource(
                                postgres.host(), postgres.port(), postgres.database(), null, null, settings)),
                        mappings,
                        new ClickPipeSpec.Destination(new ClickHouseDestination(
                                clickHouse.host(), clickHouse.port(), clickHouse.database(), null, null)),
                        null,
                        null,
                        null,
                        null));
        credentials(directory.resolve("postgres"), postgres.user(), postgres.password());
        credentials(directory.resolve("clickhouse"), clickHouse.user(), clickHouse.password());
        var credentials = new CredentialFiles(directory);
        source = new PostgresClient(pipe, credentials);
        destination = new ClickHouseClient(pipe, credentials);
        definitions = new Definitions(destination, pipe);
        definitions.create();
        new ChunkLedger(destination, pipe).create();
    }

    private static void credentials(Path directory, String user, String password) {
        try {
            Files.createDirectories(directory);
            Files.writeString(directory.resolve("username"), user);
            Files.writeString(directory.resolve("password"), password);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes the target, of the source's name, and records the definition. */
    LoadedPipe table(String schema, String name, TableEngine engine, String... targetSettings) {
        try (var connection = source.connect("test")) {
            var table = Catalogue.table(connection, schema, name).orElseThrow();
            var columns = table.columns().stream()
                    .map(column -> TableDefinition.Column.of(column, true))
                    .toList();
            var key = engine.appendOnly() ? List.<String>of() : table.primaryKey();
            var definition = TableDefinition.wanted(
                            schema, name, table.relid(), name, engine, table.identityColumns(), key, columns)
                    .built(null, null, null);
            destination.execute("CREATE TABLE " + identifier(name) + " ("
                    + columns.stream()
                            .map(column -> identifier(column.name()) + " " + column.clickHouseType())
                            .collect(Collectors.joining(", ", "", ", "))
                    + SystemColumns.VERSION + " " + SystemColumns.VERSION_TYPE + ", "
                    + SystemColumns.IS_DELETED + " " + SystemColumns.IS_DELETED_TYPE + ", "
                    + SystemColumns.SYNCED_AT + " " + SystemColumns.SYNCED_AT_TYPE
                    + (engine.appendOnly()
                            ? ", " + SystemColumns.OPERATION + " " + SystemColumns.OPERATION_TYPE + ", "
                                    + SystemColumns.COMMITTED_AT + " " + SystemColumns.COMMITTED_AT_TYPE
                            : "")
                    + ") ENGINE = "
                    + (engine.appendOnly()
                            ? "MergeTree ORDER BY tuple()"
                            : "ReplacingMergeTree(_clickpipe_version, _clickpipe_is_deleted) ORDER BY "
                                    + key.stream()
                                            .map(ClickHouseClient::identifier)
                                            .collect(Collectors.joining(", ", "(", ")")))
                    + (targetSettings.length == 0 ? "" : " SETTINGS " + String.join(", ", targetSettings)));
            definitions.all().stream()
                    .filter(former -> former.target().equals(name))
                    .forEach(definitions::forget);
            definitions.record(definition);
            return this;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    TableDefinition definition(String name) {
        return definitions.all().stream()
                .filter(definition -> definition.sourceTable().equals(name))
                .findFirst()
                .orElseThrow();
    }

    Snapshot snapshot() {
        return new Snapshot(pipe, source, destination, new SimpleMeterRegistry(), 1);
    }

    /** @param longestSession see {@link Snapshot} */
    Snapshot snapshot(Duration longestSession) {
        return new Snapshot(pipe, source, destination, new SimpleMeterRegistry(), 1, longestSession);
    }

    /** One of so many workers on the load. */
    Snapshot snapshot(int workers) {
        return new Snapshot(pipe, source, destination, new SimpleMeterRegistry(), workers);
    }

    /** A session of another worker, which reads nothing. */
    SnapshotSession session() {
        try (var turn =
                LoadTurn.take(source, pipe, false, problem -> {}, new Stop()).orElseThrow()) {
            return turn.open(problem -> {}, new Stop()).orElseThrow();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A process that loads, one of so many. */
    Process worker(int workers) throws IOException {
        var manifest = Files.writeString(directory.resolve("pipe.yaml"), """
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {namespace: tests, name: load, uid: %s}
                spec:
                  source:
                    postgres:
                      host: %s
                      port: %d
                      database: %s
                      credentials: {secretRef: {name: unused}}
                      settings: {snapshotNumRowsPerPartition: 1000, snapshotNumberOfParallelTables: 2}
                  tableMappings:
                    - {sourceSchemaName: public, sourceTable: killed, targetTable: killed}
                  destination:
                    clickhouse: {host: %s, port: %d, database: %s, credentials: {secretRef: {name: unused}}}
                """.formatted(
                        pipe.uid(),
                        postgres.host(),
                        postgres.port(),
                        postgres.database(),
                        clickHouse.host(),
                        clickHouse.port(),
                        clickHouse.database()));
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx64m",
                        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                        "--enable-native-access=ALL-UNNAMED",
                        "--sun-misc-unsafe-memory-access=allow",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Main.class.getName(),
                        "snapshot",
                        "--workers",
                        String.valueOf(workers),
                        "--pipe",
                        manifest.toString(),
                        "--credentials",
                        directory.toString(),
                        "--http-port",
                        "0")
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(
                        directory.resolve("log").toFile()))
                .start();
    }

    Snapshot load() throws InterruptedException {
        var snapshot = snapshot();
        snapshot.run(new Stop());
        return snapshot;
    }

    TableComparison compare(String schema, String table) {
        return TableComparison.between(
                postgres, "\"" + schema + "\".\"" + table.replace("\"", "\"\"") + "\"", clickHouse, identifier(table));
    }

    /** What the ledger says of a target by its last plan. */
    List<List<String>> ledger(String target, String select) {
        var ofTable = " FROM _clickpipe_chunks FINAL WHERE pipe = '" + pipe.uid() + "' AND build = "
                + ClickHouseClient.literal(definition(target).build());
        return clickHouse.rows("SELECT " + select + " FROM (SELECT *" + ofTable
                + " AND generation = (SELECT max(generation)" + ofTable + ") ORDER BY chunk)");
    }

    @Override
    public void close() {
        destination.close();
    }
}
