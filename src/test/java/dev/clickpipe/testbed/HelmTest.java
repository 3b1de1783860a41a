package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HelmTest {
    @TempDir
    Path chart;

    @BeforeEach
    void writeChart() throws IOException {
        Files.writeString(chart.resolve("Chart.yaml"), """
                apiVersion: v2
                name: probe
                version: 0.1.0
                icon: https://example.org/icon.svg
                """);
        Files.writeString(chart.resolve("values.yaml"), "color: red\n");
        Files.writeString(Files.createDirectory(chart.resolve("templates")).resolve("map.yaml"), """
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: "{{ .Release.Name }}", namespace: "{{ .Release.Namespace }}"}
                data: {color: "{{ .Values.color }}", size: "{{ .Values.size }}"}
                """);
    }

    @Test
    void templatesWithValues() throws IOException {
        Path values = Files.writeString(chart.resolve("more.yaml"), "size: large\n");
        assertThat(Helm.run(
                        "template",
                        "mine",
                        chart.toString(),
                        "--namespace",
                        "there",
                        "--set",
                        "color=a=b",
                        "--values",
                        values.toString()))
                .contains("name: \"mine\"", "namespace: \"there\"", "color: \"a=b\"", "size: \"large\"");
    }

    @Test
    void lints() throws IOException {
        assertThat(Helm.run("lint", chart.toString())).doesNotContain("[ERROR]");
        Files.writeString(chart.resolve("templates/broken.yaml"), "{{ .Values.color ");
        assertThatThrownBy(() -> Helm.run("lint", chart.toString()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("broken.yaml");
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        assertThatThrownBy(() -> Helm.run("rollback", "mine")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Helm.run("template", "mine", "--nosuch")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Helm.run("template", "mine")).hasMessage("CHART is missing");
    }
}
