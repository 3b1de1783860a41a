package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A real Postgres on loopback, ready for logical replication, with password logins only. Port and data stay the same
 * over {@link #stop}, {@link #kill} and {@link #start()}. Data is not flushed to disk: it survives the server, not the
 * machine.
 */
public final class PostgresServer implements AutoCloseable {
    public static final List<Integer> VERSIONS = List.of(14, 15, 16, 17, 18);
    public static final int DEFAULT_VERSION = 17;

    private static final String USER = "clickpipe";
    private static final String PASSWORD = "clickpipe-secret";
    private static final Duration START_LIMIT = Duration.ofSeconds(60);
    private static final long STOP_SECONDS = 60;

    private final Path home;
    private final Path directory;
    private final int port;
    private Process postmaster;

    private PostgresServer(Path home, Path directory, int port) {
        this.home = home;
        this.directory = directory;
        this.port = port;
    }

    private static final String EXTENSIONS_VARIABLE = "CLICKPIPE_POSTGRES_EXTENSIONS";

    public enum StopMode {
        /** Ends sessions and waits for replication clients to have everything. */
        FAST,
        /** Ends at once; the next start recovers. */
        IMMEDIATE
    }

    public static PostgresServer create(int version) {
        return create(version, Map.of());
    }

    /**
     * Makes and starts a new server, which {@link #close} removes.
     *
     * @param settings of postgresql.conf, on top of the test bed's
     */
    public static PostgresServer create(int version, Map<String, String> settings) {
        return create(PostgresBinaries.find(version), settings);
    }

    /** One that has pgvector and PostGIS; empty where it is not to be had, and that has then been printed. */
    public static Optional<PostgresServer> withExtensions() {
        var home = System.getenv(EXTENSIONS_VARIABLE);
        if (home == null || !Files.isRegularFile(Path.of(home, "bin", "postgres"))) {
            System.out.println("NOT CHECKED HERE: the types of pgvector and PostGIS. Needs " + EXTENSIONS_VARIABLE
                    + " (is: " + home + "); dev/test provides it");
            return Optional.empty();
        }
        return Optional.of(create(Path.of(home), Map.of()));
    }

    private static PostgresServer create(Path home, Map<String, String> settings) {
        try {
            Path directory = Files.createTempDirectory("postgres-" + home.getFileName() + "-");
            var server = new PostgresServer(home, directory, FreePort.find());
            server.initialise(settings);
            server.start();
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Makes a standby, not started yet, of this server, which must be stopped. It has the replication slots of this server, as they
     * are now.
     */
    public PostgresServer standby() {
        try {
            Path copy = Files.createTempDirectory("postgres-standby-");
            Processes.giveAway(copy.toString());
            var standby = new PostgresServer(home, copy, FreePort.find());
            Processes.run("cp", "-a", data().toString(), standby.data().toString());
            Files.writeString(
                    standby.data().resolve("postgresql.auto.conf"),
                    "port = '%d'%nprimary_conninfo = 'host=%s port=%d user=%s password=%s'%n"
                            .formatted(standby.port, host(), port, USER, PASSWORD),
                    StandardOpenOption.APPEND);
            Files.createFile(standby.data().resolve("standby.signal"));
            return standby;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes a standby a server of its own. */
    public void promote() {
        client("postgres").rows("SELECT pg_promote()");
    }

    private void initialise(Map<String, String> settings) throws IOException {
        Path passwordFile = Files.writeString(directory.resolve("password"), PASSWORD);
        Processes.giveAway(directory.toString());
        Processes.run(Processes.unprivileged(List.of(
                program("initdb"),
                "--pgdata=" + data(),
                "--username=" + USER,
                "--pwfile=" + passwordFile,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync")));
        var lines = new ArrayList<String>();
        configuration(settings).forEach((name, value) -> lines.add("%s = '%s'".formatted(name, value)));
        Files.write(data().resolve("postgresql.auto.conf"), lines);
        // for tests that listen on more than loopback; the address decides who gets here
        Files.write(
                data().resolve("pg_hba.conf"),
                List.of("host all all all scram-sha-256", "host replication all all scram-sha-256"));
    }

    private Map<String, String> configuration(Map<String, String> settings) {
        var configuration = new LinkedHashMap<String, String>();
        configuration.put("listen_addresses", "127.0.0.1");
        configuration.put("port", String.valueOf(port));
        configuration.put("unix_socket_directories", "");
        configuration.put("wal_level", "logical");
        configuration.put("max_replication_slots", "20");
        configuration.put("max_wal_senders", "20");
        configuration.put("max_connections", "200");
        configuration.put("max_prepared_transactions", "20");
        configuration.put("fsync", "off");
        configuration.put("full_page_writes", "off");
        configuration.put("timezone", "UTC");
        configuration.put("log_line_prefix", "%m [%p] %a ");
        configuration.putAll(settings);
        return configuration;
    }

    /** Starts it again after {@link #stop} or {@link #kill}; returns when it accepts logins. */
    public void start() {
        Instant limit = Instant.now().plus(START_LIMIT);
        do {
            try {
                postmaster = new ProcessBuilder(
                                Processes.unprivileged(List.of(program("postgres"), "-D", data().toString())))
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.appendTo(log().toFile()))
                        .start();
                Processes.endWithUs(postmaster);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            // after a kill the server's children may still hold its shared memory: then it ends at once
        } while (!acceptsLogins(limit) && Instant.now().isBefore(limit));
        if (!postmaster.isAlive()) {
            throw new IllegalStateException("Postgres did not start: " + logText());
        }
    }

    private boolean acceptsLogins(Instant limit) {
        while (Instant.now().isBefore(limit)) {
            try (var connection = client("postgres").connect()) {
                return connection.isValid(0);
            } catch (SQLException e) {
                pause();
                if (!postmaster.isAlive()) {
                    return false;
                }
            }
        }
        throw new IllegalStateException("Postgres accepts no logins: " + logText());
    }

    private static void pause() {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    public void stop(StopMode mode) {
        Processes.run(Processes.unprivileged(List.of(
                program("pg_ctl"),
                "stop",
                "--pgdata=" + data(),
                "--mode=" + mode.name().toLowerCase(),
                "--timeout=" + STOP_SECONDS)));
        awaitEnd();
    }

    public void restart() {
        stop(StopMode.FAST);
        start();
    }

    /** {@code kill -9} of the postmaster; its children notice and end. */
    public void kill() {
        postmaster.destroyForcibly();
        awaitEnd();
    }

    private void awaitEnd() {
        try {
            if (!postmaster.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalStateException("Postgres did not end in %d s".formatted(STOP_SECONDS));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Copies the files of a server that is stopped: what {@link #restore} brings back, replication slots and all. */
    public void backUp() {
        Processes.run("cp", "-a", data().toString(), backup().toString());
    }

    /** A server that is stopped is as it was at {@link #backUp}. */
    public void restore() {
        Processes.remove(data());
        Processes.run("cp", "-a", backup().toString(), data().toString());
    }

    /** Starts a server that is stopped as a standby and promotes it: from here on it writes another timeline. */
    public void startPromoted() {
        try {
            Files.createFile(data().resolve("standby.signal"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Processes.giveAway(data().toString());
        start();
        client("postgres").rows("SELECT pg_promote(true, 60)");
    }

    private Path backup() {
        return directory.resolve("backup");
    }

    public String host() {
        return "127.0.0.1";
    }

    public int port() {
        return port;
    }

    public String user() {
        return USER;
    }

    public String password() {
        return PASSWORD;
    }

    /** As superuser; the database {@code postgres} is always there. */
    public Postgres client(String database) {
        return new Postgres(host(), port, USER, PASSWORD, database);
    }

    public Postgres createDatabase(String name) {
        client("postgres").execute("CREATE DATABASE \"%s\"".formatted(name));
        return client(name);
    }

    /** What the server has logged since it was made. */
    public String logText() {
        try {
            return Files.exists(log()) ? Files.readString(log()) : "";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path data() {
        return directory.resolve("data");
    }

    private Path log() {
        return directory.resolve("log");
    }

    private String program(String name) {
        return home.resolve("bin").resolve(name).toString();
    }

    @Override
    public void close() {
        if (postmaster != null && postmaster.isAlive()) {
            stop(StopMode.IMMEDIATE);
        }
        Processes.remove(directory);
    }
}
