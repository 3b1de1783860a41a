package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The time of day as processes see it, which can be moved while they run: by libfaketime (Debian package {@code faketime}). As
 * when an administrator or a virtual machine sets it, the monotonic clock is not touched.
 */
public final class WallClock {
    private final Path file;
    private final Path library;

    /** @param file where it is kept how far it is off */
    public WallClock(Path file) {
        this.file = file;
        this.library = library();
        set(Duration.ZERO);
    }

    /** For processes that are to go by this clock. */
    public Map<String, String> environment() {
        return Map.of(
                "LD_PRELOAD", library.toString(),
                "FAKETIME_TIMESTAMP_FILE", file.toString(),
                "FAKETIME_CACHE_DURATION", "1",
                "NO_FAKE_STAT", "1",
                "FAKETIME_DONT_FAKE_MONOTONIC", "1",
                "DONT_FAKE_MONOTONIC", "1");
    }

    /** Within a second it is that far off the true time. */
    public void set(Duration off) {
        try {
            var text = Files.writeString(
                    file.resolveSibling(file.getFileName() + ".new"), "%+d".formatted(off.toSeconds()));
            Files.move(text, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path library() {
        try (var architectures = Files.list(Path.of("/usr/lib"))) {
            return Stream.concat(Stream.of(Path.of("/usr/lib")), architectures)
                    .map(directory -> directory.resolve("faketime/libfaketime.so.1"))
                    .filter(Files::exists)
                    .findFirst()
                    .orElseThrow(() -> new IllegalStateException(
                            "libfaketime.so.1 is not there: install the package faketime, as dev/test does"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
