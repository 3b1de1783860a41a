package dev.clickpipe.pipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.api.DeletionPolicy;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TlsMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PipeFileTest {
    private static final String MANIFEST = """
            apiVersion: clickpipe.dev/v1alpha1
            kind: ClickPipe
            metadata:
              name: shop
              namespace: sales
              uid: 0d3f6a52-0b5e-4c3a-9f54-cb0df3f0a111
              labels: {team: a}
            spec:
              source:
                postgres:
                  host: db.example
                  database: shop
                  credentials: {secretRef: {name: pg}}
                  tls: {mode: verify-ca, ca: {name: ca, key: ca.crt}}
                  settings: {replicationMode: cdc_only}
              tableMappings:
                - {sourceSchemaName: public, sourceTable: orders, targetTable: orders}
              destination:
                clickhouse: {host: ch.example, database: shop, credentials: {secretRef: {name: ch}}}
              deletionPolicy: Delete
              workers: {resources: {requests: {cpu: 100m, memory: 256Mi}}}
            status: {phase: Running, whatever: 1}
            """;

    @TempDir
    Path directory;

    @Test
    void readsAManifestAsTheClusterHasIt() throws IOException {
        var pipe = read(MANIFEST);

        assertThat(pipe).hasToString("sales/shop");
        assertThat(pipe.uid()).startsWith("0d3f6a52");
        assertThat(pipe.settings().replicationMode()).isEqualTo(ReplicationMode.CDC_ONLY);
        assertThat(pipe.spec().source().postgres().port()).isEqualTo(5432);
        assertThat(pipe.spec().source().postgres().tls().mode()).isEqualTo(TlsMode.VERIFY_CA);
        assertThat(pipe.spec().deletionPolicy()).isEqualTo(DeletionPolicy.Delete);
        assertThat(pipe.slot()).isEqualTo("clickpipe_shop_0d3f6a52_slot");
    }

    @Test
    void withoutAClusterNamespaceAndUidAreMadeUpTheSameEachTime() throws IOException {
        var manifest = MANIFEST.replaceAll("(?m)^  (uid|namespace):.*\n", "");

        assertThat(read(manifest)).hasToString("default/shop").isEqualTo(read(manifest));
    }

    @Test
    void passesOverOtherDocumentsOfTheFile() throws IOException {
        var secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: pg}\nstringData: {username: a}\n---\n";

        assertThat(read(secret + MANIFEST)).hasToString("sales/shop");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "host: db.example|hots: db.example|spec.source.postgres.hots: unknown field; known here: credentials, database, host",
                "host: db.example|x: 1|spec.source.postgres.x: unknown field",
                "host: db.example||lacks spec.source.postgres.host",
                "replicationMode: cdc_only|replicationMode: CDC|spec.source.postgres.settings.replicationMode: \"CDC\" is none of cdc, snapshot, cdc_only",
                "replicationMode: cdc_only|pullBatchSize: '7'|spec.source.postgres.settings.pullBatchSize: ",
                "sourceTable: orders, |''|lacks spec.tableMappings[0].sourceTable",
                "sourceTable: orders|sourceTabel: orders|spec.tableMappings[0].sourceTabel: unknown field",
                "deletionPolicy: Delete|deletionPolicy: Retain, a: b|mapping values are not allowed here",
                "deletionPolicy: Delete|deletionPolicy: Delete⏎deletionPolicy: Delete|Duplicate",
                "clickpipe.dev/v1alpha1|apps/v1|holds no ClickPipe"
            })
    void refusesWithTheFieldsPath(String text, String instead, String message) throws IOException {
        var manifest = MANIFEST.replace(text, instead == null ? "" : instead.replace("⏎", "\n  "));
        assertThat(manifest).isNotEqualTo(MANIFEST);

        assertThat(refused(manifest).problems()).singleElement().satisfies(problem -> {
            assertThat(problem.reason()).isEqualTo("InvalidPipeFile");
            assertThat(problem.object()).contains("pipe.yaml");
            assertThat(problem.message()).contains(message);
        });
    }

    @Test
    void refusesTwoPipesAndNone() throws IOException {
        assertThat(refused(MANIFEST + "---\n" + MANIFEST)).hasMessageContaining("holds 2 ClickPipes");
        assertThat(refused("")).hasMessageContaining("holds no ClickPipe");
        var missing = catchThrowableOfType(PipeException.class, () -> PipeFile.read(directory.resolve("nowhere")));
        assertThat(missing).hasMessageContaining("cannot be read: NoSuchFileException");
    }

    private PipeException refused(String manifest) throws IOException {
        var file = Files.writeString(directory.resolve("pipe.yaml"), manifest);
        var refused = catchThrowableOfType(PipeException.class, () -> PipeFile.read(file));
        assertThat(refused).as("it is refused").isNotNull();
        assertThat(refused.retryable()).isFalse();
        return refused;
    }

    private Pipe read(String manifest) throws IOException {
        return PipeFile.read(Files.writeString(directory.resolve("pipe.yaml"), manifest));
    }
}
