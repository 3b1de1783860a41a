package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.PipeFile;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.sql.SQLException;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Certificates are checked where the manifest says so, on both sides. */
class TlsIT {
    /** The certificate names localhost, not 127.0.0.1. */
    private static final char[] PASSWORD = "changeit".toCharArray();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    static Path keys;

    private static PostgresServer postgres;
    private static SSLServerSocket tunnel;

    @TempDir
    Path directory;

    private TestPipe pipe;

    @BeforeAll
    static void startServers() throws Exception {
        var ours = selfSigned("ours");
        selfSigned("another");
        postgres = PostgresServer.create(PostgresServer.DEFAULT_VERSION);
        var admin = postgres.client("postgres");
        var data = Path.of(admin.query("SHOW data_directory"));
        for (var file : List.of("server.crt", "server.key")) {
            var pem = file.endsWith("crt")
                    ? Files.readString(keys.resolve("ours.crt"))
                    : pem("PRIVATE KEY", ours.getKey("key", PASSWORD).getEncoded());
            // Written by the server, so that it owns it.
            admin.execute("COPY (SELECT unnest(string_to_array('" + pem.strip() + "', E'\\n'))) TO '"
                    + data.resolve(file) + "'");
            Files.setPosixFilePermissions(data.resolve(file), PosixFilePermissions.fromString("rw-------"));
        }
        admin.execute("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()");
        tunnel = tunnel(ours);
    }

    @AfterAll
    static void stopServers() throws IOException {
        postgres.close();
        tunnel.close();
    }

    private static KeyStore selfSigned(String name) throws Exception {
        var file = keys.resolve(name + ".p12");
        var keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
        var made = new ProcessBuilder(
                        keytool,
                        "-genkeypair",
                        "-alias",
                        "key",
                        "-keyalg",
                        "EC",
                        "-dname",
                        "CN=localhost",
                        "-ext",
                        "san=dns:localhost",
                        "-ext",
                        "bc:c",
                        "-storetype",
                        "PKCS12",
                        "-keystore",
                        file.toString(),
                        "-storepass",
                        new String(PASSWORD))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        assertThat(made.waitFor()).isZero();
        var store = KeyStore.getInstance(file.toFile(), PASSWORD);
        Files.writeString(
                keys.resolve(name + ".crt"),
                pem("CERTIFICATE", store.getCertificate("key").getEncoded()));
        return store;
    }

    private static String pem(String what, byte[] content) {
        return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
                .formatted(what, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(content), what);
    }

    /** The test bed's ClickHouse, as if it spoke TLS. */
    private static SSLServerSocket tunnel(KeyStore store) throws GeneralSecurityException, IOException {
        var managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(store, PASSWORD);
        var context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        var server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0);
        Thread.ofVirtual().start(() -> {
            while (!server.isClosed()) {
                try {
                    var client = server.accept();
                    var plain = new Socket(
                            CLICKHOUSE.client().host(), CLICKHOUSE.client().port());
                    Thread.ofVirtual().start(() -> copy(client, plain));
                    Thread.ofVirtual().start(() -> copy(plain, client));
                } catch (IOException e) {
                    // closed
                }
            }
        });
        return server;
    }

    private static void copy(Socket from, Socket to) {
        try (from;
                to) {
            from.getInputStream().transferTo(to.getOutputStream());
        } catch (IOException e) {
            // one of the two has ended
        }
    }

    @BeforeEach
    void makePipe() {
        pipe = new TestPipe(directory, postgres.client("postgres"), CLICKHOUSE.client()).map("public.t");
    }

    private CredentialFiles credentials(String server, String ca) throws IOException {
        var credentials = new CredentialFiles(pipe.credentialsDirectory());
        if (ca != null) {
            pipe.write(server + "/ca.crt", Files.readString(keys.resolve(ca + ".crt")));
        }
        return credentials;
    }

    private dev.clickpipe.pipe.Pipe edited(Map<String, String> replacements) {
        try {
            var text = Files.readString(pipe.pipeFile());
            for (var replacement : replacements.entrySet()) {
                assertThat(text).contains(replacement.getKey());
                text = text.replace(replacement.getKey(), replacement.getValue());
            }
            return PipeFile.read(pipe.write("edited.yaml", text));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "disable, 127.0.0.1, -, plain",
                "prefer, 127.0.0.1, -, tls",
                "require, 127.0.0.1, -, tls",
                "require, 127.0.0.1, another, tls",
                "verify-ca, 127.0.0.1, ours, tls",
                "verify-ca, localhost, another, refused",
                "verify-full, localhost, ours, tls",
                "verify-full, 127.0.0.1, ours, refused",
                "verify-full, localhost, another, refused",
                "verify-full, localhost, -, refused"
            })
    void postgres(String mode, String host, String ca, String expected) throws IOException, SQLException {
        var client = new PostgresClient(
                edited(Map.of(
                        "host: 127.0.0.1\n", "host: " + host + "\n",
                        "      settings:",
                                "      tls: {mode: " + mode + ", ca: {name: ca, key: ca.crt}}\n      settings:")),
                credentials("postgres", ca));
        if (expected.equals("refused")) {
            var refused = catchThrowableOfType(PipeException.class, () -> client.connect("checks"));
            assertThat(refused.problems()).extracting(Problem::reason).containsExactly("TlsFailed");
            return;
        }
        for (var connection : List.of(client.connect("checks"), client.connectReplication("checks"))) {
            try (connection;
                    var statement = connection.createStatement();
                    var rows = statement.executeQuery("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) {
                rows.next();
                assertThat(rows.getBoolean(1)).isEqualTo(expected.equals("tls"));
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "localhost, ours, works",
                "127.0.0.1, ours, refused",
                "localhost, another, refused",
                "localhost, -, refused"
            })
    void clickHouse(String host, String ca, String expected) throws IOException {
        var spec = edited(Map.of(
                "clickhouse: {host: " + CLICKHOUSE.client().host() + ", port: "
                        + CLICKHOUSE.client().port(),
                "clickhouse: {tls: {enabled: true}, host: " + host + ", port: " + tunnel.getLocalPort()));
        try (var client = new ClickHouseClient(spec, credentials("clickhouse", ca))) {
            if (expected.equals("refused")) {
                var refused = catchThrowableOfType(PipeException.class, () -> client.execute("SELECT 1"));
                assertThat(refused.problems()).extracting(Problem::reason).containsExactly("TlsFailed");
            } else {
                assertThat(client.query("SELECT 7 AS n", Map.of()).stream()
                                .map(row -> row.get("n").toString())
                                .collect(Collectors.toList()))
                        .containsExactly("7");
            }
        }
    }

    @Test
    void plainTextToATlsPortIsSaidClearly() throws IOException {
        var spec = edited(Map.of("port: " + CLICKHOUSE.client().port(), "port: " + tunnel.getLocalPort()));
        try (var client = new ClickHouseClient(spec, credentials("clickhouse", null))) {
            var refused = catchThrowableOfType(PipeException.class, () -> client.execute("SELECT 1"));
            assertThat(refused.retryable()).isTrue();
        }
    }
}
