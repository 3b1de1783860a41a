package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The real single-node cluster of {@code dev/cluster}, under the name {@code test}, and {@code kubectl} on it. What listens
 * on {@link #nodeAddress} is reached from its pods at that address.
 */
public final class Cluster implements AutoCloseable {
    private static final Path DEV = Path.of("dev").toAbsolutePath();
    private static final String NAME = "test";
    private static final Pattern EXPORT = Pattern.compile("export (\\w+)=(.*)");

    private final Map<String, String> environment;
    private final FileChannel lock;

    private Cluster(Map<String, String> environment, FileChannel lock) {
        this.environment = environment;
        this.lock = lock;
    }

    /** Starts it afresh; {@link #close} takes it down. There is one on a machine: who wants it, too, waits until then. */
    public static Cluster start() {
        var lock = lock();
        try {
            run(Map.of(), "", DEV + "/cluster", "down", "--name", NAME);
            run(Map.of(), "", DEV + "/cluster", "up", "--name", NAME);
            return new Cluster(
                    run(Map.of(), "", DEV + "/cluster", "env", "--name", NAME)
                            .lines()
                            .map(EXPORT::matcher)
                            .filter(java.util.regex.Matcher::matches)
                            .collect(Collectors.toMap(export -> export.group(1), export -> expand(export.group(2)))),
                    lock);
        } catch (RuntimeException e) {
            release(lock);
            throw e;
        }
    }

    private static FileChannel lock() {
        try {
            var file = Files.createDirectories(CacheDirectory.path()).resolve("test-cluster.lock");
            var channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            channel.lock(); // let go with the channel, or the process
            return channel;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void release(FileChannel lock) {
        try {
            lock.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String expand(String value) {
        return value.replace("$PATH", System.getenv("PATH"));
    }

    public String nodeAddress() {
        return environment.get("CLICKPIPE_NODE_ADDRESS");
    }

    public Path kubeconfig() {
        return Path.of(environment.get("KUBECONFIG"));
    }

    /** Builds the operator's image from {@code target/quarkus-app} and loads it; its name. */
    public String loadOperatorImage() {
        Map<String, String> built = run(Map.of(), "", DEV + "/image")
                .lines()
                .map(line -> line.split("=", 2))
                .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
        run(Map.of(), "", DEV + "/cluster", "load", built.get("ARCHIVE"), "--name", NAME);
        return built.get("IMAGE");
    }

    /** What kubectl prints; an exception with its own words when it fails. */
    public String kubectl(String... arguments) {
        return kubectlWith("", arguments);
    }

    /** {@code kubectl} with something on its standard input: {@code apply -f -}. */
    public String kubectlWith(String input, String... arguments) {
        var command = new ArrayList<>(List.of("kubectl"));
        command.addAll(Arrays.asList(arguments));
        return run(environment, input, command.toArray(String[]::new)).strip();
    }

    /** Lets what runs in a pod stand still; pods are processes of this machine. */
    public Suspended suspend(String pod) {
        var processes = ProcessHandle.allProcesses()
                .filter(process -> isOfPod(process, pod))
                .map(ProcessHandle::pid)
                .toList();
        if (processes.isEmpty()) {
            throw new AssertionError("no process of pod " + pod);
        }
        processes.forEach(process -> signal("STOP", process));
        return () -> processes.forEach(process -> signal("CONT", process));
    }

    /** Until it is closed. */
    public interface Suspended extends AutoCloseable {
        @Override
        void close();
    }

    private static void signal(String signal, long process) {
        Processes.run("kill", "-" + signal, String.valueOf(process));
    }

    private static boolean isOfPod(ProcessHandle process, String pod) {
        try {
            var environment = Files.readString(
                    Path.of("/proc", String.valueOf(process.pid()), "environ"), StandardCharsets.ISO_8859_1);
            return List.of(environment.split("\0")).contains("HOSTNAME=" + pod);
        } catch (IOException e) {
            return false; // it has ended
        }
    }

    @Override
    public void close() {
        try {
            run(Map.of(), "", DEV + "/cluster", "down", "--name", NAME);
        } finally {
            release(lock);
        }
    }

    /** Standard output; standard error is progress, shown when the command fails. */
    private static String run(Map<String, String> environment, String input, String... command) {
        try {
            Path errors = Files.createTempFile("cluster", ".err");
            // by env, so that the command itself is found on the PATH of this environment
            var words = new ArrayList<>(List.of("env"));
            environment.forEach((name, value) -> words.add(name + "=" + value));
            words.addAll(Arrays.asList(command));
            var process =
                    new ProcessBuilder(words).redirectError(errors.toFile()).start();
            try (var stdin = process.getOutputStream()) {
                stdin.write(input.getBytes(StandardCharsets.UTF_8));
            }
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int status = process.waitFor();
            String said = Files.readString(errors);
            Files.delete(errors);
            if (status != 0) {
                throw new IllegalStateException(
                        "%s ended with %d: %s%s".formatted(List.of(command), status, output, said));
            }
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
