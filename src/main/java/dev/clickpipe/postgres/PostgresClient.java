package dev.clickpipe.postgres;

import dev.clickpipe.api.PostgresSource;
import dev.clickpipe.api.TlsMode;
import dev.clickpipe.pipe.CredentialFiles;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.ssl.DefaultJavaSSLFactory;

/**
 * Opens connections to the source. Every connection reads the login anew, says in application_name which pipe it is and why,
 * and prints values in one fixed form, whatever role and database are set to: COPY and pgoutput must write the same text.
 * Thread-safe; the connections are not.
 */
public final class PostgresClient {
    private static final int CONNECT_TIMEOUT_SECONDS = 10;
    private static final int LOGIN_TIMEOUT_SECONDS = 30;
    /** For what a server that is there answers at once, and for rows that follow one another. */
    private static final int SILENCE_SECONDS = 60;

    /** PostgreSQL documentation, 19.11.2 "Locale and Formatting". TimeZone and extra_float_digits are sent by pgjdbc. */
    private static final List<String> OUTPUT = List.of("DateStyle=ISO", "IntervalStyle=postgres", "bytea_output=hex");

    /** A session of ours is ended by us, not by timeouts made for applications; a dead one is noticed in two minutes. */
    private static final List<String> SESSION = List.of(
            "statement_timeout=0",
            "lock_timeout=0",
            "idle_in_transaction_session_timeout=0",
            "synchronize_seqscans=off", // a chunk that is read again comes in the same order
            "tcp_keepalives_idle=60",
            "tcp_keepalives_interval=10",
            "tcp_keepalives_count=6");

    private final Pipe pipe;
    private final PostgresSource source;
    private final CredentialFiles credentials;

    public PostgresClient(Pipe pipe, CredentialFiles credentials) {
        this.pipe = pipe;
        this.source = pipe.spec().source().postgres();
        this.credentials = credentials;
    }

    /**
     * An ordinary session in auto-commit mode. A row-level security policy that would hide rows is an error in it, not a
     * silent loss (PostgreSQL documentation, 19.11.1, row_security).
     *
     * @param why what it is for, as a DBA reads it in pg_stat_activity
     * @throws PipeException classified; a refused login is retryable, for a password may be being rotated
     */
    public Connection connect(String why) {
        var properties = properties(why);
        PGProperty.OPTIONS.set(properties, options(List.of("row_security=off")));
        return open(properties);
    }

    /**
     * As {@link #connect}, for what never waits long for an answer: a connection that is silently dead ends in an error. Not for
     * statements that wait for others' transactions.
     */
    public Connection connectImpatiently(String why) {
        var properties = properties(why);
        PGProperty.OPTIONS.set(properties, options(List.of("row_security=off")));
        PGProperty.SOCKET_TIMEOUT.set(properties, SILENCE_SECONDS);
        return open(properties);
    }

    /**
     * A session of the replication protocol (PostgreSQL documentation, 54.4), for CREATE_REPLICATION_SLOT and
     * START_REPLICATION; SQL works in it too, by the simple protocol.
     *
     * @param why what it is for, as a DBA reads it in pg_stat_replication
     * @throws PipeException classified; a refused login is retryable, for a password may be being rotated
     */
    public Connection connectReplication(String why) {
        var properties = properties(why);
        PGProperty.REPLICATION.set(properties, "database");
        PGProperty.PREFER_QUERY_MODE.set(properties, "simple");
        // Where the server says 0, a worker that vanished would hold the slot for ever.
        PGProperty.OPTIONS.set(properties, options(List.of("wal_sender_timeout=60s")));
        return open(properties);
    }

    /** The source in messages: {@code postgres host:port/database}. */
    public String object() {
        return "postgres " + source.host() + ":" + source.port() + "/" + source.database();
    }

    private Properties properties(String why) {
        var login = credentials.postgres();
        var properties = new Properties();
        PGProperty.USER.set(properties, login.user());
        PGProperty.PASSWORD.set(properties, login.password());
        PGProperty.PG_HOST.set(properties, source.host());
        PGProperty.PG_PORT.set(properties, source.port());
        PGProperty.PG_DBNAME.set(properties, source.database());
        PGProperty.APPLICATION_NAME.set(properties, pipe.applicationName(why));
        PGProperty.ASSUME_MIN_SERVER_VERSION.set(properties, "10");
        PGProperty.CONNECT_TIMEOUT.set(properties, CONNECT_TIMEOUT_SECONDS);
        PGProperty.LOGIN_TIMEOUT.set(properties, LOGIN_TIMEOUT_SECONDS);
        PGProperty.TCP_KEEP_ALIVE.set(properties, true);
        PGProperty.SOCKET_FACTORY.set(properties, KeepAliveSocketFactory.class.getName());
        PGProperty.GSS_ENC_MODE.set(properties, "disable");
        tls(properties);
        return properties;
    }

    private void tls(Properties properties) {
        var mode = source.tls().mode();
        PGProperty.SSL_MODE.set(properties, mode.sslmode());
        var ca = credentials.postgresCa();
        if (ca.isPresent()) {
            PGProperty.SSL_ROOT_CERT.set(properties, ca.get().toString());
        } else if (mode == TlsMode.VERIFY_FULL) {
            PGProperty.SSL_FACTORY.set(properties, DefaultJavaSSLFactory.class.getName());
        }
    }

    private static String options(List<String> more) {
        var options = new StringBuilder();
        for (var group : List.of(OUTPUT, SESSION, more)) {
            group.forEach(option -> options.append(" -c ").append(option));
        }
        return options.substring(1);
    }

    private Connection open(Properties properties) {
        try {
            // With a bare "jdbc:postgresql:" pgjdbc would take the user's name for the database's.
            var connection = DriverManager.getConnection("jdbc:postgresql://", properties);
            var zone = connection.unwrap(PGConnection.class).getParameterStatus("TimeZone");
            if (!"UTC".equals(zone)) {
                connection.close();
                throw new IllegalStateException(
                        "timestamps would be read in zone " + zone + ": start the JVM with -Duser.timezone=UTC");
            }
            return connection;
        } catch (SQLException e) {
            throw PostgresErrors.of(e, object());
        }
    }
}
