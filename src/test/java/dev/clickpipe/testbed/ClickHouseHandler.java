package dev.clickpipe.testbed;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Locale;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;

/** Runs what ClickHouse's HTTP interface is asked: each request on an engine session of its own, or on a named one. */
final class ClickHouseHandler implements HttpHandler, AutoCloseable {
    /** A statement is looked for in so much of the body; what follows an INSERT's format is its data. */
    private static final int STATEMENT_BYTES = 1 << 20;

    private static final Duration SESSION_TIMEOUT = Duration.ofSeconds(60);
    private static final Set<String> HEALTH_PATHS = Set.of("/ping", "/replicas_status");
    /** Formats whose chunks can follow each other as they are; others are answered whole. */
    private static final Set<String> STREAMED_FORMATS = Set.of(
            "csv",
            "jsoncompacteachrow",
            "jsoneachrow",
            "jsonlines",
            "linesasstring",
            "native",
            "ndjson",
            "null",
            "rowbinary",
            "tabseparated",
            "tabseparatedraw",
            "tsv",
            "tsvraw");

    private final ChdbLibrary library;
    private final Path data;
    private final ClickHouseRequest.Credentials credentials;
    private final ChdbConnection keepAlive;
    private final ClickHouseSessions sessions;
    private final Queue<ArmedFault> faults = new ConcurrentLinkedQueue<>();
    private final String version;
    private final String timezone;

    private record ArmedFault(String statementPart, Fault fault) {}

    ClickHouseHandler(ChdbLibrary library, Path data, ClickHouseRequest.Credentials credentials) {
        this.library = library;
        this.data = data;
        this.credentials = credentials;
        keepAlive = connect();
        sessions = new ClickHouseSessions(this::connect);
        version = keepAlive.text("SELECT version()");
        timezone = keepAlive.text("SELECT timezone()");
    }

    String version() {
        return version;
    }

    void failNext(String statementPart, Fault fault) {
        faults.add(new ArmedFault(statementPart, fault));
    }

    @Override
    public void handle(HttpExchange exchange) throws IOException {
        var request = ClickHouseRequest.of(exchange);
        var response = new ClickHouseResponse(request, timezone);
        String path = request.path();
        if (HEALTH_PATHS.contains(path)
                || path.equals("/") && request.isGet() && request.parameters().isEmpty()) {
            response.answer(200, "Ok.\n");
        } else if (!path.equals("/")) {
            response.answer(404, "There is no handle %s\n".formatted(path));
        } else {
            try {
                authenticate(request);
                run(request, response);
                response.finish();
            } catch (RuntimeException | Error e) {
                response.fail(ClickHouseError.from(e), version);
            }
        }
    }

    private void authenticate(ClickHouseRequest request) {
        var given = request.credentials();
        if (!given.equals(credentials)) {
            throw ClickHouseError.of(
                    516,
                    "AUTHENTICATION_FAILED",
                    given.user()
                            + ": Authentication failed: password is incorrect, or there is no user with such name");
        }
    }

    private void run(ClickHouseRequest request, ClickHouseResponse response) throws IOException {
        if (request.header("Content-Type").orElse("").startsWith("multipart/form-data")) {
            throw ClickHouseError.of(48, "NOT_IMPLEMENTED", "multipart/form-data is not supported by the test bed");
        }
        Query query = readQuery(request);
        if (query.text().length == 0) {
            throw ClickHouseError.syntax("Empty query");
        }
        if (request.isGet() && query.statement().kind() == SqlStatement.Kind.COMMAND) {
            throw ClickHouseError.of(164, "READONLY", "Cannot execute query in readonly mode. GET implies readonly");
        }
        Optional<Fault> fault = takeFault(query.sql());
        switch (fault.orElse(null)) {
            case Fault.Refuse(int code, String name, String message) -> throw ClickHouseError.of(code, name, message);
            case Fault.Disconnect() -> throw new IOException("disconnected as a test asked");
            case Fault.LoseAnswer() -> response.lose();
            case Fault.Late late -> query = arrived(query, late);
            case null -> {}
        }
        Query arrived = query;
        withConnection(request, connection -> {
            configure(connection, request);
            refuseMultipleStatements(connection, arrived);
            switch (arrived.statement().kind()) {
                case INSERT_DATA -> response.start(insert(connection, request, arrived));
                case SELECT -> select(connection, request, arrived, response);
                case ROWS, COMMAND -> answerWhole(connection, request, arrived, response);
            }
        });
    }

