package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** Where user name and password are. They are mounted as files and reread when a login fails, so they can be rotated. */
public record Credentials(@Required SecretRef secretRef) {

    public record SecretRef(
            @Required @Size(min = 1, max = 253) @JsonPropertyDescription("A Secret in the pipe's own namespace.")
            String name,

            @Default("username") @Size(min = 1, max = 253) String usernameKey,
            @Default("password") @Size(min = 1, max = 253) String passwordKey) {

        public SecretRef {
            usernameKey = usernameKey == null ? "username" : usernameKey;
            passwordKey = passwordKey == null ? "password" : passwordKey;
        }
    }
}
