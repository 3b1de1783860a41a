package dev.clickpipe.testbed;

import java.util.Locale;
import java.util.UUID;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.ExtensionContext;

/** What the shared servers need to know of the test class that uses them. */
final class TestClasses {
    private static final int LONGEST_PREFIX = 40;

    private TestClasses() {}

    /** Nested classes use the database of the class around them. */
    static boolean isNested(ExtensionContext context) {
        return context.getRequiredTestClass().isAnnotationPresent(Nested.class);
    }

    /** A new name that tells the class and needs no quotes. */
    static String databaseName(ExtensionContext context) {
        String name = context.getRequiredTestClass().getSimpleName().toLowerCase(Locale.ROOT);
        return name.substring(0, Math.min(name.length(), LONGEST_PREFIX))
                + "_"
                + UUID.randomUUID().toString().substring(0, 8);
    }
}
