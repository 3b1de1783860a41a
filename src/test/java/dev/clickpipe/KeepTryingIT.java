package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.clickpipe.cdc.Cdc;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.TestPipe;
import dev.clickpipe.pipe.WorkerStatus.State;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.testbed.Postgres;
import dev.clickpipe.testbed.PostgresServer;
import dev.clickpipe.testbed.SharedClickHouse;
import dev.clickpipe.testbed.TableComparison;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** A worker that keeps trying comes back by itself when a person has mended the cause. */
class KeepTryingIT {
    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    @TempDir
    Path directory;

    private final Stop stop = new Stop();

    @Test
    void fromARevokedPermissionAndARotatedPassword() throws Exception {
        try (var server = PostgresServer.create(PostgresServer.DEFAULT_VERSION)) {
            var admin = server.createDatabase("shop");
            admin.execute(
                    "CREATE ROLE keeper LOGIN REPLICATION PASSWORD 'first'",
                    "CREATE TABLE kept (id int PRIMARY KEY)",
                    "GRANT SELECT ON kept TO keeper");
            var asAdmin = new TestPipe(directory, admin, CLICKHOUSE.client())
                    .setting("replicationMode", "cdc_only")
                    .setting("syncIntervalSeconds", 1)
                    .map("public.kept");
            var pipe = asAdmin.pipe();
            var credentials = new CredentialFiles(asAdmin.credentialsDirectory());
            try (var clickHouse = new ClickHouseClient(pipe, credentials)) {
                new Setup(pipe, new PostgresClient(pipe, credentials), clickHouse).run(new Stop());
                asAdmin.write("postgres/username", "keeper");
                asAdmin.write("postgres/password", "first");
                var worker = worker(pipe, credentials, clickHouse);
                var run = new FutureTask<>(worker::run);
                Thread.ofVirtual().start(run);
                arrives(admin, 1);
                assertThat(worker.status().state()).isEqualTo(State.Working);

                admin.execute("ALTER ROLE keeper NOREPLICATION");
                end(admin);
                awaitState(worker, State.Failed, "PermissionDenied");
                admin.execute("ALTER ROLE keeper REPLICATION");
                arrives(admin, 2);
                awaitState(worker, State.Working, null);

                admin.execute("ALTER ROLE keeper PASSWORD 'second'");
                end(admin);
                awaitState(worker, State.Retrying, "LoginRefused");
                asAdmin.write("postgres/password", "second");
                arrives(admin, 3);
                awaitState(worker, State.Working, null);

                stop.request();
                assertThat(run.get().exitCode()).isEqualTo(ExitCode.OK);
            }
        }
    }

    private WorkerProcess worker(Pipe pipe, CredentialFiles credentials, ClickHouseClient clickHouse) {
        return new WorkerProcess(
                new Cdc(pipe, new PostgresClient(pipe, credentials), clickHouse, new SimpleMeterRegistry()),
                true,
                Duration.ofMillis(500),
                stop);
    }

    private static void arrives(Postgres postgres, int id) {
        postgres.execute("INSERT INTO kept VALUES (" + id + ")");
        await().atMost(Duration.ofSeconds(40))
                .untilAsserted(() -> TableComparison.between(postgres, "kept", CLICKHOUSE.client(), "kept")
                        .assertEqual());
    }

    /** The connections of the worker. */
    private static void end(Postgres postgres) {
        postgres.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'keeper'");
    }

    private static void awaitState(WorkerProcess worker, State state, String reason) {
        await().atMost(Duration.ofSeconds(30)).until(() -> {
            var status = worker.status();
            return status.state() == state
                    && (status.problem() == null
                            ? reason == null
                            : status.problem().reason().equals(reason));
        });
    }
}
