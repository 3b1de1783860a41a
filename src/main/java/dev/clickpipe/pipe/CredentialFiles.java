package dev.clickpipe.pipe;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The directory of credentials: {@code DIR/postgres} and {@code DIR/clickhouse}, each with the files {@code username},
 * {@code password} and, where a CA is given, {@code ca.crt}. Files are read at every call, because a mounted Secret's files
 * change in place when it is rotated. Thread-safe.
 */
public final class CredentialFiles {
    private final Path directory;

    public CredentialFiles(Path directory) {
        this.directory = directory;
    }

    /** @throws PipeException fatal, when a file is missing or can't be read */
    public Login postgres() {
        return login("postgres");
    }

    /** @throws PipeException fatal, when a file is missing or can't be read */
    public Login clickHouse() {
        return login("clickhouse");
    }

    /** The PEM file with the CA that signed the Postgres server's certificate; empty when none is given. */
    public Optional<Path> postgresCa() {
        return ca("postgres");
    }

    /** The PEM file with the CA that signed the ClickHouse server's certificate; empty when none is given. */
    public Optional<Path> clickHouseCa() {
        return ca("clickhouse");
    }

    private Login login(String server) {
        return new Login(read(server, "username"), read(server, "password"));
    }

    private Optional<Path> ca(String server) {
        var file = directory.resolve(server).resolve("ca.crt");
        return Files.isRegularFile(file) ? Optional.of(file) : Optional.empty();
    }

    private String read(String server, String name) {
        var file = directory.resolve(server).resolve(name);
        try {
            // Files made with an editor or `echo` end in a line feed that is no part of the value.
            return Files.readString(file).replaceFirst("\\R\\z", "");
        } catch (IOException e) {
            throw PipeException.fatal(
                    new Problem(
                            "CredentialsMissing",
                            "credentials file " + file,
                            "cannot be read: " + e.getClass().getSimpleName(),
                            "Put the " + server + " " + name
                                    + " into it, or point --credentials to the directory that has it"),
                    e);
        }
    }
}
