package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The examples sent as their readers send them, to a real API server that is as old as any the operator is made for. */
@ExtendWith(Cluster.Extension.class)
class ExamplesIT {
    static List<Path> examples() throws IOException {
        try (var files = Files.list(Path.of("examples"))) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("examples")
    void isAccepted(Path example, Cluster cluster) throws Exception {
        var answer = cluster.api.kubectl(
                "apply", "--namespace=" + cluster.namespace, "--dry-run=server", "-f", example.toString());
        assertThat(answer.lines()).isNotEmpty().allMatch(line -> line.endsWith(" created (server dry run)"));
    }
}
