package dev.clickpipe.testbed;

import java.nio.file.Path;
import java.util.Optional;

/** Where the test bed keeps what is costly to get: engines and unpacked binaries. */
final class CacheDirectory {
    private CacheDirectory() {}

    /** {@code $CLICKPIPE_CACHE}, else {@code $XDG_CACHE_HOME/clickpipe}, else {@code ~/.cache/clickpipe}. */
    static Path path() {
        return environment("CLICKPIPE_CACHE")
                .or(() -> environment("XDG_CACHE_HOME").map(cache -> cache.resolve("clickpipe")))
                .orElseGet(() -> Path.of(System.getProperty("user.home"), ".cache", "clickpipe"));
    }

    private static Optional<Path> environment(String name) {
        return Optional.ofNullable(System.getenv(name))
                .filter(value -> !value.isBlank())
                .map(Path::of);
    }
}
