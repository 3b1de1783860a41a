package dev.clickpipe.testbed;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ExtensionContext.StoreScope;

/**
 * The one ClickHouse of a test run, with a fresh database for each test class:
 *
 * <pre>{@code
 * @RegisterExtension
 * static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();
 * }</pre>
 *
 * With CLICKHOUSE_URL ({@code http://user:password@host:port}) in the environment it is that server, else a
 * {@link ClickHouseServer} in this process.
 */
public final class SharedClickHouse implements BeforeAllCallback, AfterAllCallback {
    static final String URL_VARIABLE = "CLICKHOUSE_URL";

    private Running running;
    private ClickHouse client;

    /** @param server empty where the environment names the server */
    private record Running(ClickHouse client, Optional<ClickHouseServer> server, Optional<Path> data)
            implements AutoCloseable {
        static Running start() {
            String url = System.getenv(URL_VARIABLE);
            if (url != null && !url.isBlank()) {
                return new Running(external(URI.create(url)), Optional.empty(), Optional.empty());
            }
            try {
                Path data = Files.createTempDirectory("clickhouse");
                var server = ClickHouseServer.start(ClickHouseServer.Options.in(data));
                return new Running(server.client("system"), Optional.of(server), Optional.of(data));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static ClickHouse external(URI url) {
            String[] user =
                    Optional.ofNullable(url.getUserInfo()).orElse("default:").split(":", 2);
            var address = URI.create("%s://%s:%d".formatted(url.getScheme(), url.getHost(), url.getPort()));
            return new ClickHouse(address, user[0], user.length > 1 ? user[1] : "", "default");
        }

        @Override
        public void close() {
            server.ifPresent(ClickHouseServer::close);
            data.ifPresent(Processes::remove);
        }
    }

    /** The server, seen from this test class's database. */
    public ClickHouse client() {
        return client;
    }

    /** See {@link ClickHouseServer#failNext}; a test that needs it is skipped on a server of the environment. */
    public void failNext(String statementPart, Fault fault) {
        assumeTrue(running.server().isPresent(), "only the test bed's own ClickHouse fails to order");
        running.server().orElseThrow().failNext(statementPart, fault);
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        if (TestClasses.isNested(context)) {
            return;
        }
        // this store closes it after the last test class of this JVM
        running = context.getStore(StoreScope.LAUNCHER_SESSION, Namespace.create(SharedClickHouse.class))
                .getOrComputeIfAbsent("clickhouse", key -> Running.start(), Running.class);
        client = running.client().withDatabase(TestClasses.databaseName(context));
        running.client().query("CREATE DATABASE " + client.database());
    }

    @Override
    public void afterAll(ExtensionContext context) {
        if (TestClasses.isNested(context)) {
            return;
        }
        running.client().query("DROP DATABASE " + client.database() + " SYNC");
    }
}
