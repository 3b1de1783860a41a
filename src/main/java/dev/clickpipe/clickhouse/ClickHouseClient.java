package dev.clickpipe.clickhouse;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.ClientFaultCause;
import com.clickhouse.client.api.CompressionMethod;
import com.clickhouse.client.api.command.CommandSettings;
import com.clickhouse.client.api.insert.InsertResponse;
import com.clickhouse.client.api.insert.InsertSettings;
import com.clickhouse.client.api.query.GenericRecord;
import com.clickhouse.client.api.query.QuerySettings;
import com.clickhouse.data.ClickHouseFormat;
import dev.clickpipe.api.ClickHouseDestination;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.Login;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.SocketTimeoutException;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;

/**
 * ClickHouse through its HTTP interface, in the pipe's database. Nothing is retried here: who knows what may be sent twice
 * decides. A new login in the credential files is used from the next call on. Thread-safe; calls block.
 */
public final class ClickHouseClient implements AutoCloseable {
    private static final int CONNECT_TIMEOUT_SECONDS = 10;
    /** Silence after which an answer is no longer expected; the last block of an insert may feed slow materialized views. */
    private static final int SOCKET_TIMEOUT_SECONDS = 600;

    /** The same for a look into a table of state, which a server that is there answers at once. */
    private static final int STATE_TIMEOUT_SECONDS = 30;

    private static final int FORMER_CLIENTS = 4;

    /** In bytes; the definition of a table of 1600 columns is longer than the server's default. */
    private static final String LONGEST_STATEMENT = "16777216";

    /**
     * An insert counts only when its rows are stored: whatever the user's profile says, none is queued, forwarded in the
     * background, or passed over because it can't be read.
     */
    private static final Map<String, String> CONFIRMED = Map.of(
            "async_insert", "0",
            "wait_end_of_query", "1",
            "distributed_foreground_insert", "1",
            "input_format_allow_errors_num", "0",
            "input_format_allow_errors_ratio", "0");

    private final Pipe pipe;
    private final ClickHouseDestination destination;
    private final CredentialFiles credentials;
    private final List<Connected> connected = new ArrayList<>();
    private boolean renew;

    private record Connected(Login login, Client client) {}

    public ClickHouseClient(Pipe pipe, CredentialFiles credentials) {
        this.pipe = pipe;
        this.destination = pipe.spec().destination().clickhouse();
        this.credentials = credentials;
    }

    /**
     * Runs a query with a small result.
     *
     * @param parameters values for {@code {name:Type}} in the query
     * @return rows as column name to value; NULL is null
     * @throws PipeException classified
     */
    public List<Map<String, Object>> query(String sql, Map<String, Object> parameters) {
        return query(sql, parameters, SOCKET_TIMEOUT_SECONDS);
    }

    /** As {@link #query}, of what a server that is there answers at once: its silence is noticed soon. */
    public List<Map<String, Object>> queryState(String sql, Map<String, Object> parameters) {
        return query(sql, parameters, STATE_TIMEOUT_SECONDS);
    }

    private List<Map<String, Object>> query(String sql, Map<String, Object> parameters, int timeoutSeconds) {
        try {
            var settings = new QuerySettings();
            settings.setNetworkTimeout(timeoutSeconds, ChronoUnit.SECONDS);
            // What fails half-way is an error then, and not a shorter answer.
            settings.serverSetting("wait_end_of_query", "1");
            var rows = new ArrayList<Map<String, Object>>();
            for (GenericRecord row : client().queryAll(sql, parameters, settings)) {
                rows.add(row.getValues());
            }
            return rows;
        } catch (RuntimeException e) {
            throw failed(e, object());
        }
    }

    /** Takes a result in the format RowBinary. */
    @FunctionalInterface
    public interface Result {
        void readFrom(InputStream in) throws IOException;
    }

    /**
     * Runs a query whose result may be large, to be read as it comes.
     *
     * @throws PipeException classified
     */
    @SuppressWarnings("try") // its close() declares all exceptions, and throws no InterruptedException
    public void read(String sql, Result result) {
        var settings = new QuerySettings();
        settings.setFormat(ClickHouseFormat.RowBinary);
        settings.serverSetting("max_query_size", LONGEST_STATEMENT);
        settings.serverSetting("wait_end_of_query", "1"); // what is read is whole, or an error
        try (var response = await(client().query(sql, settings));
                var in = response.getInputStream()) {
            result.readFrom(in);
        } catch (PipeException e) {
            throw e;
        } catch (Exception e) {
            throw failed(e, object());
        }
    }

