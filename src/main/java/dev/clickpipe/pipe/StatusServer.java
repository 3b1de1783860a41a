package dev.clickpipe.pipe;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/**
 * What a worker tells over HTTP: {@code GET /status} (JSON, {@link WorkerStatus}), {@code GET /metrics} (Prometheus) and
 * {@code GET /healthz}, which says that the process answers, and no more: a database that is down is no reason to restart it.
 */
public final class StatusServer implements AutoCloseable {
    private final HttpServer server;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    /**
     * @param port 0 for any that is free
     * @throws IOException when the port is taken
     */
    public StatusServer(int port, Supplier<WorkerStatus> status, PrometheusMeterRegistry meters) throws IOException {
        server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(threads);
        get("/status", "application/json", () -> Json.bytes(status.get()));
        get("/metrics", "text/plain; version=0.0.4; charset=utf-8", () -> meters.scrape()
                .getBytes(StandardCharsets.UTF_8));
        get("/healthz", "text/plain; charset=utf-8", () -> "ok\n".getBytes(StandardCharsets.UTF_8));
        server.start();
    }

    public int port() {
        return server.getAddress().getPort();
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }

    private void get(String path, String type, Supplier<byte[]> body) {
        server.createContext(path, exchange -> {
            try (exchange) {
                if (!exchange.getRequestURI().getPath().equals(path)) {
                    answer(exchange, 404, type, new byte[0]);
                } else if (!exchange.getRequestMethod().equals("GET")) {
                    answer(exchange, 405, type, new byte[0]);
                } else {
                    answer(exchange, 200, type, body.get());
                }
            }
        });
    }

    private static void answer(HttpExchange exchange, int code, String type, byte[] body) throws IOException {
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(code, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
    }
}
