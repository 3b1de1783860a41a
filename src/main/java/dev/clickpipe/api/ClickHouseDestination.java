package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** The ClickHouse database that is written to, through its HTTP interface. */
public record ClickHouseDestination(
        @Required
        @Size(min = 1, max = 253)
        @JsonPropertyDescription("Host name or address, as the worker pods reach it.")
        String host,

        @Default("8123") @Min(1) @Max(65535) @JsonPropertyDescription("The HTTP port, or the HTTPS port with tls.")
        Integer port,

        @Required
        @Size(min = 1, max = 206)
        @JsonPropertyDescription(
                "An existing database with engine Atomic or Replicated. The pipe keeps its own state there too, in _clickpipe_* tables.")
        String database,

        @Required Credentials credentials,

        @JsonPropertyDescription("TLS to ClickHouse; absent: plain HTTP.")
        ClickHouseTls tls) {

    public ClickHouseDestination {
        port = port == null ? 8123 : port;
    }

    /** HTTPS, with the server's certificate and name always checked. */
    public record ClickHouseTls(
            @Default("false") @JsonPropertyDescription("HTTPS instead of HTTP; certificate and host name are checked.")
            Boolean enabled,

            @JsonPropertyDescription("The CA certificate, PEM; absent: the JVM's trust store.")
            Tls.SecretKey ca) {

        public ClickHouseTls {
            enabled = enabled != null && enabled;
        }
    }
}
