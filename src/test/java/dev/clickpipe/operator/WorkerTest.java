package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.GeneratedFile;
import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.operator.Plan.JobRef;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class WorkerTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");

    private final Worker worker = new Worker(Pipes.SETTINGS);

    @ParameterizedTest
    @EnumSource(value = Role.class, mode = EnumSource.Mode.EXCLUDE, names = "CDC")
    void jobs(Role role) {
        check(role.word(), job(Pipes.cdc(), role), worker.configMap(Pipes.cdc(), role));
    }

    @Test
    void deployment() {
        check("cdc", worker.deployment(Pipes.cdc()), worker.configMap(Pipes.cdc(), Role.CDC));
    }

    @Test
    void aLoadOfSeveralPods() {
        var pipe = Pipes.edited(Pipes.cdc(), "snapshotParallelism: 1", "snapshotParallelism: 3");
        check("snapshot-3", job(pipe, Role.SNAPSHOT));
        assertThat(worker.template(pipe, Role.SNAPSHOT)).isNotEqualTo(worker.template(Pipes.cdc(), Role.SNAPSHOT));
        for (var role : Role.values()) {
            if (role != Role.SNAPSHOT) {
                assertThat(worker.template(pipe, role)).isEqualTo(worker.template(Pipes.cdc(), role));
            }
        }
    }

    /** Every setting there is, of the pipe and of the installation. */
    @Test
    void complete() throws IOException {
        var pipe = Serialization.unmarshal(Files.readString(Path.of("examples/complete.yaml")), ClickPipe.class);
        pipe.getMetadata().setNamespace("shop");
        pipe.getMetadata().setUid("11111111-2222-3333-4444-555555555555");
        var installed = new Worker(new Settings(
                "registry.example/clickpipe@sha256:0123",
                Optional.of("Always"),
                9090,
                "json",
                Duration.ofSeconds(1),
                Duration.ofMinutes(2)));
        check("complete", installed.deployment(pipe), installed.configMap(pipe, Role.CDC));
    }

    @Test
    void namesFitWhatKubernetesAllows() {
        var longest = Pipes.named(Pipes.cdc(), "a".repeat(62) + "1");
        var other = Pipes.named(Pipes.cdc(), "a".repeat(62) + "2");
        for (var role : Role.values()) {
            var ref = new JobRef(role, "01234567", 1234);
            assertThat(Worker.name(ref, longest)).hasSizeLessThanOrEqualTo(63).isNotEqualTo(Worker.name(ref, other));
        }
        assertThat(Worker.deploymentName(longest)).hasSizeLessThanOrEqualTo(63);
        assertThat(Worker.configMapName(longest, Role.SNAPSHOT, "01234567")).hasSizeLessThanOrEqualTo(63);
        assertThat(worker.deployment(longest).getMetadata().getLabels().values())
                .allMatch(label -> label.length() <= 63);
    }

    @Test
    void theTemplateStandsForWhatThePipesAuthorCanChange() {
        var template = worker.template(Pipes.cdc(), Role.SETUP);
        assertThat(worker.template(Pipes.onNodes(Pipes.cdc(), "disk", "ssd"), Role.SETUP))
                .isNotEqualTo(template);
        assertThat(worker.template(Pipes.edited(Pipes.cdc(), "shop-postgres", "other"), Role.SETUP))
                .isNotEqualTo(template);
        assertThat(worker.template(Pipes.settings(Pipes.cdc(), "pullBatchSize", 7), Role.SETUP))
                .isEqualTo(template);
        var upgraded = new Worker(new Settings(
                "registry.example/clickpipe:2.0",
                Pipes.SETTINGS.pullPolicy(),
                Pipes.SETTINGS.port(),
                Pipes.SETTINGS.logFormat(),
                Pipes.SETTINGS.poll(),
                Pipes.SETTINGS.teardownTimeout()));
        assertThat(upgraded.template(Pipes.cdc(), Role.SETUP)).isEqualTo(template);
    }

    @Test
    void noSecretIsInAnythingThatIsMade() {
        for (var role : Role.values()) {
            assertThat(Manifest.of(Pipes.cdc(), role).yaml())
                    .contains("secretRef")
                    .doesNotContain("hunter2");
        }
        assertThat(worker.deployment(Pipes.cdc())
                        .getSpec()
                        .getTemplate()
                        .getSpec()
                        .getContainers()
                        .getFirst()
                        .getEnv())
                .isEmpty();
    }

    private HasMetadata job(ClickPipe pipe, Role role) {
        return worker.job(pipe, new JobRef(role, Manifest.of(pipe, role).key(), 1));
    }

    private static void check(String name, HasMetadata... objects) {
        var yaml = Stream.of(objects).map(Serialization::asYaml).reduce("", String::concat);
        GeneratedFile.check(GOLDEN.resolve(name + ".yaml"), yaml);
    }
}
