package dev.clickpipe.testbed;

import com.github.luben.zstd.ZstdOutputStream;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.zip.GZIPOutputStream;
import net.jpountz.lz4.LZ4FrameOutputStream;

/** One answer. Headers leave with the first bytes, so an error before them has its own HTTP status. */
final class ClickHouseResponse {
    private static final int BUFFER = 1 << 16;
    /** Encodings offered to clients that accept them, the preferred one first. */
    private static final List<String> ENCODINGS = List.of("lz4", "zstd", "gzip");

    private final HttpExchange exchange;
    private final boolean compressed;
    private final String encoding;
    private final String exceptionTag =
            UUID.randomUUID().toString().replace("-", "").substring(0, 16);
    private final byte[] copy = new byte[BUFFER];
    private OutputStream body;
    private boolean lost;

    ClickHouseResponse(ClickHouseRequest request, String timezone) {
        exchange = request.exchange();
        compressed = request.isSet("compress");
        String accepted = request.header("Accept-Encoding").orElse("");
        encoding = request.isSet("enable_http_compression")
                ? ENCODINGS.stream().filter(accepted::contains).findFirst().orElse(null)
                : null;
        Headers headers = exchange.getResponseHeaders();
        headers.set("X-ClickHouse-Server-Display-Name", "testbed");
        headers.set("X-ClickHouse-Query-Id", request.queryId());
        headers.set("X-ClickHouse-Timezone", timezone);
        headers.set("X-ClickHouse-Exception-Tag", exceptionTag);
        headers.set("Keep-Alive", "timeout=30");
        headers.set("Content-Type", "text/plain; charset=UTF-8");
    }

    void format(String name) {
        Headers headers = exchange.getResponseHeaders();
        headers.set("X-ClickHouse-Format", name);
        String lower = name.toLowerCase(Locale.ROOT);
        headers.set(
                "Content-Type",
                lower.startsWith("tabseparated") || lower.startsWith("tsv")
                        ? "text/tab-separated-values; charset=UTF-8"
                        : lower.startsWith("json")
                                ? "application/json; charset=UTF-8"
                                : lower.startsWith("csv") ? "text/csv; charset=UTF-8" : "application/octet-stream");
    }

    boolean isStarted() {
        return body != null;
    }

    /** From now on the answer gets lost: the connection breaks where it would start. */
    void lose() {
        lost = true;
    }

    /** Sends the headers. */
    void start(QueryStatistics statistics) throws IOException {
        if (lost) {
            throw new IOException("answer lost as a test asked");
        }
        Headers headers = exchange.getResponseHeaders();
        headers.set("X-ClickHouse-Summary", statistics.summary());
        if (encoding != null) {
            headers.set("Content-Encoding", encoding);
        }
        exchange.sendResponseHeaders(200, 0);
        OutputStream raw = new BufferedOutputStream(exchange.getResponseBody(), BUFFER);
        OutputStream encoded =
                switch (encoding) {
                    case "lz4" -> new LZ4FrameOutputStream(raw);
                    case "zstd" -> new ZstdOutputStream(raw);
                    case "gzip" -> new GZIPOutputStream(raw, BUFFER, true);
                    case null, default -> raw;
                };
        body = compressed ? CompressedBlocks.compress(encoded) : encoded;
    }

    void write(byte[] bytes) throws IOException {
        body.write(bytes);
    }

    void write(MemorySegment bytes) throws IOException {
        for (long at = 0; at < bytes.byteSize(); at += copy.length) {
            int length = (int) Math.min(copy.length, bytes.byteSize() - at);
            MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, at, copy, 0, length);
            body.write(copy, 0, length);
        }
    }

    void finish() throws IOException {
        body.close();
        exchange.close();
    }

    /** A whole answer in plain text. */
    void answer(int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    void fail(ClickHouseError error, String version) throws IOException {
        String message = "%s (version %s (official build))\n".formatted(error.getMessage(), version);
        if (isStarted()) {
            failInBody(message);
            return;
        }
        skipRequest();
        Headers headers = exchange.getResponseHeaders();
        headers.remove("X-ClickHouse-Format");
        headers.set("Content-Type", "text/plain; charset=UTF-8");
        headers.set("X-ClickHouse-Exception-Code", String.valueOf(error.code()));
        answer(error.httpStatus(), message);
    }

    /** Reads the rest of the request, like a server: else the client would see a broken connection, not the error. */
    private void skipRequest() {
        try {
            exchange.getRequestBody().transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            // read to its end and closed, or broken; then the answer will fail too
        }
    }

    /** The status is out: the error goes into the body, between marks, and the chunked body ends without its end. */
    private void failInBody(String message) throws IOException {
        int length = message.getBytes(StandardCharsets.UTF_8).length;
        write("\r\n__exception__\r\n%1$s\r\n%2$s%3$d %1$s\r\n__exception__\r\n"
                .formatted(exceptionTag, message, length)
                .getBytes(StandardCharsets.UTF_8));
        body.flush();
        throw new IOException("answer broken off: " + message);
    }
}
