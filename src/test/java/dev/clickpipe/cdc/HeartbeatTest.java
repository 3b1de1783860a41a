package dev.clickpipe.cdc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.postgres.Lsn;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class HeartbeatTest {
    private static final Lsn CONFIRMED = Lsn.parse("1/0");
    private static final Lsn FAR_AHEAD = Lsn.parse("1/2000000");

    private final Heartbeat heartbeat = new Heartbeat();

    private static long at(int seconds) {
        return Duration.ofSeconds(seconds).toNanos();
    }

    @Test
    void nothingIsWrittenOnAnIdleDatabase() {
        for (int second = 0; second < 600; second += 5) {
            assertThat(heartbeat.due(at(second), CONFIRMED, CONFIRMED, false)).isFalse();
        }
    }

    @Test
    void nothingIsWrittenForLessThanASegment() {
        for (int second = 0; second < 600; second += 5) {
            assertThat(heartbeat.due(at(second), Lsn.parse("1/FFFFFF"), CONFIRMED, false))
                    .isFalse();
        }
    }

    @Test
    void aStuckSlotGetsOneEveryThirtySeconds() {
        int beats = 0;
        for (int second = 0; second <= 120; second += 5) {
            beats += heartbeat.due(at(second), FAR_AHEAD, CONFIRMED, false) ? 1 : 0;
        }
        assertThat(beats).isEqualTo(4);
    }

    @Test
    void aSlotThatMovesByItselfGetsNone() {
        for (int second = 0; second < 600; second += 5) {
            assertThat(heartbeat.due(at(second), Lsn.parse("2/0"), new Lsn(CONFIRMED.value() + second), false))
                    .isFalse();
        }
    }

    @Test
    void whatIsOnItsWayMovesTheSlotItself() {
        for (int second = 0; second < 600; second += 5) {
            assertThat(heartbeat.due(at(second), FAR_AHEAD, CONFIRMED, true)).isFalse();
        }
    }

    @Test
    void beforeTheFirstAcknowledgementNothingIsKnown() {
        for (int second = 0; second < 600; second += 5) {
            assertThat(heartbeat.due(at(second), FAR_AHEAD, Lsn.ZERO, false)).isFalse();
        }
    }
}
