package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A committed file that is made from the code. A test makes it anew in every build: where the committed one differs, it
 * is overwritten and the build fails, so that the difference is looked at and committed.
 */
public final class GeneratedFile {
    private GeneratedFile() {}

    /** @param file relative to the project's directory */
    public static void check(Path file, String content) {
        try {
            var committed = Files.exists(file) ? Files.readString(file) : "";
            if (!committed.equals(content)) {
                Files.createDirectories(file.getParent());
                Files.writeString(file, content);
            }
            assertThat(committed.equals(content))
                    .as("%s was stale and has been made anew: look at the difference and commit it", file)
                    .isTrue();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
