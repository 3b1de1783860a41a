package dev.clickpipe.pipe;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TerminationTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Test
    void saysEveryProblemWithItsRemedy() throws IOException {
        var one = new Problem("TargetNotEmpty", "table a.b", "has rows already", "TRUNCATE it");
        var other = new Problem("NoFreeSlot", "postgres x", "all in use", "Raise it");
        assertThat(Termination.failed(List.of(one, other), false, null).reason())
                .isEqualTo("TargetNotEmpty");
        assertThat(Termination.failed(List.of(one), false, null).text())
                .isEqualTo("table a.b: has rows already. TRUNCATE it");
        assertThat(Termination.failed(List.of(one, other), false, null).text())
                .isEqualTo(
                        "2 problems: (1) table a.b: has rows already. TRUNCATE it (2) postgres x: all in use. Raise it");
        var many = Termination.failed(Collections.nCopies(100, other), false, null);
        assertThat(JSON.readValue(many.json(), Termination.class).text())
                .startsWith("100 problems (")
                .contains(" of the problems are in the log only): (1) postgres x: all in use. Raise it (2) ");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 40, 1000})
    void fitsIntoWhatKubernetesKeeps(int count) throws IOException {
        var problems = IntStream.range(0, count)
                .mapToObj(i -> new Problem("SourceTableMissing", "table public.t" + i, "ü€😀".repeat(20), "Make it"))
                .toList();

        var json = Termination.failed(problems, false, null).json();

        assertThat(json).hasSizeLessThanOrEqualTo(4096);
        var read = JSON.readValue(json, Termination.class);
        assertThat(read.problems()).isNotEmpty().first().isEqualTo(problems.getFirst());
        int dropped = count - read.problems().size();
        assertThat(read.problems()).as("as many as fit").hasSizeGreaterThanOrEqualTo(Math.min(count, 5));
        if (dropped > 0) {
            assertThat(read.message()).contains(dropped + " of the problems are in the log only");
        }
    }

    @Test
    void cutsWhatIsTooLongByItself() throws IOException {
        var endless = new Problem("ClickHouseError", "o".repeat(5000), "m" + "😀".repeat(5000), "r".repeat(5000));
        assertThat(Termination.failed(List.of(endless), true, null).json()).hasSizeLessThanOrEqualTo(4096);

        var read =
                JSON.readValue(Termination.failed(List.of(endless), true, null).json(), Termination.class);

        assertThat(read.retryable()).isTrue();
        assertThat(read.problems()).hasSize(1);
        assertThat(read.message()).endsWith("…").hasSizeLessThan(1000);
    }
}
