package dev.clickpipe.bench;

import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.testbed.ClickHouse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** A pipe of ours with a ClickHouse database of its own; its workers run as their image runs them. */
final class Pipeline implements AutoCloseable {
    /**
     * What the JVM chooses by itself in a container of 256 MiB, see "ergonomics" in its documentation: the heap is given as a
     * share of that by the image's flags, and the collector for small machines is the serial one.
     */
    private static final List<String> CONTAINER = List.of("-XX:MaxRAM=256m", "-XX:+UseSerialGC");

    private static final AtomicInteger COUNT = new AtomicInteger();

    private final Servers servers;
    private final List<String> worker;
    private final TestPipe pipe;
    private final ClickHouse target;
    private final String name;

    /** @param worker the command that takes a mode as its next argument */
    Pipeline(Servers servers, List<String> worker, Path directory) {
        this.servers = servers;
        this.worker = worker;
        this.name = "bench-" + COUNT.incrementAndGet();
        var database = name.replace('-', '_');
        servers.clickHouse("default").query("CREATE DATABASE " + database + " ENGINE = Atomic");
        this.target = servers.clickHouse(database);
        this.pipe = new TestPipe(directory.resolve(name), servers.postgres(), target)
                .name(name)
                .unmap();
    }

    /** @param image the ENTRYPOINT's flags and all behind them, as the Dockerfile has them */
    static List<String> worker(List<String> image) {
        var command = new ArrayList<String>();
        command.add(ProcessHandle.current().info().command().orElseThrow());
        command.addAll(CONTAINER);
        command.addAll(image);
        return List.copyOf(command);
    }

    /** A JVM like a worker's, for a class of the bench. */
    static List<String> floor(Class<?> main) {
        return worker(List.of(
                "-XX:MaxRAMPercentage=55",
                "-Duser.timezone=UTC",
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
    }

    TestPipe pipe() {
        return pipe;
    }

    ClickHouse target() {
        return target;
    }

    /** The slot and publication that Setup makes. */
    String slot() {
        return pipe.pipe().slot();
    }

    Pipeline setUp() throws InterruptedException {
        try (var setup = start("setup")) {
            setup.awaitEnd();
        }
        return this;
    }

    /** A worker in this mode. */
    Measured start(String mode) {
        var command = new ArrayList<>(worker);
        command.addAll(List.of(
                mode,
                "--pipe",
                pipe.pipeFile().toString(),
                "--credentials",
                pipe.credentialsDirectory().toString(),
                "--http-port",
                "0"));
        return Measured.start(mode, command, Map.of());
    }

    /** Removes what it made on both sides, without a worker: that would take a second. */
    @Override
    public void close() {
        dropSlot(servers, slot());
        for (var publication : servers.postgres()
                .rows("SELECT pubname FROM pg_publication WHERE pubname LIKE '"
                        + pipe.pipe().publication() + "%'")) {
            servers.postgres().execute("DROP PUBLICATION \"" + publication.getFirst() + '"');
        }
        target.query("DROP DATABASE " + target.database() + " SYNC");
    }

    /** A slot that is still in use is taken away from its reader. */
    static void dropSlot(Servers servers, String slot) {
        servers.postgres()
                .execute(
                        "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = '"
                                + slot + "' AND active",
                        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '"
                                + slot + "'");
    }
}
