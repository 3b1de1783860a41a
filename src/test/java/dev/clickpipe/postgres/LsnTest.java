package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LsnTest {
    @ParameterizedTest
    @ValueSource(strings = {"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/15E8068"})
    void printsWhatItRead(String text) {
        assertThat(Lsn.parse(text)).hasToString(text);
    }

    @Test
    void countsAndOrdersUnsigned() {
        var high = Lsn.parse("FFFFFFFF/0");
        var low = Lsn.parse("7FFFFFFF/FFFFFFFF");

        assertThat(high).isGreaterThan(low);
        assertThat(low.since(high)).isZero();
        assertThat(Lsn.parse("1/10").since(Lsn.parse("0/FFFFFFFF"))).isEqualTo(0x11);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "1", "/1", "x/y", "1/"})
    void refusesWhatIsNone(String text) {
        assertThatThrownBy(() -> Lsn.parse(text)).isInstanceOf(IllegalArgumentException.class);
    }
}
