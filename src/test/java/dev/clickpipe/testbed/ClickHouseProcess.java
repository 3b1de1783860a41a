package dev.clickpipe.testbed;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * {@link ClickHouseServer} in a process of its own, for tests in which it dies. The port and the data stay the same over
 * {@link #kill} and {@link #start}.
 */
public final class ClickHouseProcess implements AutoCloseable {
    private static final String USER = "clickpipe";
    private static final String PASSWORD = "clickpipe-secret";
    private static final long STOP_SECONDS = 30;

    private final Path directory;
    private final String host;
    private final int port;
    private final boolean ownDisk;
    private Process process;

    private ClickHouseProcess(Path directory, String host, int port, boolean ownDisk) {
        this.directory = directory;
        this.host = host;
        this.port = port;
        this.ownDisk = ownDisk;
    }

    /** Starts one on loopback with an empty data directory, which {@link #close} removes. */
    public static ClickHouseProcess create() {
        return create("127.0.0.1");
    }

    /** @param host the address it listens on */
    public static ClickHouseProcess create(String host) {
        return create(host, 0);
    }

    /** On a disk of its own, which can be {@linkplain #fillDisk filled}; that takes root. */
    public static ClickHouseProcess onDiskOf(int megabytes) {
        return create("127.0.0.1", megabytes);
    }

    private static ClickHouseProcess create(String host, int megabytes) {
        try {
            Path directory = Files.createTempDirectory("clickhouse-process");
            if (megabytes > 0) {
                Processes.run("mount", "-t", "tmpfs", "-o", "size=" + megabytes + "m", "tmpfs", directory.toString());
            }
            Files.writeString(directory.resolve("password"), PASSWORD);
            var server = new ClickHouseProcess(directory, host, FreePort.find(), megabytes > 0);
            server.start();
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns when it answers. */
    public void start() {
        var command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                ClickHouseServer.class.getName(),
                "--listen",
                host + ":" + port,
                "--data",
                directory.resolve("data").toString(),
                "--user",
                USER,
                "--password-file",
                directory.resolve("password").toString());
        try {
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            Processes.endWithUs(process);
            BufferedReader output = process.inputReader();
            if (output.readLine() == null) {
                throw new IllegalStateException("ClickHouse ended with status " + process.waitFor());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** {@code kill -9}: nothing is flushed, requests under way break. */
    public void kill() {
        process.destroyForcibly();
        awaitEnd();
    }

    /** SIGTERM: the engine closes. */
    public void stop() {
        process.destroy();
        awaitEnd();
    }

    /** Not a byte is left on its disk, until {@link #freeDisk}. */
    public void fillDisk() {
        var block = new byte[1 << 20];
        try (var out = Files.newOutputStream(ballast())) {
            for (int size = block.length; size > 0; ) {
                try {
                    out.write(block, 0, size);
                } catch (IOException e) {
                    size /= 2; // as much as there is room for
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public void freeDisk() {
        try {
            Files.deleteIfExists(ballast());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path ballast() {
        return directory.resolve("ballast");
    }

    public long pid() {
        return process.pid();
    }

    public ClickHouse client(String database) {
        return new ClickHouse(URI.create("http://" + host + ":" + port), USER, PASSWORD, database);
    }

    private void awaitEnd() {
        try {
            if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException("ClickHouse did not end in %d s".formatted(STOP_SECONDS));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        kill();
        if (ownDisk) {
            Processes.run("umount", directory.toString());
        }
        Processes.remove(directory);
    }
}