    /** @param data what follows the statement of an INSERT */
    private record Query(byte[] text, SqlStatement statement, InputStream data) {
        /** The statement without the data behind it. */
        String sql() {
            return new String(text, 0, statement.sqlEnd(), StandardCharsets.UTF_8);
        }
    }

    /** The statement is in the URL, in the body, or begins in the one and goes on in the other. */
    private static Query readQuery(ClickHouseRequest request) throws IOException {
        InputStream body = request.body();
        byte[] text = request.parameter("query")
                .map(query -> (query + "\n").getBytes(StandardCharsets.UTF_8))
                .orElse(new byte[0]);
        var statement = SqlStatement.scan(text);
        if (statement.kind() != SqlStatement.Kind.INSERT_DATA) {
            text = concatenate(text, body.readNBytes(STATEMENT_BYTES));
            statement = SqlStatement.scan(text);
        }
        if (statement.kind() != SqlStatement.Kind.INSERT_DATA) {
            byte[] rest = body.readAllBytes();
            if (rest.length > 0) {
                text = concatenate(text, rest);
                statement = SqlStatement.scan(text);
            }
            body = InputStream.nullInputStream();
        }
        int dataStart = Math.min(statement.dataStart(), text.length);
        var inline = new ByteArrayInputStream(text, dataStart, text.length - dataStart);
        boolean blank = new String(text, StandardCharsets.ISO_8859_1).isBlank();
        return new Query(blank ? new byte[0] : text, statement, new SequenceInputStream(inline, body));
    }

    private static Query arrived(Query query, Fault.Late late) throws IOException {
        var data = new ByteArrayInputStream(query.data().readAllBytes());
        try {
            late.sent().countDown();
            late.arrives().await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        }
        return new Query(query.text(), query.statement(), data);
    }

