package dev.clickpipe.chaos;

import java.util.List;
import org.junit.jupiter.api.Test;

/** A minute of {@link Chaos}; more of it by hand. */
class ChaosIT {
    @Test
    void aShortRun() throws Exception {
        Chaos.run(
                Long.getLong("chaos.seed", 1),
                5_000,
                List.of(Strike.LOAD_KILLED, Strike.DESTINATION_RESET),
                List.of(
                        Strike.STREAM_KILLED,
                        Strike.STREAM_DOUBLED,
                        Strike.SOURCE_CRASHES,
                        Strike.DESTINATION_KILLED,
                        Strike.DESTINATION_CUT),
                System.out);
    }
}
