package dev.clickpipe.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A process and its descendants under observation: what they say and when, their CPU time and memory from /proc, looked at
 * twenty times a second.
 */
final class Measured implements AutoCloseable {
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(50);
    private static final double TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux of today
    private static final int CPU_FIELDS = 11; // utime and stime, counted behind the command's name; proc(5)

    private final String name;
    private final Process process;
    private final List<Line> lines = new ArrayList<>();
    private final Map<Long, Usage> usages = new HashMap<>();
    private final List<Long> memory = new ArrayList<>();
    private final Thread reader;

    /** @param nanos {@link System#nanoTime} when it was read */
    record Line(long nanos, String text) {}

    private record Usage(double cpuSeconds, long peakBytes) {
        /** A process that has just ended has no memory any more. */
        Usage greater(Usage other) {
            return new Usage(Math.max(cpuSeconds, other.cpuSeconds), Math.max(peakBytes, other.peakBytes));
        }
    }

    private Measured(String name, Process process) {
        this.name = name;
        this.process = process;
        this.reader = Thread.ofVirtual().start(this::read);
        Thread.ofPlatform().daemon().name("observer of " + name).start(this::observe);
    }

    /** @param environment added to ours: where a program is told a password */
    static Measured start(String name, List<String> command, Map<String, String> environment) {
        var builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        try {
            var process = builder.start();
            process.getOutputStream().close();
            Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
            return new Measured(name, process);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits for the end, which has to be a good one. */
    Measured awaitEnd() throws InterruptedException {
        if (!process.waitFor(30, TimeUnit.MINUTES) || process.exitValue() != 0) {
            throw new IllegalStateException("%s did not end well: %s".formatted(name, said()));
        }
        reader.join();
        return this;
    }

    /** Waits for a line with this text in it. */
    Line await(String text) throws InterruptedException {
        while (true) {
            boolean alive = process.isAlive();
            synchronized (lines) {
                for (var line : lines) {
                    if (line.text.contains(text)) {
                        return line;
                    }
                }
                lines.wait(20);
            }
            if (!alive && !reader.isAlive()) {
                throw new IllegalStateException("%s ended without saying \"%s\": %s".formatted(name, text, said()));
            }
        }
    }

    boolean isAlive() {
        return process.isAlive();
    }

    String said() {
        synchronized (lines) {
            return String.join("\n", lines.stream().map(Line::text).toList());
        }
    }

    /** So far, of all its processes. */
    synchronized double cpuSeconds() {
        return usages.values().stream().mapToDouble(Usage::cpuSeconds).sum();
    }

    /** Resident at most, summed over its processes. */
    synchronized long peakBytes() {
        return usages.values().stream().mapToLong(Usage::peakBytes).sum();
    }

    /** Resident bytes of all its processes, at each look. */
    synchronized List<Long> memory() {
        return List.copyOf(memory);
    }

    private void read() {
        try (var output = process.inputReader()) {
            for (var text = output.readLine(); text != null; text = output.readLine()) {
                synchronized (lines) {
                    lines.add(new Line(System.nanoTime(), text));
                    lines.notifyAll();
                }
            }
        } catch (IOException e) {
            // it was killed
        }
    }

    private void observe() {
        try {
            while (process.isAlive()) {
                look();
                Thread.sleep(BETWEEN_LOOKS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void look() {
        long resident = 0;
        for (long pid : Stream.concat(Stream.of(process.toHandle()), process.descendants())
                .map(ProcessHandle::pid)
                .toList()) {
            try {
                usages.merge(pid, new Usage(cpuSeconds(pid), status(pid, "VmHWM:")), Usage::greater);
                resident += status(pid, "VmRSS:");
            } catch (IOException e) {
                // it has ended; what was seen last stands
            }
        }
        if (resident > 0) {
            memory.add(resident);
        }
    }

    /** User and system time of one process. */
    static double cpuSeconds(long pid) throws IOException {
        var fields = statistics(pid);
        return (Long.parseLong(fields[CPU_FIELDS]) + Long.parseLong(fields[CPU_FIELDS + 1])) / TICKS_PER_SECOND;
    }

    /** User and system time of a process, its children and those it had. */
    static double cpuSecondsWithChildren(long pid) throws IOException {
        var fields = statistics(pid);
        double seconds = 0;
        for (int i = 0; i < 4; i++) {
            seconds += Long.parseLong(fields[CPU_FIELDS + i]) / TICKS_PER_SECOND;
        }
        for (long child : ProcessHandle.of(pid).stream()
                .flatMap(ProcessHandle::children)
                .map(ProcessHandle::pid)
                .toList()) {
            try {
                seconds += cpuSeconds(child);
            } catch (IOException e) {
                // it has ended just now
            }
        }
        return seconds;
    }

    static long parent(long pid) throws IOException {
        return Long.parseLong(statistics(pid)[1]);
    }

    /** The fields of /proc/PID/stat behind the command's name, which may contain anything. */
    private static String[] statistics(long pid) throws IOException {
        var text = Files.readString(Path.of("/proc", String.valueOf(pid), "stat"));
        return text.substring(text.lastIndexOf(')') + 2).split(" ");
    }

    private static long status(long pid, String field) throws IOException {
        return Files.readAllLines(Path.of("/proc", String.valueOf(pid), "status")).stream()
                .filter(line -> line.startsWith(field))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                .findFirst()
                .orElse(0);
    }

    /** SIGTERM, and what follows if that is not enough. */
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(15, TimeUnit.SECONDS)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
