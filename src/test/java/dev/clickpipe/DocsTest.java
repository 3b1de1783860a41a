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

    /** By a scenario, or a refusal, of that name. */
    @Test
    void everyGuaranteeHasItsTest() throws IOException {
        var tests = new StringBuilder(Files.readString(Path.of("src/test/java/dev/clickpipe/setup/SetupIT.java")));
        try (var scenarios = Files.list(Path.of("src/test/java/dev/clickpipe/scenario"))) {
            for (var file : scenarios.toList()) {
                tests.append(Files.readString(file));
            }
        }
        var named = matches(EMPHASIS, Path.of("docs/guarantees.md")).stream()
                .map(name -> name.group(1).replace('\n', ' '))
                .filter(name -> !name.equals("italics"))
                .toList();
        assertThat(named).isNotEmpty().allMatch(name -> tests.indexOf('"' + name + '"') >= 0);
        var scenarios =
                SCENARIO.matcher(tests).results().map(name -> name.group(1)).toList();
        assertThat(named).containsAll(scenarios);
    }

    private static final Pattern EMPHASIS = Pattern.compile("(?<!\\*)\\*([^*\n]+)\\*(?!\\*)");
    private static final Pattern SCENARIO = Pattern.compile("[ (]scenario\\(\"([^\"]+)\"\\)");

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
