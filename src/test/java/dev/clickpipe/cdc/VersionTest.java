package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.codec.RowVersion;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.postgres.Lsn;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VersionTest {
    @ParameterizedTest
    @CsvSource({"0/0, 0", "0/1, 0", "16/B374D848, 12345678901", "FFFFFFFF/FFFFFFFF, -1", "80000000/0, 1"})
    void readsWhatIsWritten(String lsn, long ordinal) {
        var version = new Version(Lsn.parse(lsn), ordinal);
        var written = new TsvBuffer();
        RowVersion.append(written, version.commit().value(), ordinal);
        assertThat(version).hasToString(written.toString());
        assertThat(Version.parse(written.toString())).isEqualTo(version);
    }

    @ParameterizedTest
    @CsvSource({"1/0, 5, 1/1, 1", "1/0, 1, 1/0, 2", "7FFFFFFF/0, 1, 80000000/0, 1", "1/0, 1, 1/0, -1"})
    void laterCommitsThenLaterRowsAreGreater(String lsn, long ordinal, String laterLsn, long laterOrdinal) {
        assertThat(new Version(Lsn.parse(lsn), ordinal)).isLessThan(new Version(Lsn.parse(laterLsn), laterOrdinal));
    }
}
