package dev.clickpipe.testbed;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/**
 * ClickHouse's HTTP interface over the real engine, for machines that have no ClickHouse server. The official clients
 * work on it unmodified. One engine runs in a process, on one data directory: tests share {@link SharedClickHouse}, and
 * {@link ClickHouseProcess} runs it as a child, to be killed.
 *
 * <p>Like a server: storage, merges, mutations, deduplication, settings, statement parameters, sessions, streamed
 * inserts and results, compression, error codes, statuses and summaries, KILL QUERY, data that survives {@code kill -9}.
 *
 * <p>Unlike a server:
 *
 * <ul>
 *   <li>One user, whose name and password this class checks; the engine runs all as {@code default}: no grants, no
 *       quotas, no row policies.
 *   <li>The database {@code default} is an Overlay: create tables in a database of your own.
 *   <li>No Replicated engines (the first insert ends the process), no ON CLUSTER, no native protocol on port 9000.
 *   <li>No {@code system.query_log} and {@code part_log}. In {@code system.processes} a query's id is the engine's own;
 *       the request's is {@code Settings['log_comment']}, unless the request sets {@code log_comment} itself, and then
 *       KILL QUERY finds it by that.
 *   <li>Asynchronous inserts are inserted at once.
 *   <li>{@code INSERT … SELECT … FROM input()} begins when its data is there as a whole.
 *   <li>Formats that have a frame around all rows are answered whole, not streamed. A query with an empty result in
 *       RowBinaryWithNames runs twice, to get the header.
 *   <li>Multipart requests are refused. X-ClickHouse-Progress headers are not sent.
 *   <li>{@code file()} reads whatever the process may read: listen on loopback or on a test network only.
 * </ul>
 */
public final class ClickHouseServer implements AutoCloseable {
    private static final int BACKLOG = 512;

    private final HttpServer http;
    private final ExecutorService threads;
    private final ClickHouseHandler handler;
    private final Options options;

    /**
     * @param data the engine's directory, kept over restarts
     * @param library {@code libchdb.so}
     * @param listen port 0 takes a free one
     */
    public record Options(Path data, Path library, InetSocketAddress listen, String user, String password) {
        /** On loopback and a free port, with the library of the environment or the cache. */
        public static Options in(Path data) {
            return new Options(
                    data,
                    ChdbLibrary.locate(),
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                    "clickpipe",
                    "clickpipe-secret");
        }
    }

    private ClickHouseServer(HttpServer http, ExecutorService threads, ClickHouseHandler handler, Options options) {
        this.http = http;
        this.threads = threads;
        this.handler = handler;
        this.options = options;
    }

    public static ClickHouseServer start(Options options) {
        // read once by the JDK's server: answers leave at once, and idle connections outlive the clients' pools
        System.setProperty("sun.net.httpserver.nodelay", "true");
        System.setProperty("sun.net.httpserver.idleInterval", "600");
        ExecutorService threads = EngineThreads.pool("clickhouse");
        try {
            Files.createDirectories(options.data());
            var http = HttpServer.create(options.listen(), BACKLOG);
            var credentials = new ClickHouseRequest.Credentials(options.user(), options.password());
            var handler = await(threads.submit(
                    () -> new ClickHouseHandler(ChdbLibrary.load(options.library()), options.data(), credentials)));
            http.setExecutor(threads);
            http.createContext("/", handler);
            http.start();
            return new ClickHouseServer(http, threads, handler, options);
        } catch (IOException e) {
            throw new UncheckedIOException("ClickHouse on " + options.listen(), e);
        }
    }

    public URI url() {
        return URI.create("http://%s:%d".formatted(options.listen().getAddress().getHostAddress(), port()));
    }

    public int port() {
        return http.getAddress().getPort();
    }

    public String user() {
        return options.user();
    }

    public String password() {
        return options.password();
    }

    public ClickHouse client(String database) {
        return new ClickHouse(url(), user(), password(), database);
    }

    /** The next statement that contains the text meets the fault; the one after it does not. */
    public void failNext(String statementPart, Fault fault) {
        handler.failNext(statementPart, fault);
    }

    @Override
    public void close() {
        http.stop(0);
        await(threads.submit(handler::close));
        threads.shutdownNow();
    }

    private static <T> T await(Future<T> task) {
        try {
            return task.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("the ClickHouse engine did not start or stop", e.getCause());
        }
    }

    /**
     * {@code --listen HOST:PORT --data DIR --user NAME --password-file FILE [--library libchdb.so]}: serves until
     * SIGTERM, which closes the engine. One line on standard output says when it is ready.
     */
    public static void main(String[] args) throws IOException, InterruptedException {
        var flags = Flags.parse(args, Set.of("listen", "data", "user", "password-file", "library"), Set.of());
        String[] listen = flags.required("listen").split(":(?=\\d+$)", 2);
        var options = new Options(
                Path.of(flags.required("data")).toAbsolutePath(),
                flags.optional("library").map(Path::of).orElseGet(ChdbLibrary::locate),
                new InetSocketAddress(listen[0], Integer.parseInt(listen[1])),
                flags.required("user"),
                Files.readString(Path.of(flags.required("password-file"))).strip());
        var server = start(options);
        var closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.close();
            closed.countDown();
        }));
        System.out.printf("ClickHouse %s ready at %s%n", server.handler.version(), server.url());
        closed.await();
    }
}
