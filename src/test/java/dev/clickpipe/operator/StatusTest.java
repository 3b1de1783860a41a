package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.ClickPipeStatus.InitialLoad;
import dev.clickpipe.api.Phase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StatusTest {

    @ParameterizedTest
    @CsvSource({
        "0, 0 B",
        "1023, 1023 B",
        "1024, 1.0 KiB",
        "1258291, 1.2 MiB",
        "10485760, 10 MiB",
        "1073741823, 1.0 GiB",
        "9223372036854775807, 8192 PiB"
    })
    void bytes(long n, String text) {
        assertThat(Status.bytes(n)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "999, 999", "1000, 1.0k", "310000, 310k", "999999, 1.0M", "1200000, 1.2M", "2000000000, 2.0G"})
    void counts(long n, String text) {
        assertThat(Status.count(n)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({"0, 0s", "12, 12s", "60, 1m", "310, 5m10s", "3600, 1h", "11100, 3h5m", "187200, 2d4h"})
    void durations(long seconds, String text) {
        assertThat(Status.duration(seconds)).isEqualTo(text);
    }

    /** Written by another version: what this one does not know is passed over, and found out again. */
    @Test
    void anOldOrNewerStatusIsReadAsFarAsItGoes() {
        var pipe = KubeApi.serialization().unmarshal("""
                apiVersion: clickpipe.dev/v1alpha1
                kind: ClickPipe
                metadata: {namespace: shop, name: orders}
                spec:
                  source: {postgres: {host: h, database: d, credentials: {secretRef: {name: s}}}}
                  tableMappings: [{sourceSchemaName: public, sourceTable: orders, targetTable: orders}]
                  destination: {clickhouse: {host: h, database: d, credentials: {secretRef: {name: s}}}}
                status:
                  phase: Hibernating
                  message: dreaming
                  hibernation: {depth: 3}
                  observedSetup: "01234567"
                  tables: [{source: public.orders, phase: Dreaming, nap: true}]
                """, ClickPipe.class);
        assertThat(pipe.getStatus().phase()).isNull();
        assertThat(pipe.getStatus().observedSetup()).isEqualTo("01234567");
        assertThat(pipe.getStatus().tables().getFirst().phase()).isNull();
    }

    /** Until Setup has said what is due, and then until the load says how far it is. */
    @Test
    void aLoadThatIsToComeHasNotBegun() {
        var live = Given.live();
        var running = Pipes.copy(live.pipe());
        running.setStatus(status(live));
        assertThat(running.getStatus().initialLoad())
                .returns("2/2", InitialLoad::tables)
                .returns("100 %", InitialLoad::progress);

        var resync = status(new Given(running, live.observed()).with(Pipes.resync(running, "again")));
        assertThat(resync.phase()).isEqualTo(Phase.Snapshot);
        assertThat(resync.initialLoad())
                .returns("0/2", InitialLoad::tables)
                .returns("0 %", InitialLoad::progress)
                .returns(running.getStatus().initialLoad().completedAt(), InitialLoad::completedAt);

        var added = status(new Given(running, live.observed()).with(Pipes.adding(running, "invoices")));
        assertThat(added.phase()).isEqualTo(Phase.Snapshot);
        assertThat(added.initialLoad()).returns("2/3", InitialLoad::tables).returns("0 %", InitialLoad::progress);
    }

    private static ClickPipeStatus status(Given given) {
        return Status.of(given.pipe(), given.plan(), given.observed(), Given.NOW);
    }
}
