package dev.clickpipe.api;

import dev.clickpipe.GeneratedFile;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class CrdTest {
    static final Path FILE = Path.of("crds/clickpipes.clickpipe.dev-v1.yml");
    static final Path HELM_TEMPLATE = Path.of("helm/clickpipe-operator/templates/crds/clickpipes.yaml");

    @Test
    void theCommittedFileIsWhatTheRecordsSay() {
        GeneratedFile.check(FILE, CrdGenerator.yaml());
    }

    @Test
    void theChartHasTheSame() {
        GeneratedFile.check(HELM_TEMPLATE, CrdGenerator.helmTemplate());
    }
}
