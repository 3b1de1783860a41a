package dev.clickpipe.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Figures as tables: one for each case, a line for each subject, a column for each metric. */
final class Tables {
    /** By whom the others are measured, for each suite that has such a one. */
    private static final Map<String, String> REFERENCES =
            Map.of("load", "psql | curl, 1", "cdc", "pgjdbc stream, into nothing");

    /** Between the two lines stand a suite's tables. */
    private static final Pattern PLACE = Pattern.compile("(?s)(<!-- dev/bench: (\\w+) -->\n).*?(<!-- end -->)");

    private record Table(String suite, String scenario, List<List<String>> lines) {}

    private Tables() {}

    /** For a terminal. */
    static String text(List<Figure> figures) {
        return tables(figures).stream().map(Tables::text).collect(Collectors.joining("\n"));
    }

    /**
     * A page with its tables made anew; those of suites that were not measured stay. Where the chart belongs stands {@code chart}
     * in a suite's stead.
     *
     * @param chart the file's name; null: none was drawn, and what stands there stays
     */
    static String fill(String page, List<Figure> figures, String chart) {
        return PLACE.matcher(page).replaceAll(place -> {
            var content = place.group(2).equals("chart") ? image(chart) : markdown(place.group(2), figures);
            return Matcher.quoteReplacement(
                    content.isEmpty() ? place.group() : place.group(1) + "\n" + content + "\n" + place.group(3));
        });
    }

    private static String image(String chart) {
        return chart == null ? "" : "![The figures below as bars](%s)\n".formatted(chart);
    }

    private static String markdown(String suite, List<Figure> figures) {
        return tables(figures).stream()
                .filter(table -> table.suite.equals(suite))
                .map(Tables::markdown)
                .collect(Collectors.joining("\n"));
    }

    private static List<Table> tables(List<Figure> figures) {
        return figures.stream()
                .collect(Collectors.groupingBy(
                        figure -> List.of(figure.suite(), figure.scenario()), LinkedHashMap::new, Collectors.toList()))
                .entrySet()
                .stream()
                .map(one -> new Table(one.getKey().getFirst(), one.getKey().getLast(), lines(one.getValue())))
                .toList();
    }

    private static List<List<String>> lines(List<Figure> figures) {
        var metrics = figures.stream()
                .sorted(Comparator.comparing(figure -> !isRate(figure)))
                .map(Tables::heading)
                .distinct()
                .toList();
        var reference = figures.stream()
                .filter(figure -> figure.subject().equals(REFERENCES.get(figure.suite())))
                .filter(Tables::isRate)
                .findFirst();
        var lines = new ArrayList<List<String>>();
        var first = new ArrayList<>(List.of(""));
        first.addAll(metrics);
        lines.add(first);
        figures.stream()
                .collect(Collectors.groupingBy(Figure::subject, LinkedHashMap::new, Collectors.toList()))
                .forEach((subject, ofSubject) -> {
                    var line = new ArrayList<>(List.of(subject));
                    for (var metric : metrics) {
                        line.add(ofSubject.stream()
                                .filter(figure -> heading(figure).equals(metric))
                                .findFirst()
                                .map(figure -> value(figure)
                                        + reference
                                                .filter(other -> isRate(figure))
                                                .map(other -> ", %.2f ×".formatted(figure.median() / other.median()))
                                                .orElse(""))
                                .orElse(""));
                    }
                    lines.add(line);
                });
        return lines;
    }

    private static boolean isRate(Figure figure) {
        return figure.unit().equals("rows/s");
    }

    private static String heading(Figure figure) {
        return figure.unit().isEmpty() ? figure.metric() : figure.metric() + ", " + figure.unit();
    }

    /** With its spread where it matters and there is one. */
    private static String value(Figure figure) {
        boolean spread = figure.max() != figure.min()
                && (isRate(figure) || figure.suite().equals("memory"));
        return number(figure.median())
                + (spread ? " (%s–%s)".formatted(number(figure.min()), number(figure.max())) : "");
    }

    private static String number(double value) {
        return value >= 100 || value == Math.rint(value)
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(Locale.ROOT, value >= 10 ? "%.1f" : "%.2f", value);
    }

    private static String text(Table table) {
        var widths = new int[table.lines.getFirst().size()];
        for (var line : table.lines) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], line.get(i).length());
            }
        }
        var text = new StringBuilder(table.suite + ": " + table.scenario + "\n");
        for (var line : table.lines) {
            for (int i = 0; i < widths.length; i++) {
                text.append("  ").append(padded(line.get(i), i == 0 ? -widths[i] : widths[i]));
            }
            text.append('\n');
        }
        return text.toString();
    }

    private static String padded(String cell, int width) {
        return ("%" + width + "s").formatted(cell);
    }

    private static String markdown(Table table) {
        var text = new StringBuilder("**" + table.scenario + "**\n\n");
        for (var line : table.lines) {
            text.append("| ")
                    .append(line.stream().map(cell -> cell.replace("|", "\\|")).collect(Collectors.joining(" | ")))
                    .append(" |\n");
            if (line == table.lines.getFirst()) {
                text.append("|---").append("|---:".repeat(line.size() - 1)).append("|\n");
            }
        }
        return text.toString();
    }
}
