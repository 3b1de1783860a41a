package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** TLS to Postgres. */
@ValidationRule(
        value = "has(self.ca) || !(self.mode in ['verify-ca'])",
        message = "tls.mode verify-ca needs tls.ca: name the Secret and key that hold the CA certificate")
public record Tls(
        @Default("prefer")
        @JsonPropertyDescription(
                "As libpq's sslmode. verify-ca and verify-full check the server's certificate against ca; verify-full without ca uses the JVM's trust store.")
        TlsMode mode,

        @JsonPropertyDescription("The CA certificate, PEM.") SecretKey ca) {

    public static final Tls PREFER = new Tls(TlsMode.PREFER, null);

    public Tls {
        mode = mode == null ? TlsMode.PREFER : mode;
    }

    /** One key of a Secret in the pipe's own namespace. */
    public record SecretKey(
            @Required @Size(min = 1, max = 253) String name,
            @Required @Size(min = 1, max = 253) String key) {}
}
