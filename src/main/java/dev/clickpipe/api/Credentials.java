package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** Where user name and password are. They are mounted as files and reread when a login fails, so they can be rotated. */
public record Credentials(
        @Required
        @JsonPropertyDescription(
                "The Secret that holds user name and password. It is mounted as files and read again when a login fails: to rotate a password, change the Secret.")
        SecretRef secretRef) {

    public record SecretRef(
            @Required
            @Size(min = 1, max = 253)
            @Pattern(Tls.SecretKey.NAME)
            @JsonPropertyDescription("Name of a Secret in the pipe's own namespace.")
            String name,

            @Default("username")
            @Size(min = 1, max = 253)
            @Pattern(Tls.SecretKey.KEY)
            @JsonPropertyDescription("The Secret's key that holds the user name.")
            String usernameKey,

            @Default("password")
            @Size(min = 1, max = 253)
            @Pattern(Tls.SecretKey.KEY)
            @JsonPropertyDescription("The Secret's key that holds the password.")
            String passwordKey) {

        public SecretRef {
            usernameKey = usernameKey == null ? "username" : usernameKey;
            passwordKey = passwordKey == null ? "password" : passwordKey;
        }
    }
}
