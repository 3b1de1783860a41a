package dev.clickpipe.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The manifests that tests judge: those of {@code examples/} and the README, and the good and bad ones among the test resources. */
final class Manifests {
    static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    private static final Path README = Path.of("README.md");
    private static final Pattern YAML_BLOCK = Pattern.compile("(?s)```yaml\n(.*?)```");
    private static final Path EXAMPLES = Path.of("examples");
    private static final Path GOOD = Path.of("src/test/resources/manifests/good");
    private static final Path BAD = Path.of("src/test/resources/manifests/bad");
    private static final String REFUSED = "# refused: ";

    private Manifests() {}

    record Manifest(Path file, JsonNode content) {
        ClickPipeSpec spec() {
            return spec(content);
        }

        static ClickPipeSpec spec(JsonNode content) {
            return YAML.convertValue(content.get("spec"), ClickPipeSpec.class);
        }

        @Override
        public String toString() {
            return file.toString();
        }
    }

    /** @param refusal what the API server must say, at least */
    record BadManifest(Manifest manifest, String refusal) {
        @Override
        public String toString() {
            return manifest.toString();
        }
    }

    /** Every ClickPipe that must be accepted. */
    static List<Manifest> good() {
        return Stream.concat(in(EXAMPLES), in(GOOD))
                .flatMap(Manifests::clickPipes)
                .toList();
    }

    static List<BadManifest> bad() {
        return in(BAD).flatMap(file -> clickPipes(file).map(manifest -> new BadManifest(manifest, refusal(file))))
                .toList();
    }

    static Manifest example(String name) {
        return clickPipes(EXAMPLES.resolve(name)).findFirst().orElseThrow();
    }

    private static String refusal(Path file) {
        var first = text(file).lines().findFirst().orElse("");
        if (!first.startsWith(REFUSED)) {
            throw new IllegalStateException(file + " must begin with \"" + REFUSED + "…\"");
        }
        return first.substring(REFUSED.length());
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Stream<Path> in(Path directory) {
        try (var files = Files.list(directory)) {
            return files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Stream<Manifest> inReadme() {
        return YAML_BLOCK.matcher(text(README)).results().flatMap(block -> clickPipes(README, block.group(1)));
    }

    private static Stream<Manifest> clickPipes(Path file) {
        return clickPipes(file, text(file));
    }

    private static Stream<Manifest> clickPipes(Path file, String yaml) {
        try (var documents = YAML.readerFor(JsonNode.class).<JsonNode>readValues(yaml)) {
            return documents.readAll().stream()
                    .filter(document -> document.path("kind").asText().equals(ClickPipe.KIND))
                    .map(document -> new Manifest(file, document));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
