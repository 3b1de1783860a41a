package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** TLS to Postgres. */
@ValidationRule(
        value = "has(self.ca) || self.mode != 'verify-ca'",
        fieldPath = ".ca",
        message = "mode verify-ca needs ca: name the Secret and key that hold the CA certificate")
@ValidationRule(
        value = "!has(self.ca) || self.mode in ['verify-ca', 'verify-full']",
        fieldPath = ".mode",
        message = "a CA is given but this mode checks nothing against it: use verify-full, or leave ca out")
public record Tls(
        @Default("prefer")
        @JsonPropertyDescription(
                "As libpq's sslmode. prefer: encrypted where the server can, unchecked. require: encrypted, unchecked. verify-ca: the certificate is checked against ca. verify-full: certificate and host name are checked, against ca or without it against the trust store of the worker's Java.")
        TlsMode mode,

        @JsonPropertyDescription("The CA certificate, PEM; for verify-ca and verify-full.")
        SecretKey ca) {

    public static final Tls PREFER = new Tls(TlsMode.PREFER, null);

    public Tls {
        mode = mode == null ? TlsMode.PREFER : mode;
    }

    /** One key of a Secret in the pipe's own namespace. */
    public record SecretKey(
            @Required
            @Size(min = 1, max = 253)
            @Pattern(NAME)
            @JsonPropertyDescription("Name of a Secret in the pipe's own namespace.")
            String name,

            @Required @Size(min = 1, max = 253) @Pattern(KEY) @JsonPropertyDescription("The Secret's key.")
            String key) {

        // as Kubernetes itself has them (documentation, "Object Names and IDs" and "Secrets")
        static final String NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
        static final String KEY = "^[-._a-zA-Z0-9]+$";
    }
}
