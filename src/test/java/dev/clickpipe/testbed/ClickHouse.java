package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;

/** A ClickHouse to talk to, and the few ways in which tests do: SQL in, text out. */
public record ClickHouse(URI url, String user, String password, String database) {
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** Thrown when the server answers an error; the message is the server's. */
    public static final class QueryFailed extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private final int code;

        QueryFailed(int code, String message) {
            super(message.strip());
            this.code = code;
        }

        /** ClickHouse's error number, e.g. 60 for an unknown table. */
        public int code() {
            return code;
        }
    }

    public String host() {
        return url.getHost();
    }

    public int port() {
        return url.getPort();
    }

    public ClickHouse withDatabase(String name) {
        return new ClickHouse(url, user, password, name);
    }

    public String jdbcUrl() {
        return "jdbc:clickhouse://%s:%d/%s".formatted(host(), port(), database);
    }

    /** User and password for {@link java.sql.DriverManager}. */
    public Properties jdbcProperties() {
        var properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        return properties;
    }

    /** Runs a statement; the answer is its body, TabSeparated unless the statement names a format, without the last line end. */
    public String query(String sql) {
        return new String(send(sql, new byte[0]), StandardCharsets.UTF_8).stripTrailing();
    }

    /** The answer's rows and their values, TabSeparated: {@code \N} is NULL. */
    public List<List<String>> rows(String sql) {
        return new String(send(sql, new byte[0]), StandardCharsets.UTF_8)
                .lines()
                .map(line -> List.of(line.split("\t", -1)))
                .toList();
    }

    /** The answer as it arrives; to be closed. */
    public InputStream stream(String sql) {
        return open(sql, new byte[0]);
    }

    public long count(String table) {
        return Long.parseLong(query("SELECT count() FROM " + table));
    }

    /** Runs {@code INSERT INTO … FORMAT …} with its data. */
    public void insert(String sql, byte[] data) {
        send(sql, data);
    }

    public boolean isAlive() {
        try {
            var request = HttpRequest.newBuilder(url.resolve("/ping")).build();
            return HTTP.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    private byte[] send(String sql, byte[] data) {
        try (InputStream answer = open(sql, data)) {
            return answer.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private InputStream open(String sql, byte[] data) {
        // the statement goes in the URL only where data needs the body
        boolean inUrl = data.length > 0;
        String parameters = "?database=" + encode(database) + (inUrl ? "&query=" + encode(sql) : "");
        byte[] body = inUrl ? data : sql.getBytes(StandardCharsets.UTF_8);
        var request = HttpRequest.newBuilder(url.resolve("/" + parameters))
                .header("X-ClickHouse-User", user)
                .header("X-ClickHouse-Key", password)
                .POST(HttpRequest.BodyPublishers.ofByteArray(body))
                .build();
        try {
            var response = HTTP.send(request, BodyHandlers.ofInputStream());
            if (response.statusCode() == 200) {
                return response.body();
            }
            int code = (int) response.headers()
                    .firstValueAsLong("X-ClickHouse-Exception-Code")
                    .orElse(0);
            try (InputStream error = response.body()) {
                throw new QueryFailed(code, new String(error.readAllBytes(), StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    private static IllegalStateException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new IllegalStateException(e);
    }

    private static String encode(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8);
    }
}
