package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** The ClickHouse database that is written to, through its HTTP interface. */
@ValidationRule(value = PostgresSource.HOST_RULE, fieldPath = ".host", message = PostgresSource.HOST_MESSAGE)
@ValidationRule(
        value = "!(self.database in ['system', 'information_schema', 'INFORMATION_SCHEMA'])",
        fieldPath = ".database",
        message = "this database is one of ClickHouse's own: name a database for the replicated tables")
public record ClickHouseDestination(
        @Required
        @Size(min = 1, max = 253)
        @JsonPropertyDescription("Host name or address, as the worker pods reach it.")
        String host,

        @Default("8123")
        @Min(1)
        @Max(65535)
        @JsonPropertyDescription(
                "The HTTP port; with tls.enabled the HTTPS port, by convention 8443. Not the native protocol's 9000.")
        Integer port,

        @Required
        @Size(min = 1, max = 206)
        @JsonPropertyDescription(
                "An existing database with engine Atomic or Replicated. The pipe keeps its own state there too, in tables named _clickpipe_*.")
        String database,

        @Required @JsonPropertyDescription("A user that may create, read, write and drop tables in the database.")
        Credentials credentials,

        @JsonPropertyDescription("TLS to ClickHouse. Absent: plain HTTP.")
        ClickHouseTls tls) {

    public ClickHouseDestination {
        port = port == null ? 8123 : port;
    }

    /** HTTPS, with the server's certificate and name always checked. */
    @ValidationRule(
            value = "!has(self.ca) || self.enabled",
            fieldPath = ".ca",
            message = "a CA is given but plain HTTP checks nothing against it: set enabled: true, or leave ca out")
    public record ClickHouseTls(
            @Default("false")
            @JsonPropertyDescription(
                    "HTTPS instead of HTTP. The server's certificate and host name are always checked.")
            Boolean enabled,

            @JsonPropertyDescription("The CA certificate, PEM. Absent: the trust store of the worker's Java.")
            Tls.SecretKey ca) {

        public ClickHouseTls {
            enabled = enabled != null && enabled;
        }
    }
}
