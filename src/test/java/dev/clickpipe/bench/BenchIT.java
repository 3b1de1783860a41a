package dev.clickpipe.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.clickpipe.Main;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.SharedPostgres;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** That the tool works and writes what others read: next to nothing is measured, and no figure is judged. */
class BenchIT {
    private static final Settings.Size NEXT_TO_NOTHING = new Settings.Size(0, 0, 0, 10, 0, 0);

    private static final Pattern ALL = Pattern.compile("");

    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @TempDir
    Path directory;

    @Test
    void measuresAndWritesJsonChartAndTables() throws Exception {
        var worker = Pipeline.worker(List.of(
                "-XX:TieredStopAtLevel=1",
                "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        var settings = new Settings(NEXT_TO_NOTHING, 1, ALL, ALL, worker, null, Path.of("psql"), directory);
        List<Figure> figures;
        try (var clickHouse = ClickHouseProcess.create()) {
            figures = Bench.measure(Servers.of(POSTGRES.client(), clickHouse), settings, Set.of(Bench.Suite.cdc));
        }

        var file = directory.resolve("figures.json");
        Figures.write(figures, file);
        var json = new ObjectMapper().readTree(file.toFile());
        assertThat(json).hasSize(20).allSatisfy(BenchIT::isFigure);
        assertThat(Figures.read(file)).isEqualTo(figures);

        var page = Tables.fill("before\n<!-- dev/bench: cdc -->\nold\n<!-- end -->\nafter\n", figures, null);
        assertThat(page)
                .startsWith("before\n<!-- dev/bench: cdc -->\n")
                .endsWith("\n<!-- end -->\nafter\n")
                .contains("| us |", "| pgjdbc stream, into nothing |", "1.00 ×")
                .doesNotContain("old");
        assertThat(Tables.fill(page, figures, null)).isEqualTo(page);

        var chart = Chart.svg(figures).getBytes(StandardCharsets.UTF_8);
        var root = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new ByteArrayInputStream(chart))
                .getDocumentElement();
        assertThat(root.getElementsByTagName("rect").getLength()).isGreaterThan(3);
    }

    private static void isFigure(JsonNode figure) {
        assertThat(figure.fieldNames())
                .toIterable()
                .containsExactly("suite", "case", "subject", "metric", "unit", "median", "min", "max", "rounds");
        assertThat(figure.get("median").isNumber()).isTrue();
        assertThat(figure.get("rounds").asInt()).isOne();
    }
}
