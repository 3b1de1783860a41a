package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonProperty;

/** libpq's {@code sslmode}, without {@code allow} (PostgreSQL documentation, chapter 34.19 "SSL Support"). */
public enum TlsMode {
    @JsonProperty("disable")
    DISABLE,
    @JsonProperty("prefer")
    PREFER,
    @JsonProperty("require")
    REQUIRE,
    @JsonProperty("verify-ca")
    VERIFY_CA,
    @JsonProperty("verify-full")
    VERIFY_FULL;

    /** The value as libpq and pgjdbc spell it. */
    public String sslmode() {
        return name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
    }
}
