package dev.clickpipe.chaos;

import dev.clickpipe.testbed.WallClock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/**
 * Run modes as processes, one after the other, each started again when it ends, as its Deployment or Job does. They have no place
 * to write to, not even for temporary files.
 */
final class WorkerRun implements AutoCloseable {
    private static final int DONE = 0;
    private static final int STUTTERS = 100;

    private final List<String> modes;
    private final Path pipeFile;
    private final Path credentials;
    private final Path directory;
    private final boolean endless;
    private final List<Process> frozen = new ArrayList<>();
    private Process process;
    /** Of processes to come. */
    private Map<String, String> environment = Map.of();
    /** Which of the modes it is; past the last one when all are done. */
    private int at;

    private boolean closed;
    private int starts;

    /** @param endless whether the last mode's work has no end */
    WorkerRun(List<String> modes, boolean endless, Path pipeFile, Path credentials, Path directory) {
        this.modes = modes;
        this.endless = endless;
        this.pipeFile = pipeFile;
        this.credentials = credentials;
        this.directory = directory;
    }

    /** From the first mode on; only when {@link #done}, or for the first time. */
    synchronized WorkerRun start() {
        at = 0;
        startProcess();
        return this;
    }

    private void startProcess() {
        var mode = modes.get(at);
        try {
            var builder = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx96m",
                            "-XX:TieredStopAtLevel=1",
                            "-XX:+UseSerialGC",
                            "-XX:-UsePerfData",
                            "--enable-native-access=ALL-UNNAMED",
                            "--sun-misc-unsafe-memory-access=allow",
                            "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                            "-Duser.timezone=UTC",
                            "-Djava.io.tmpdir=/nowhere",
                            "-cp",
                            System.getProperty("java.class.path"),
                            "dev.clickpipe.Main",
                            mode,
                            "--pipe",
                            pipeFile.toString(),
                            "--credentials",
                            credentials.toString(),
                            "--http-port",
                            "0",
                            "--termination-message",
                            directory.resolve(mode + ".termination").toString())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log(mode).toFile()));
            builder.environment().putAll(environment);
            process = builder.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        starts++;
        var started = process;
        process.onExit().thenRun(() -> ended(started));
    }

    private Path log(String mode) {
        return directory.resolve(mode + ".log");
    }

    private synchronized void ended(Process was) {
        if (closed || was != process) {
            return;
        }
        boolean last = at == modes.size() - 1;
        if (was.exitValue() == DONE && !(last && endless)) {
            at++;
        }
        if (!done()) {
            startProcess();
        }
    }

    synchronized boolean done() {
        return at == modes.size();
    }

    synchronized int starts() {
        return starts;
    }

    /** Processes go by this clock. @param clock null: by the true one */
    synchronized void goBy(WallClock clock) {
        environment = clock == null ? Map.of() : clock.environment();
    }

    private synchronized Process running() {
        return process;
    }

    /** {@code kill -9}; another one starts. */
    void kill() {
        running().destroyForcibly();
    }

    /** The process is stopped for a few milliseconds again and again. */
    void stutter(Random random) throws InterruptedException {
        var victim = running();
        for (int i = 0; i < STUTTERS && victim.isAlive(); i++) {
            signal(victim, "STOP");
            Thread.sleep(random.nextInt(4));
            signal(victim, "CONT");
            Thread.sleep(random.nextInt(6));
        }
    }

    /** A process that does nothing any more, and is not dead; another one starts beside it. */
    synchronized Frozen freeze() {
        var old = process;
        signal(old, "STOP");
        frozen.add(old);
        if (!done()) {
            startProcess();
        }
        return new Frozen(old);
    }

    record Frozen(Process process) {
        void thaw() {
            signal(process, "CONT");
        }

        void kill() {
            process.destroyForcibly();
        }
    }

    private static void signal(Process process, String signal) {
        try {
            new ProcessBuilder("kill", "-" + signal, String.valueOf(process.pid()))
                    .start()
                    .waitFor(10, TimeUnit.SECONDS);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The last lines of each mode. */
    String log(int lines) {
        var text = new StringBuilder();
        for (var mode : modes) {
            try {
                var all = Files.readAllLines(log(mode));
                text.append(mode).append(":\n");
                all.subList(Math.max(0, all.size() - lines), all.size())
                        .forEach(line -> text.append(line).append('\n'));
            } catch (IOException e) {
                text.append(mode).append(": no log, ").append(e.getMessage()).append('\n');
            }
        }
        return text.toString();
    }

    @Override
    public synchronized void close() {
        closed = true;
        frozen.forEach(Process::destroyForcibly);
        if (process != null) {
            process.destroyForcibly();
        }
    }
}
