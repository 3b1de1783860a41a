package dev.clickpipe.testbed;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A command line: {@code --name value}, {@code --switch} and arguments without a name. */
record Flags(Map<String, List<String>> values, List<String> arguments) {
    static Flags parse(String[] args, Set<String> named, Set<String> switches) {
        var values = new HashMap<String, List<String>>();
        var arguments = new ArrayList<String>();
        var words = List.of(args).iterator();
        while (words.hasNext()) {
            String word = words.next();
            String name = word.startsWith("--") ? word.substring(2) : "";
            if (switches.contains(name)) {
                values.put(name, List.of());
            } else if (named.contains(name) && words.hasNext()) {
                values.computeIfAbsent(name, key -> new ArrayList<>()).add(words.next());
            } else if (word.startsWith("--")) {
                throw new IllegalArgumentException("unknown flag, or one without its value: " + word);
            } else {
                arguments.add(word);
            }
        }
        return new Flags(values, arguments);
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    List<String> all(String name) {
        return values.getOrDefault(name, List.of());
    }

    Optional<String> optional(String name) {
        return all(name).stream().findFirst();
    }

    String required(String name) {
        return optional(name).orElseThrow(() -> new IllegalArgumentException("--%s is missing".formatted(name)));
    }

    String argument(int index, String meaning) {
        if (index >= arguments.size()) {
            throw new IllegalArgumentException(meaning + " is missing");
        }
        return arguments.get(index);
    }
}
