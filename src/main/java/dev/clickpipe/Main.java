package dev.clickpipe;

import dev.clickpipe.cdc.Cdc;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.inspect.Inspect;
import dev.clickpipe.operator.OperatorMain;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.ExitCode;
import dev.clickpipe.pipe.Logging;
import dev.clickpipe.pipe.Mode;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.PipeFile;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.StatusServer;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.resync.Resync;
import dev.clickpipe.setup.Setup;
import dev.clickpipe.snapshot.Snapshot;
import dev.clickpipe.teardown.Teardown;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.TimeZone;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

/**
 * One program, several run modes. {@code operator} is the controller; the others are a pipe's workers, which the controller
 * starts in pods and people start by hand. Workers don't start Quarkus: half the memory, and they are there at once.
 */
@Command(
        name = "clickpipe",
        sortOptions = false,
        description =
                "Replicates Postgres into ClickHouse. Exit codes: 0 done, 2 wrong usage, 10 refused or impossible, 11 may work next time.")
public final class Main {
    /** Kubernetes is told to wait longer; a person who typed Ctrl-C should not. */
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(8);

    private enum RunMode {
        setup,
        snapshot,
        cdc,
        resync,
        inspect,
        teardown
    }

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Shows this.")
    private boolean help;

    @Parameters(
            paramLabel = "MODE",
            description =
                    "setup: check both sides, make tables, publication and slot. snapshot: load what is not loaded. cdc: replicate changes. resync: swap what was loaded beside live tables, where cdc does not run. inspect: look at the slot. teardown: remove what the pipe made. (operator: the Kubernetes controller, without these options.)")
    private RunMode mode;

    @Option(names = "--pipe", required = true, paramLabel = "FILE", description = "The ClickPipe manifest, YAML.")
    private Path pipeFile;

    @Option(
            names = "--credentials",
            required = true,
            paramLabel = "DIR",
            description =
                    "Has postgres/username, postgres/password, clickhouse/username, clickhouse/password, and ca.crt beside them for a CA. Reread at every login.")
    private Path credentials;

    @Option(
            names = "--http-port",
            defaultValue = "8080",
            paramLabel = "PORT",
            description = "Serves /status, /metrics and /healthz; 0: any free port. Default: ${DEFAULT-VALUE}.")
    private int httpPort;

    @Option(
            names = "--log-format",
            defaultValue = "text",
            description = "${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}. The log goes to standard error.")
    private Logging.Format logFormat;

    @Option(
            names = "--keep-trying",
            description =
                    "cdc: where it would exit with 10, says so at /status and tries again every 20 seconds, until the cause is mended.")
    private boolean keepTrying;

    @Option(
            names = "--workers",
            defaultValue = "1",
            paramLabel = "N",
            description =
                    "snapshot: how many are started for this load, this one included, each with that number; they share the work. Default: ${DEFAULT-VALUE}.")
    private int workers;

    @Option(
            names = "--termination-message",
            paramLabel = "FILE",
            description = "Where to write the outcome as JSON when it ends.")
    private Path terminationFile;

    private Main() {}

    public static void main(String[] args) {
        if (args.length > 0 && args[0].equals("operator")) {
            OperatorMain.run(Arrays.copyOfRange(args, 1, args.length));
            return;
        }
        // pgjdbc asks the server for timestamps in the JVM's zone.
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        var main = new Main();
        var commandLine = new CommandLine(main);
        try {
            var parsed = commandLine.parseArgs(args);
            if (CommandLine.printHelpIfRequested(parsed)) {
                System.exit(ExitCode.OK.code());
            }
        } catch (ParameterException e) {
            System.err.println(
                    "clickpipe: " + e.getMessage().lines().findFirst().orElse("wrong usage") + " (see --help)");
            System.exit(ExitCode.USAGE.code());
        }
        var exitCode = new CompletableFuture<ExitCode>();
        var stop = new Stop();
        stopOnSignal(stop, exitCode);
        try {
            exitCode.complete(main.work(stop));
        } finally {
            exitCode.complete(ExitCode.RETRYABLE); // an Error, of memory say: the hook need not wait
        }
        System.exit(exitCode.join().code());
    }

    /** SIGTERM and SIGINT run the shutdown hooks; the exit code would be the signal's, were it not for halt. */
    private static void stopOnSignal(Stop stop, CompletableFuture<ExitCode> exitCode) {
        var worker = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stop.request();
            try {
                exitCode.get(STOP_PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            } catch (TimeoutException e) {
                worker.interrupt();
            } catch (InterruptedException | ExecutionException e) {
                // it ends anyway
            }
            Runtime.getRuntime()
                    .halt(exitCode.completeOnTimeout(ExitCode.RETRYABLE, 1, TimeUnit.SECONDS)
                            .join()
                            .code());
        }));
    }

    private ExitCode work(Stop stop) {
        Logging.start(logFormat, mode.name());
        var outcome = run(stop);
        if (terminationFile != null) {
            try {
                Files.write(terminationFile, outcome.termination().json());
            } catch (IOException e) {
                LoggerFactory.getLogger(Main.class).warn("{} can't be written: {}", terminationFile, e.toString());
            }
        }
        return outcome.exitCode();
    }

    private WorkerProcess.Outcome run(Stop stop) {
        var log = LoggerFactory.getLogger(Main.class);
        try {
            var pipe = PipeFile.read(pipeFile, mode != RunMode.cdc);
            var files = new CredentialFiles(credentials);
            var postgres = new PostgresClient(pipe, files);
            var meters = meters();
            try (var clickHouse = new ClickHouseClient(pipe, files)) {
                Mode work =
                        switch (mode) {
                            case setup -> new Setup(pipe, postgres, clickHouse);
                            case snapshot -> new Snapshot(pipe, postgres, clickHouse, meters, workers);
                            case cdc -> new Cdc(pipe, postgres, clickHouse, meters);
                            case resync -> new Resync(pipe, postgres, clickHouse);
                            case inspect -> new Inspect(pipe, postgres);
                            case teardown -> new Teardown(pipe, postgres, clickHouse);
                        };
                var process = new WorkerProcess(
                        work, mode == RunMode.cdc, keepTrying ? WorkerProcess.UNTIL_MENDED : null, stop);
                try (var http = new StatusServer(httpPort, process::status, meters)) {
                    log.info(
                            "pipe {}: {} → {}, http port {}",
                            pipe,
                            postgres.object(),
                            clickHouse.object(),
                            http.port());
                    return process.run();
                }
            }
        } catch (PipeException e) {
            return usage(e.problems());
        } catch (IOException e) {
            return usage(List.of(new Problem(
                    "PortTaken", "http port " + httpPort, String.valueOf(e.getMessage()), "Give another --http-port")));
        }
    }

    private static WorkerProcess.Outcome usage(List<Problem> problems) {
        problems.forEach(
                problem -> LoggerFactory.getLogger(Main.class).error("{}: {}", problem.reason(), problem.sentence()));
        return new WorkerProcess.Outcome(ExitCode.USAGE, Termination.failed(problems, false, null));
    }

    private static PrometheusMeterRegistry meters() {
        var meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        new JvmMemoryMetrics().bindTo(meters);
        new ProcessorMetrics().bindTo(meters);
        new UptimeMetrics().bindTo(meters);
        return meters;
    }
}