    private static byte[] concatenate(byte[] first, byte[] second) {
        byte[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    private Optional<Fault> takeFault(String sql) {
        for (Iterator<ArmedFault> armed = faults.iterator(); armed.hasNext(); ) {
            ArmedFault candidate = armed.next();
            if (sql.contains(candidate.statementPart()) && faults.remove(candidate)) {
                return Optional.of(candidate.fault());
            }
        }
        return Optional.empty();
    }

    private interface ConnectionUse {
        void accept(ChdbConnection connection) throws IOException;
    }

    private void withConnection(ClickHouseRequest request, ConnectionUse use) throws IOException {
        Optional<String> session = request.parameter("session_id");
        if (session.isEmpty()) {
            try (ChdbConnection connection = connect()) {
                use.accept(connection);
            }
            return;
        }
        ChdbConnection connection = sessions.hold(session.get(), request.isSet("session_check"));
        try {
            try {
                use.accept(connection);
            } finally {
                resetSettings(connection, request);
            }
        } finally {
            sessions.release(
                    session.get(),
                    request.parameter("session_timeout")
                            .map(seconds -> Duration.ofSeconds(Long.parseLong(seconds)))
                            .orElse(SESSION_TIMEOUT));
        }
    }

    private ChdbConnection connect() {
        return library.connect("--path=" + data, "--progress=off", "--implicit_select=0");
    }

    /** The request's query id travels as log_comment, as the engine gives every statement an id of its own. */
    private static void configure(ChdbConnection connection, ClickHouseRequest request) {
        var settings = request.settings();
        settings.putIfAbsent("log_comment", request.queryId());
        connection.execute("SET "
                + settings.entrySet().stream()
                        .map(setting -> identifier(setting.getKey()) + " = " + literal(setting.getValue()))
                        .collect(Collectors.joining(", ")));
        request.database().ifPresent(database -> connection.execute("USE " + identifier(database)));
    }

    /** Settings in a URL hold for its request, not for the session. */
    private static void resetSettings(ChdbConnection connection, ClickHouseRequest request) {
        request.settings().keySet().forEach(name -> connection.execute("SET %s = DEFAULT".formatted(identifier(name))));
    }

    private static void refuseMultipleStatements(ChdbConnection connection, Query query) {
        if (query.statement().kind() != SqlStatement.Kind.INSERT_DATA && connection.countStatements(query.text()) > 1) {
            throw ClickHouseError.syntax("Syntax error (Multi-statements are not allowed)");
        }
    }

    private QueryStatistics insert(ChdbConnection connection, ClickHouseRequest request, Query query)
            throws IOException {
        if (query.statement().input() >= 0) {
            return insertSelect(connection, request, query);
        }
        return connection.insert(
                query.sql().getBytes(StandardCharsets.UTF_8),
                query.statement().format(),
                request.statementParameters(),
                query.data());
    }

    /**
     * {@code INSERT … SELECT … FROM input('structure') FORMAT F}: the engine would insert nothing, so the data goes to
     * a file first and {@code file()} stands in for {@code input()}.
     */
    private QueryStatistics insertSelect(ChdbConnection connection, ClickHouseRequest request, Query query)
            throws IOException {
        Path file = Files.createTempFile(data, "input", ".data");
        try {
            try (var out = Files.newOutputStream(file)) {
                query.data().transferTo(out);
            }
            String sql = query.sql();
            // positions are of bytes; what precedes input() may hold other characters
            int input = new String(query.text(), 0, query.statement().input(), StandardCharsets.UTF_8).length();
            int arguments = sql.indexOf('(', input) + 1;
            String rewritten = sql.substring(0, input)
                    + "file(%s, %s, "
                            .formatted(
                                    literal(file.toString()),
                                    literal(query.statement().format()))
                    + sql.substring(arguments);
            return connection
                    .query(rewritten.getBytes(StandardCharsets.UTF_8), "Null", request.statementParameters())
                    .statistics();
        } finally {
            Files.deleteIfExists(file);
        }
    }

    private void select(ChdbConnection connection, ClickHouseRequest request, Query query, ClickHouseResponse response)
            throws IOException {
        String format = Optional.ofNullable(query.statement().format()).orElse(request.defaultFormat());
        String name = format.toLowerCase(Locale.ROOT);
        boolean binaryHeader = name.startsWith("rowbinarywithnames");
        if (request.isSet("wait_end_of_query") || !(binaryHeader || STREAMED_FORMATS.contains(name))) {
            answerWhole(connection, request, query, response);
            return;
        }
        response.format(format);
        var parameters = request.statementParameters();
        QueryStatistics statistics = connection.stream(query.text(), format, parameters, (chunk, soFar) -> {
            if (!response.isStarted()) {
                response.start(soFar);
                response.write(chunk);
            } else {
                response.write(binaryHeader ? withoutHeader(chunk, name.endsWith("types")) : chunk);
            }
        });
        if (!response.isStarted()) { // no rows, so the stream had no header either
            byte[] header = binaryHeader
                    ? connection.query(query.text(), format, parameters).data()
                    : new byte[0];
            response.start(statistics);
            response.write(header);
        }
    }

    private void answerWhole(
            ChdbConnection connection, ClickHouseRequest request, Query query, ClickHouseResponse response)
            throws IOException {
        String format = Optional.ofNullable(query.statement().format()).orElse(request.defaultFormat());
        var answer = connection.query(engineIds(query), format, request.statementParameters());
        if (answer.data().length > 0 || query.statement().kind() != SqlStatement.Kind.COMMAND) {
            response.format(format);
        }
        response.start(answer.statistics());
        response.write(answer.data());
    }

    /** KILL QUERY names the query by the id of its request, which the engine knows as log_comment. */
    private static byte[] engineIds(Query query) {
        if (!query.statement().keyword().equals("KILL")) {
            return query.text();
        }
        return query.sql()
                .replaceAll("(?i)\\bquery_id\\b", "Settings['log_comment']")
                .getBytes(StandardCharsets.UTF_8);
    }

    /** The rows of a RowBinaryWithNames[AndTypes] document. */
    private static MemorySegment withoutHeader(MemorySegment document, boolean types) {
        long[] position = {0};
        long texts = readVarInt(document, position) * (types ? 2 : 1);
        for (long i = 0; i < texts; i++) {
            long length = readVarInt(document, position);
            position[0] += length;
        }
        return document.asSlice(position[0]);
    }

    private static long readVarInt(MemorySegment bytes, long[] position) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte part = bytes.get(JAVA_BYTE, position[0]++);
            value |= (long) (part & 0x7f) << shift;
            if (part >= 0) {
                return value;
            }
        }
    }

    static String literal(String value) {
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'";
    }

    static String identifier(String name) {
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`";
    }

    @Override
    public void close() {
        sessions.close();
        keepAlive.close();
    }
}
