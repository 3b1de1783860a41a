package dev.clickpipe.testbed;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** {@code --name value} pairs of a command line. */
record Flags(Map<String, String> values) {
    static Flags parse(String[] args, String... known) {
        var values = new HashMap<String, String>();
        for (int i = 0; i < args.length; i += 2) {
            String name = args[i].startsWith("--") ? args[i].substring(2) : "";
            if (!Arrays.asList(known).contains(name) || i + 1 == args.length) {
                throw new IllegalArgumentException(
                        "unknown flag or no value: %s; flags are --%s".formatted(args[i], String.join(", --", known)));
            }
            values.put(name, args[i + 1]);
        }
        return new Flags(values);
    }

    String required(String name) {
        return optional(name).orElseThrow(() -> new IllegalArgumentException("--%s is missing".formatted(name)));
    }

    Optional<String> optional(String name) {
        return Optional.ofNullable(values.get(name));
    }
}
