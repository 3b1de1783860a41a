package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** The Postgres database that is replicated. */
public record PostgresSource(
        @Required
        @Size(min = 1, max = 253)
        @JsonPropertyDescription("Host name or address, as the worker pods reach it. Not a transaction pooler.")
        String host,

        @Default("5432") @Min(1) @Max(65535) Integer port,
        @Required @Size(min = 1, max = 63) String database,

        @Required
        @JsonPropertyDescription(
                "A role with LOGIN, REPLICATION and SELECT on the tables; it must own them if the pipe is to make the publication.")
        Credentials credentials,

        Tls tls,
        PostgresSettings settings) {

    public PostgresSource {
        port = port == null ? 5432 : port;
        tls = tls == null ? Tls.PREFER : tls;
        settings = settings == null ? PostgresSettings.DEFAULT : settings;
    }
}
