package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Child processes, as whom and how. */
final class Processes {
    /** Debian's nobody and nogroup. */
    private static final String UNPRIVILEGED_ID = "65534";

    private Processes() {}

    static boolean isRoot() {
        return System.getProperty("user.name").equals("root");
    }

    /** Runs to the end; anything but status 0 is an exception with what the command said. */
    static String run(String... command) {
        return run(List.of(command));
    }

    static String run(List<String> command) {
        try {
            var process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int status = process.waitFor();
            if (status != 0) {
                throw new IllegalStateException("%s ended with %d: %s".formatted(command, status, output));
            }
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** The command as nobody, when we are root; the process stays the same, so its id is the command's. */
    static List<String> unprivileged(List<String> command) {
        if (!isRoot()) {
            return command;
        }
        var asNobody = List.of("setpriv", "--reuid=" + UNPRIVILEGED_ID, "--regid=" + UNPRIVILEGED_ID, "--clear-groups");
        return Stream.concat(asNobody.stream(), command.stream()).toList();
    }

    /** A run that is interrupted leaves no server behind. */
    static void endWithUs(Process process) {
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    }

    /** Removes a directory that a dying server may still be leaving. */
    static void remove(Path directory) {
        run("rm", "-rf", directory.toString());
    }

    /** Gives a directory to whom {@link #unprivileged} runs as. */
    static void giveAway(String directory) {
        if (isRoot()) {
            run("chown", "-R", UNPRIVILEGED_ID + ":" + UNPRIVILEGED_ID, directory);
        }
    }
}
