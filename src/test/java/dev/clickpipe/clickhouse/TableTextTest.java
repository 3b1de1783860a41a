package dev.clickpipe.clickhouse;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TableTextTest {
    private static final String COLUMNS =
            "(`id` Int32, `at` DateTime, `it's, \\`odd\\`` Date, `n.a` Array(Int8), `made` Date DEFAULT toDate(at) CODEC(ZSTD(1)), "
                    + "`mine` DateTime DEFAULT now() COMMENT 'at')";

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "at + toIntervalDay(1) | at",
                "mine + toIntervalDay(1) | mine",
                "made + toIntervalDay(1) | made, at",
                "mine + toIntervalDay(1) WHERE id > 5 | mine, id",
                "mine + toIntervalDay(1) WHERE s != 'at' | mine",
                "(`it's, \\`odd\\`` + toIntervalDay(1)) TO DISK 'at' | ''",
                "`it's, \\`odd\\`` + toIntervalDay(1) DELETE, at + toIntervalDay(2) TO VOLUME 'slow' | it's, `odd`",
                "mine + toIntervalDay(length(n.a)), at RECOMPRESS CODEC(ZSTD(9)) | mine, n.a"
            })
    void tellsByWhichColumnsRowsExpire(String ttl, String expected) {
        assertThat(String.join(", ", expireBy(" TTL " + ttl))).isEqualTo(expected.equals("''") ? "" : expected);
    }

    @Test
    void nothingExpiresWithoutATtl() {
        assertThat(expireBy("")).isEmpty();
    }

    private static java.util.Set<String> expireBy(String ttl) {
        return TableText.parse(
                        "CREATE TABLE t " + COLUMNS + " ENGINE = MergeTree",
                        "MergeTree ORDER BY id" + ttl + " SETTINGS index_granularity = 8192")
                .expireBy();
    }
}
