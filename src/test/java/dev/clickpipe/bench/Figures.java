package dev.clickpipe.bench;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Collects measurements, in the order in which each was first made. For one thread. */
final class Figures {
    private final Map<Key, List<Double>> values = new LinkedHashMap<>();

    private record Key(String suite, String scenario, String subject, String metric, String unit) {}

    void add(String suite, String scenario, String subject, String metric, String unit, double value) {
        values.computeIfAbsent(new Key(suite, scenario, subject, metric, unit), key -> new ArrayList<>())
                .add(value);
    }

    List<Figure> all() {
        var figures = new ArrayList<Figure>();
        values.forEach((key, measured) -> {
            var sorted = measured.stream().sorted().toList();
            figures.add(new Figure(
                    key.suite,
                    key.scenario,
                    key.subject,
                    key.metric,
                    key.unit,
                    rounded(percentile(sorted, 50)),
                    rounded(sorted.getFirst()),
                    rounded(sorted.getLast()),
                    sorted.size()));
        });
        return figures;
    }

    /** @param sorted not empty; between two of its values the mean weighted by nearness */
    static double percentile(List<Double> sorted, double percent) {
        double place = percent / 100 * (sorted.size() - 1);
        int below = (int) place;
        int above = Math.min(below + 1, sorted.size() - 1);
        return sorted.get(below) + (place - below) * (sorted.get(above) - sorted.get(below));
    }

    /** Four digits: no measurement here is better than that. */
    private static double rounded(double value) {
        if (value == 0 || !Double.isFinite(value)) {
            return 0;
        }
        double unit = Math.pow(10, Math.floor(Math.log10(Math.abs(value))) - 3);
        return Double.parseDouble("%.6g".formatted(Math.round(value / unit) * unit));
    }

    static void write(List<Figure> figures, Path file) throws IOException {
        var printer = new DefaultPrettyPrinter().withArrayIndenter(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
        new ObjectMapper().writer(printer).writeValue(file.toFile(), figures);
    }

    static List<Figure> read(Path file) throws IOException {
        return List.of(new ObjectMapper().readValue(Files.readAllBytes(file), Figure[].class));
    }
}
