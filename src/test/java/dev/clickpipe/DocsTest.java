package dev.clickpipe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What can be checked of the pages that people wrote. */
class DocsTest {
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#:]*)(?:#([^)]*))?\\)");
    private static final Pattern REASON = Pattern.compile("`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`");

    @Test
    void linksLeadSomewhere() throws IOException {
        var broken = new ArrayList<String>();
        for (var page : pages()) {
            for (var link : matches(LINK, page)) {
                var target = link.group(1).isEmpty() ? page : page.resolveSibling(link.group(1));
                var anchor = link.group(2);
                if (!Files.exists(target) || anchor != null && !anchors(target).contains(anchor)) {
                    broken.add(page + ": " + link.group());
                }
            }
        }
        assertThat(broken).isEmpty();
    }

    @Test
    void everyPhaseIsExplained() throws IOException {
        var anchors = anchors(Path.of("docs/lifecycle.md"));
        for (var phase : Phase.values()) {
            assertThat(anchors).contains(phase.name().toLowerCase(Locale.ROOT));
        }
    }

    /** A reason that the program no longer gives, or spells otherwise, is not to be explained. */
    @Test
    void everyReasonThatIsExplainedCanBeGiven() throws IOException {
        var sources = new StringBuilder();
        try (var files = Files.walk(Path.of("src/main/java"))) {
            for (var file : files.filter(Files::isRegularFile).toList()) {
                sources.append(Files.readString(file));
            }
        }
        var unknown = matches(REASON, Path.of("docs/lifecycle.md")).stream()
                .map(reason -> reason.group(1))
                .filter(reason -> !sources.toString().contains(reason))
                .filter(reason -> !KUBERNETES_REASONS.contains(reason))
                .distinct()
                .toList();
        assertThat(unknown).isEmpty();
    }

    private static final List<String> KUBERNETES_REASONS = List.of("FailedMount", "FailedCreate", "ImagePullBackOff");

    private static List<Path> pages() throws IOException {
        try (var docs = Files.list(Path.of("docs"))) {
            return Stream.concat(Stream.of(Path.of("README.md"), Path.of("helm/argocd/README.md")), docs)
                    .filter(page -> page.toString().endsWith(".md"))
                    .toList();
        }
    }

    /** Those of a page's headings, as GitHub makes them. */
    private static List<String> anchors(Path page) throws IOException {
        if (!page.toString().endsWith(".md")) {
            return List.of();
        }
        return Files.readAllLines(page).stream()
                .filter(line -> line.startsWith("#"))
                .map(line -> line.replaceFirst("#+ ", "").toLowerCase(Locale.ROOT))
                .map(heading -> heading.replaceAll("[^a-z0-9 _-]", "").replace(' ', '-'))
                .toList();
    }

    private static List<MatchResult> matches(Pattern pattern, Path page) throws IOException {
        return pattern.matcher(Files.readString(page)).results().toList();
    }
}
