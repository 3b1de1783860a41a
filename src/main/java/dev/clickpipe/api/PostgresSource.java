package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** The Postgres database that is replicated. */
@ValidationRule(value = PostgresSource.HOST_RULE, fieldPath = ".host", message = PostgresSource.HOST_MESSAGE)
public record PostgresSource(
        @Required
        @Size(min = 1, max = 253)
        @JsonPropertyDescription(
                "Host name or address, as the worker pods reach it. Not a connection pooler: replication needs the server itself.")
        String host,

        @Default("5432") @Min(1) @Max(65535) @JsonPropertyDescription("The server's port.")
        Integer port,

        @Required @Size(min = 1, max = 63) @JsonPropertyDescription("The database that holds the mapped tables.")
        String database,

        @Required
        @JsonPropertyDescription(
                "A role with LOGIN, REPLICATION (not for mode snapshot) and SELECT on the tables. It must own the tables and may CREATE in the database where the pipe is to make the publication.")
        Credentials credentials,

        @Default("{}") @JsonPropertyDescription("TLS to Postgres.")
        Tls tls,

        @Default("{}") @JsonPropertyDescription("How the source is read.")
        PostgresSettings settings) {

    static final String HOST_RULE =
            "self.host.matches('^([A-Za-z0-9._-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$')";
    static final String HOST_MESSAGE =
            "this must be a host name or an address alone: no scheme, user or path, and the port has a field of its own";

    public PostgresSource {
        port = port == null ? 5432 : port;
        tls = tls == null ? Tls.PREFER : tls;
        settings = settings == null ? PostgresSettings.DEFAULT : settings;
    }
}
