package dev.clickpipe.testbed;

import java.net.URI;
import java.sql.SQLException;
import java.util.Optional;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ExtensionContext.StoreScope;

/**
 * A Postgres that the test run starts once a version, with a fresh database for each test class:
 *
 * <pre>{@code
 * @RegisterExtension
 * static final SharedPostgres POSTGRES = new SharedPostgres();
 * }</pre>
 *
 * With POSTGRES_URL ({@code postgresql://user:password@host:port/database}) in the environment the default version is
 * that server; the user must be a superuser there. After a class its database goes, and the replication slots in it.
 */
public final class SharedPostgres implements BeforeAllCallback, AfterAllCallback {
    static final String URL_VARIABLE = "POSTGRES_URL";

    private final int version;
    private Postgres maintenance;
    private Sessions sessions;
    private Postgres client;

    public SharedPostgres() {
        this(PostgresServer.DEFAULT_VERSION);
    }

    public SharedPostgres(int version) {
        this.version = version;
    }

    private record Running(Postgres client, Optional<PostgresServer> server) implements AutoCloseable {
        static Running start(int version) {
            String url = System.getenv(URL_VARIABLE);
            if (version == PostgresServer.DEFAULT_VERSION && url != null && !url.isBlank()) {
                return new Running(external(URI.create(url)), Optional.empty());
            }
            var server = PostgresServer.create(version);
            return new Running(server.client("postgres"), Optional.of(server));
        }

        private static Postgres external(URI url) {
            String[] user = url.getUserInfo().split(":", 2);
            int port = url.getPort() < 0 ? 5432 : url.getPort();
            return new Postgres(
                    url.getHost(), port, user[0], user[1], url.getPath().substring(1));
        }

        @Override
        public void close() {
            server.ifPresent(PostgresServer::close);
        }
    }

    /** This test class's database, as superuser. */
    public Postgres client() {
        return client;
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        if (TestClasses.isNested(context)) {
            return;
        }
        // this store closes it after the last test class of this JVM
        maintenance = context.getStore(StoreScope.LAUNCHER_SESSION, Namespace.create(SharedPostgres.class))
                .getOrComputeIfAbsent(version, Running::start, Running.class)
                .client();
        sessions = new Sessions();
        client = maintenance.withDatabase(TestClasses.databaseName(context)).with(sessions);
        maintenance.execute("CREATE DATABASE " + client.database());
    }

    @Override
    public void afterAll(ExtensionContext context) throws SQLException {
        if (TestClasses.isNested(context)) {
            return;
        }
        sessions.close();
        maintenance.execute(
                """
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '%s'""".formatted(client.database()),
                """
                SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '%s'""".formatted(client.database()),
                "DROP DATABASE %s WITH (FORCE)".formatted(client.database()));
    }
}
