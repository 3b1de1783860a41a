package dev.clickpipe.pipe;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.Postgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes the pipe file and the credential files that a worker is started with, in a directory of the test's. */
public final class TestPipe {
    private final Path directory;
    private final Postgres postgres;
    private final ClickHouse clickHouse;
    private final Map<String, String> settings = new LinkedHashMap<>();
    private final StringBuilder mappings = new StringBuilder();
    private String name = "shop";
    private String deletionPolicy = "Retain";
    private String extra = "";

    public TestPipe(Path directory, Postgres postgres, ClickHouse clickHouse) {
        this.directory = directory;
        this.postgres = postgres;
        this.clickHouse = clickHouse;
    }

    public TestPipe name(String value) {
        name = value;
        return this;
    }

    public TestPipe deletionPolicy(String value) {
        deletionPolicy = value;
        return this;
    }

    /** One of {@code spec.source.postgres.settings}. */
    public TestPipe setting(String key, Object value) {
        settings.put(key, String.valueOf(value));
        return this;
    }

    /** Takes all mappings away. */
    public TestPipe unmap() {
        mappings.setLength(0);
        return this;
    }

    /** A table into a target of its own name. */
    public TestPipe map(String source, String... fields) {
        return mapTo(source, source.substring(source.indexOf('.') + 1), fields);
    }

    /** @param fields such as {@code tableEngine: MergeTree} */
    public TestPipe mapTo(String source, String target, String... fields) {
        int dot = source.indexOf('.');
        mappings.append("    - {sourceSchemaName: '%s', sourceTable: '%s', targetTable: '%s'"
                .formatted(source.substring(0, dot), source.substring(dot + 1), target));
        for (var field : fields) {
            mappings.append(", ").append(field);
        }
        mappings.append("}\n");
        return this;
    }

    /** Lines at the end of the manifest's spec. */
    public TestPipe extra(String yaml) {
        extra = yaml;
        return this;
    }

    public Path pipeFile() {
        var yaml = new StringBuilder("""
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {name: %s, namespace: test, labels: {team: shop}}
                spec:
                  source:
                    postgres:
                      host: %s
                      port: %d
                      database: '%s'
                      credentials: {secretRef: {name: shop-postgres}}
                      settings:
                """.formatted(
                name, postgres.host(), postgres.port(), postgres.database().replace("'", "''")));
        settings.forEach((key, value) ->
                yaml.append("        ").append(key).append(": ").append(value).append('\n'));
        yaml.append("""
                  destination:
                    clickhouse: {host: %s, port: %d, database: %s, credentials: {secretRef: {name: shop-clickhouse}}}
                  deletionPolicy: %s
                  tableMappings:
                """.formatted(clickHouse.host(), clickHouse.port(), clickHouse.database(), deletionPolicy));
        yaml.append(mappings).append(extra);
        return write("pipe.yaml", yaml.toString());
    }

    /** Writes the logins as they are given to the test. */
    public Path credentialsDirectory() {
        write("postgres/username", postgres.user());
        write("postgres/password", postgres.password() + "\n");
        write("clickhouse/username", clickHouse.user());
        write("clickhouse/password", clickHouse.password());
        return directory;
    }

    public Path write(String file, String text) {
        try {
            var path = directory.resolve(file);
            Files.createDirectories(path.getParent());
            // As a kubelet does it: a worker that reads meanwhile sees the former text or this one.
            var whole = Files.writeString(path.resolveSibling(path.getFileName() + ".new"), text);
            return Files.move(whole, path, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public Pipe pipe() {
        return PipeFile.read(pipeFile());
    }

    public PostgresClient postgresClient() {
        return new PostgresClient(pipe(), new CredentialFiles(credentialsDirectory()));
    }

    public ClickHouseClient clickHouseClient() {
        return new ClickHouseClient(pipe(), new CredentialFiles(credentialsDirectory()));
    }
}
