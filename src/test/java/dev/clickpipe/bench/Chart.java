package dev.clickpipe.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Bars: the rates of each case, and latencies. As SVG. */
final class Chart {
    private static final int WIDTH = 820;
    private static final int LABEL = 270;
    private static final int BAR = 16;
    private static final int GAP = 6;
    private static final int HEADING = 34;
    private static final String OURS = "#d9822b";
    private static final String OTHERS = "#7a8aa0";

    private Chart() {}

    private record Bar(String label, double value, double min, double max) {}

    static String svg(List<Figure> figures) {
        var body = new StringBuilder();
        int y = 10;
        for (var chart : charts(figures).entrySet()) {
            y = draw(body, y, chart.getKey(), chart.getValue());
        }
        return """
                <svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %1$d %2$d" font-family="sans-serif" font-size="12">
                <rect width="100%%" height="100%%" fill="#ffffff"/>
                %s</svg>
                """.formatted(WIDTH, y + 10, body);
    }

    private static LinkedHashMap<String, List<Bar>> charts(List<Figure> figures) {
        var charts = new LinkedHashMap<String, List<Bar>>();
        for (var figure : figures) {
            var bar = new Bar(figure.subject(), figure.median(), figure.min(), figure.max());
            if (figure.unit().equals("rows/s")) {
                add(charts, figure.suite() + ", " + figure.scenario() + ": rows/s", bar);
            } else if (figure.suite().equals("latency") && figure.metric().equals("p95")) {
                add(
                        charts,
                        "commit to visible, p95: ms",
                        new Bar(
                                figure.scenario() + figure.subject().replace("us", ""),
                                figure.median(),
                                figure.min(),
                                figure.max()));
            }
        }
        return charts;
    }

    private static void add(LinkedHashMap<String, List<Bar>> charts, String title, Bar bar) {
        charts.computeIfAbsent(title, key -> new ArrayList<>()).add(bar);
    }

    private static int draw(StringBuilder out, int top, String title, List<Bar> bars) {
        double most = bars.stream().mapToDouble(Bar::max).max().orElse(1);
        double scale = (WIDTH - LABEL - 90) / (most == 0 ? 1 : most);
        out.append("<text x=\"10\" y=\"%d\" font-weight=\"bold\" fill=\"#222\">%s</text>\n"
                .formatted(top + 20, escaped(title)));
        int y = top + HEADING;
        for (var bar : bars) {
            var fill = bar.label.startsWith("us") || title.startsWith("commit") ? OURS : OTHERS;
            double end = LABEL + bar.value * scale;
            out.append(text(LABEL - 8, y + 12, "end", bar.label))
                    .append(number(
                            "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
                            LABEL, y, bar.value * scale, BAR, fill))
                    .append(number(
                            "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%2$d\" stroke=\"#222\"/>\n",
                            LABEL + bar.min * scale, y + BAR / 2, LABEL + bar.max * scale))
                    .append(text(
                            (int) Math.max(end, LABEL + bar.max * scale) + 6,
                            y + 12,
                            "start",
                            number("%,.0f", bar.value)));
            y += BAR + GAP;
        }
        return y + 6;
    }

    private static String text(int x, int y, String anchor, String text) {
        return "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" fill=\"#222\">%s</text>\n"
                .formatted(x, y, anchor, escaped(text));
    }

    private static String number(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    private static String escaped(String text) {
        return text.codePoints()
                .mapToObj(c -> c == '&' ? "&amp;" : c == '<' ? "&lt;" : Character.toString(c))
                .collect(Collectors.joining());
    }
}
