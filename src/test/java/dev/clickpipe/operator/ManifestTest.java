package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipe;
import io.fabric8.kubernetes.client.utils.Serialization;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ManifestTest {

    /** Which edit concerns whom: a changed key is a new Job, a rolled pod, or a Setup that is due. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    # from                   | to                         | setup | snapshot | cdc   | teardown | setup is due
                    syncIntervalSeconds: 5   | syncIntervalSeconds: 6     |       |          | cdc   |          |
                    pullBatchSize: 100000    | pullBatchSize: 6           |       |          | cdc   |          |
                    initialLoadParallelism: 4| initialLoadParallelism: 6  |       | snapshot |       |          |
                    host: "postgres.         | host: "other.              | setup | snapshot | cdc   | teardown |
                    name: "shop-postgres"    | name: "other"              | setup | snapshot | cdc   | teardown |
                    port: 8123               | port: 8124                 | setup | snapshot | cdc   | teardown |
                    database: "shop"         | database: "other"          | setup | snapshot | cdc   | teardown | due
                    sourceTable: "customers" | sourceTable: "clients"     | setup | snapshot | cdc   | teardown | due
                    replicationMode: "cdc"   | replicationMode: "cdc_only"| setup | snapshot | cdc   | teardown | due
                    deletionPolicy: "Retain" | deletionPolicy: "Delete"   |       |          |       | teardown |
                    nodeSelector: {}         | nodeSelector: {disk: ssd}  |       |          |       |          |
                    uid: "6f1c1a52           | uid: "7f1c1a52             | setup | snapshot | cdc   | teardown | due
                    generation: 1            | generation: 2              |       |          |       |          |
                    """)
    void keys(String from, String to, String setup, String snapshot, String cdc, String teardown, String due) {
        var before = Pipes.cdc();
        var after = Pipes.edited(before, from, to);
        assertThat(changed(before, after, Role.SETUP)).isEqualTo(setup != null);
        assertThat(changed(before, after, Role.SNAPSHOT)).isEqualTo(snapshot != null);
        assertThat(changed(before, after, Role.CDC)).isEqualTo(cdc != null);
        assertThat(changed(before, after, Role.TEARDOWN)).isEqualTo(teardown != null);
        assertThat(!Manifest.setupKey(before).equals(Manifest.setupKey(after))).isEqualTo(due != null);
    }

    private static boolean changed(ClickPipe before, ClickPipe after, Role role) {
        return !Manifest.of(before, role).key().equals(Manifest.of(after, role).key());
    }

    /** Keys outlive the operator: when one of these changes, an upgrade restarts every worker there is. */
    @Test
    void keysStayAsTheyAre() {
        assertThat(Manifest.of(Pipes.cdc(), Role.SETUP).key()).isEqualTo("3998e848");
        assertThat(Manifest.of(Pipes.cdc(), Role.CDC).key()).isEqualTo("3998e848");
        assertThat(Manifest.setupKey(Pipes.cdc())).isEqualTo("1bf6e5dc");
    }

    @Test
    void aWorkerReadsBackWhatWasWritten() {
        var read = Serialization.unmarshal(Manifest.of(Pipes.cdc(), Role.CDC).yaml(), ClickPipe.class);
        assertThat(read.getMetadata().getUid())
                .isEqualTo(Pipes.cdc().getMetadata().getUid());
        assertThat(read.getSpec()).isEqualTo(Pipes.cdc().getSpec());
    }
}