    private PipeException failed(Exception e, String object) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof SocketTimeoutException) {
                forgetConnections();
            }
        }
        return ClickHouseErrors.of(e, object);
    }

    /** One connection was silently dead: those that are kept for later are not trusted either. */
    public synchronized void forgetConnections() {
        renew = true;
    }

    /**
     * Runs a statement that returns nothing and waits for its end.
     *
     * @throws PipeException classified
     */
    public void execute(String sql) {
        try {
            var settings = new CommandSettings();
            settings.serverSetting("max_query_size", LONGEST_STATEMENT);
            CONFIRMED.forEach(settings::serverSetting);
            await(client().execute(sql, settings)).close();
        } catch (PipeException e) {
            throw e;
        } catch (Exception e) {
            throw failed(e, object());
        }
    }

    /**
     * One INSERT in the format TabSeparated.
     *
     * @param table unquoted name of a table in the pipe's database
     * @param columns unquoted names, in the body's order
     * @param settings server settings of this insert, such as {@code insert_deduplication_token}
     */
    public record Insert(String table, List<String> columns, Map<String, String> settings, Body body) {}

    /** What is inserted, written while it is produced. */
    @FunctionalInterface
    public interface Body {
        /** Called once. What it throws ends the insert, of which ClickHouse may have stored some blocks already. */
        void writeTo(OutputStream out) throws IOException;
    }

    /**
     * Inserts and returns when ClickHouse has confirmed the rows as stored. After an exception any part of them may be stored.
     *
     * @return rows written, those of materialized views included
     * @throws PipeException classified
     * @throws RuntimeException the body's own
     */
    public long insert(Insert insert) {
        var thrown = new AtomicReference<RuntimeException>();
        var settings = new InsertSettings();
        CONFIRMED.forEach(settings::serverSetting);
        insert.settings().forEach(settings::serverSetting);
        var columns =
                insert.columns().stream().map(ClickHouseClient::identifier).toList();
        try (InsertResponse response = await(client().insert(
                        identifier(insert.table()),
                        columns,
                        out -> {
                            try {
                                insert.body().writeTo(out);
                            } catch (RuntimeException e) {
                                thrown.set(e);
                                throw e;
                            }
                        },
                        ClickHouseFormat.TabSeparated,
                        settings))) {
            return response.getWrittenRows();
        } catch (PipeException e) {
            throw e;
        } catch (Exception e) {
            throw thrown.get() != null ? thrown.get() : failed(e, "table " + database() + "." + insert.table());
        }
    }

    /** Whether the pipe's database has this table or view. */
    public boolean exists(String table) {
        return !queryState(
                        "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = {table:String}",
                        Map.of("database", database(), "table", table))
                .isEmpty();
    }

    /**
     * An engine of the MergeTree family as this database wants it: in a Replicated database only the Replicated engines
     * replicate rows (ClickHouse documentation, database engine Replicated).
     *
     * @param engine such as {@code ReplacingMergeTree(version)}
     */
    public String engine(String engine) {
        var rows = query(
                "SELECT engine FROM system.databases WHERE name = {database:String}", Map.of("database", database()));
        boolean replicates = engine.contains("MergeTree");
        return replicates
                        && !rows.isEmpty()
                        && "Replicated".equals(rows.getFirst().get("engine"))
                ? "Replicated" + engine
                : engine;
    }

    /**
     * Removes a pipe's rows from a table of state shared by the database's pipes, and the table when no rows are left.
     *
     * @param table with a column {@code pipe} that holds the pipe's uid
     */
    void forget(String table, Pipe of) {
        if (!exists(table)) {
            return;
        }
        execute("ALTER TABLE " + identifier(table) + " DELETE WHERE pipe = " + literal(of.uid())
                + " SETTINGS mutations_sync = 2");
        if (query("SELECT 1 FROM " + identifier(table) + " LIMIT 1", Map.of()).isEmpty()) {
            execute("DROP TABLE IF EXISTS " + identifier(table) + " SYNC");
        }
    }

    /** The pipe's database, unquoted. */
    public String database() {
        return destination.database();
    }

    /** The destination in messages: {@code clickhouse host:port/database}. */
    public String object() {
        return "clickhouse " + destination.host() + ":" + destination.port() + "/" + destination.database();
    }

    /** A name as ClickHouse reads it back unchanged, in backquotes. */
    public static String identifier(String name) {
        return '`' + name.replace("\\", "\\\\").replace("`", "\\`") + '`';
    }

    /** A string literal. */
    public static String literal(String value) {
        return '\'' + value.replace("\\", "\\\\").replace("'", "\\'") + '\'';
    }

    @Override
    public synchronized void close() {
        connected.forEach(old -> old.client().close());
        connected.clear();
    }

    private synchronized Client client() {
        var login = credentials.clickHouse();
        if (connected.isEmpty() || renew || !connected.getLast().login().equals(login)) {
            // The former client stays open for a while, for other threads' calls are under way on it.
            connected.add(new Connected(login, connect(login)));
            renew = false;
            if (connected.size() > FORMER_CLIENTS) {
                connected.removeFirst().client().close();
            }
        }
        return connected.getLast().client();
    }

    private Client connect(Login login) {
        var tls = destination.tls() != null && destination.tls().enabled();
        var builder = new Client.Builder()
                .addEndpoint((tls ? "https://" : "http://") + destination.host() + ":" + destination.port())
                .setUsername(login.user())
                .setPassword(login.password())
                .setDefaultDatabase(destination.database())
                .setClientName(pipe.applicationName("worker"))
                // Rows came from Postgres uncompressed as well; packing them takes longer than all else that is done to
                // them.
                .compressClientRequest(false)
                .compressServerResponse(true)
                .compressionMethod(CompressionMethod.LZ4)
                .setMaxConnections(1000)
                .setConnectTimeout(CONNECT_TIMEOUT_SECONDS, ChronoUnit.SECONDS)
                .setSocketTimeout(SOCKET_TIMEOUT_SECONDS, ChronoUnit.SECONDS)
                .setSocketKeepAlive(true)
                .setMaxRetries(0)
                .retryOnFailures(ClientFaultCause.None);
        credentials.clickHouseCa().filter(ca -> tls).ifPresent(ca -> builder.setRootCertificate(ca.toString()));
        return builder.build();
    }

    private static <T> T await(CompletableFuture<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
