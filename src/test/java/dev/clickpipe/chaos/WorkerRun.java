package dev.clickpipe.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A run mode as a process, started again when it ends, as its Deployment or Job does. */
final class WorkerRun implements AutoCloseable {
    private static final int DONE = 0;
    private static final int FATAL = 10;

    private final String mode;
    private final Path pipeFile;
    private final Path credentials;
    private final Path log;
    private final boolean endless;
    private final List<Process> frozen = new ArrayList<>();
    private Process process;
    private boolean closed;
    private boolean done;
    private int starts;

    WorkerRun(String mode, boolean endless, Path pipeFile, Path credentials, Path directory) {
        this.mode = mode;
        this.endless = endless;
        this.pipeFile = pipeFile;
        this.credentials = credentials;
        this.log = directory.resolve(mode + ".log");
    }

    synchronized WorkerRun start() {
        try {
            process = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx96m",
                            "-XX:TieredStopAtLevel=1",
                            "-XX:+UseSerialGC",
                            "--enable-native-access=ALL-UNNAMED",
                            "--sun-misc-unsafe-memory-access=allow",
                            "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                            "-Duser.timezone=UTC",
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
                            log.resolveSibling(mode + ".termination").toString())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        starts++;
        var started = process;
        process.onExit().thenRun(() -> ended(started));
        return this;
    }

    private synchronized void ended(Process was) {
        if (closed || was != process) {
            return;
        }
        if (!endless && was.exitValue() == DONE) {
            done = true;
        } else {
            start();
        }
    }

    synchronized boolean done() {
        return done;
    }

    synchronized int starts() {
        return starts;
    }

    /** It said that it can't go on: nothing of what is struck here is such. */
    synchronized boolean refused() {
        return !process.isAlive() && process.exitValue() == FATAL;
    }

    /** {@code kill -9}; another one starts. */
    void kill() {
        Process victim;
        synchronized (this) {
            victim = process;
        }
        victim.destroyForcibly();
    }

    /** A process that does nothing any more, and is not dead; another one starts beside it. */
    synchronized Frozen freeze() {
        var old = process;
        signal(old, "STOP");
        frozen.add(old);
        start();
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

    /** Its last lines. */
    String log(int lines) {
        try {
            var all = Files.readAllLines(log);
            return String.join("\n", all.subList(Math.max(0, all.size() - lines), all.size()));
        } catch (IOException e) {
            return "no log: " + e.getMessage();
        }
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
