package dev.clickpipe.testbed;

import com.github.luben.zstd.ZstdInputStream;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.InputStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.zip.GZIPInputStream;
import net.jpountz.lz4.LZ4FrameInputStream;

/** One HTTP request, read as ClickHouse reads it: URL parameters, headers, and the body without its compression. */
record ClickHouseRequest(HttpExchange exchange, Map<String, String> parameters, String queryId) {
    /** URL parameters of the protocol; every other one is a setting. */
    private static final Set<String> PROTOCOL = Set.of(
            "buffer_size",
            "client_protocol_version",
            "close_session",
            "compress",
            "database",
            "decompress",
            "default_format",
            "enable_http_compression",
            "http_zlib_compression_level",
            "password",
            "query",
            "query_id",
            "quota_key",
            "role",
            "session_check",
            "session_id",
            "session_timeout",
            "stacktrace",
            "user",
            "wait_end_of_query");

    private static final String PARAMETER = "param_";

    record Credentials(String user, String password) {}

    static ClickHouseRequest of(HttpExchange exchange) {
        var parameters = new LinkedHashMap<String, String>();
        String query = exchange.getRequestURI().getRawQuery();
        if (query != null) {
            for (String pair : query.split("&")) {
                int equals = pair.indexOf('=');
                String name = equals < 0 ? pair : pair.substring(0, equals);
                parameters.put(decode(name), equals < 0 ? "" : decode(pair.substring(equals + 1)));
            }
        }
        String queryId = parameters.getOrDefault("query_id", "");
        return new ClickHouseRequest(
                exchange, parameters, queryId.isEmpty() ? UUID.randomUUID().toString() : queryId);
    }

    String path() {
        return exchange.getRequestURI().getPath();
    }

    boolean isGet() {
        return exchange.getRequestMethod().equals("GET");
    }

    boolean isSet(String parameter) {
        return "1".equals(parameters.get(parameter));
    }

    Optional<String> parameter(String name) {
        return Optional.ofNullable(parameters.get(name)).filter(value -> !value.isEmpty());
    }

    Optional<String> header(String name) {
        return Optional.ofNullable(exchange.getRequestHeaders().getFirst(name)).filter(value -> !value.isEmpty());
    }

    Optional<String> database() {
        return parameter("database").or(() -> header("X-ClickHouse-Database"));
    }

    /** The format of answers whose statement names none. */
    String defaultFormat() {
        return header("X-ClickHouse-Format")
                .or(() -> parameter("default_format"))
                .orElse("TabSeparated");
    }

    Map<String, String> settings() {
        var settings = new LinkedHashMap<>(parameters);
        settings.keySet().removeIf(name -> PROTOCOL.contains(name) || name.startsWith(PARAMETER));
        return settings;
    }

    /** Values for the statement's {@code {name:Type}} parameters. */
    Map<String, String> statementParameters() {
        var values = new LinkedHashMap<String, String>();
        parameters.forEach((name, value) -> {
            if (name.startsWith(PARAMETER)) {
                values.put(name.substring(PARAMETER.length()), value);
            }
        });
        return values;
    }

    Credentials credentials() {
        Optional<String> basic = header("Authorization").filter(value -> value.startsWith("Basic "));
        if (basic.isPresent()) {
            byte[] decoded = Base64.getDecoder().decode(basic.get().substring("Basic ".length()));
            String[] parts = new String(decoded, StandardCharsets.UTF_8).split(":", 2);
            return new Credentials(parts[0], parts.length > 1 ? parts[1] : "");
        }
        return new Credentials(
                header("X-ClickHouse-User").or(() -> parameter("user")).orElse("default"),
                header("X-ClickHouse-Key").or(() -> parameter("password")).orElse(""));
    }

    /** The body: HTTP's content encoding is the outer compression, ClickHouse's own blocks are the inner one. */
    InputStream body() throws IOException {
        InputStream raw = exchange.getRequestBody();
        String encoding = header("Content-Encoding").orElse("identity");
        InputStream body =
                switch (encoding) {
                    case "identity" -> raw;
                    case "gzip" -> new GZIPInputStream(raw);
                    case "lz4" -> new LZ4FrameInputStream(raw);
                    case "zstd" -> new ZstdInputStream(raw);
                    default ->
                        throw ClickHouseError.of(
                                89, "UNKNOWN_COMPRESSION_METHOD", "Unknown compression method: " + encoding);
                };
        return isSet("decompress") ? CompressedBlocks.decompress(body) : body;
    }

    private static String decode(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }
}
