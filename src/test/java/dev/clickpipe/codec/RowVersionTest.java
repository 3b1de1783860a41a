package dev.clickpipe.codec;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

class RowVersionTest {
    @Test
    void is_the_decimal_of_lsn_and_ordinal() {
        var random = RandomGenerator.getDefault();
        for (int i = 0; i < 100_000; i++) {
            check(random.nextLong() >>> random.nextInt(64), random.nextLong() >>> random.nextInt(64));
        }
    }

    @Test
    void at_its_ends() {
        for (long lsn : new long[] {0, 1, 999_999_999, 1_000_000_000, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
            for (long ordinal : new long[] {0, 1, 999_999_999, 1_000_000_000, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
                check(lsn, ordinal);
            }
        }
    }

    @Test
    void counted_within_a_commit() {
        for (long from : new long[] {0, 1, 8, 998, 999_999_998, Long.MAX_VALUE - 2, -3}) {
            for (long lsn : new long[] {0, 1, 999_999_999, Long.MAX_VALUE, -1}) {
                var versions = new CommitVersions(lsn);
                for (long step : new long[] {0, 0, 1, 2, 3, 3, 7, 5}) {
                    var out = new TsvBuffer(1);
                    versions.append(out, from + step);
                    assertThat(out.toString()).isEqualTo(decimal(lsn, from + step));
                }
            }
        }
    }

    private static void check(long lsn, long ordinal) {
        var out = new TsvBuffer(1);
        RowVersion.append(out, lsn, ordinal);
        assertThat(out.toString()).isEqualTo(decimal(lsn, ordinal));
    }

    private static String decimal(long lsn, long ordinal) {
        return unsigned(lsn).shiftLeft(64).add(unsigned(ordinal)).toString();
    }

    private static BigInteger unsigned(long value) {
        return new BigInteger(Long.toUnsignedString(value));
    }
}
