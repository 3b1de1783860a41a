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
                    sourceTable: "customers" | sourceTable: "clients"     | setup | snapshot |       | teardown | due
                    replicationMode: "cdc"   | replicationMode: "cdc_only"| setup | snapshot | cdc   | teardown | due
                    deletionPolicy: "Retain" | deletionPolicy: "Delete"   | setup |          |       | teardown |
                    state: "Running"         | state: "Paused"            |       |          |       |          |
                    state: "Running"         | resync: "1"                | setup | snapshot |       | teardown | due
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

    @Test
    void aTablesTokenIsSetupsBusiness() {
        var target = "targetTable: \"customers\"";
        var after = Pipes.edited(Pipes.cdc(), target, target + "\n    resync: \"1\"");
        assertThat(after.getSpec().tableMappings().getLast().resync()).isEqualTo("1");
        assertThat(Manifest.setupKey(after)).isNotEqualTo(Manifest.setupKey(Pipes.cdc()));
        assertThat(changed(Pipes.cdc(), after, Role.CDC)).isFalse();
    }

    /** What the stream writes is recorded with the targets; so tables come and go without a restart. */
    @Test
    void theStreamIsToldOfNoTable() {
        var paused = Pipes.edited(Pipes.cdc(), "state: \"Running\"", "state: \"Paused\"\n  resync: \"1\"");
        assertThat(Manifest.of(paused, Role.CDC).yaml()).doesNotContain("tableMappings", "resync", "state");
        assertThat(Manifest.of(paused, Role.SETUP).yaml())
                .contains("tableMappings", "resync")
                .doesNotContain("state");
    }

    /** Another one waits for Setup; all else about a stream applies at once. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    database: "shop"         | database: "other"           | another
                    replicationMode: "cdc"   | replicationMode: "cdc_only" | another
                    replicationSlotName: ""  | replicationSlotName: "mine" | another
                    publicationName: ""      | publicationName: "mine"     |
                    host: "postgres.         | host: "other.               |
                    name: "shop-postgres"    | name: "other"               |
                    pullBatchSize: 100000    | pullBatchSize: 6            |
                    sourceTable: "customers" | sourceTable: "clients"      |
                    """)
    void streamKeys(String from, String to, String another) {
        var after = Pipes.edited(Pipes.cdc(), from, to);
        assertThat(!Manifest.streamKey(Pipes.cdc()).equals(Manifest.streamKey(after)))
                .isEqualTo(another != null);
    }

    /** Keys outlive the operator: when one of these changes, an upgrade restarts every worker there is. */
    @Test
    void keysStayAsTheyAre() {
        assertThat(Manifest.of(Pipes.cdc(), Role.SETUP).key()).isEqualTo("3998e848");
        assertThat(Manifest.of(Pipes.cdc(), Role.CDC).key()).isEqualTo("ebbccad6");
        assertThat(Manifest.setupKey(Pipes.cdc())).isEqualTo("1bf6e5dc");
    }

    @Test
    void aWorkerReadsBackWhatWasWritten() {
        var read = Serialization.unmarshal(Manifest.of(Pipes.cdc(), Role.SETUP).yaml(), ClickPipe.class);
        assertThat(read.getMetadata().getUid())
                .isEqualTo(Pipes.cdc().getMetadata().getUid());
        assertThat(read.getSpec()).isEqualTo(Pipes.cdc().getSpec());
    }
}
