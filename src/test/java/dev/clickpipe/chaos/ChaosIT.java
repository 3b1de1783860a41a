package dev.clickpipe.chaos;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Two minutes of {@link Chaos}, without what takes long to be noticed; all of it, and more of it, by hand. */
class ChaosIT {
    @Test
    void aShortRun() throws Exception {
        Chaos.run(
                Long.getLong("chaos.seed", 1),
                5_000,
                List.of(Strike.LOAD_KILLED, Strike.LOAD_DOUBLED, Strike.DESTINATION_RESET, Strike.DESTINATION_FULL),
                List.of(
                        Strike.STREAM_STUTTERS,
                        Strike.STREAM_KILLED,
                        Strike.STREAM_DOUBLED,
                        Strike.CLOCK_BACK,
                        Strike.SOURCE_CRASHES,
                        Strike.DESTINATION_KILLED,
                        Strike.DESTINATION_FULL,
                        Strike.DESTINATION_CUT),
                System.out);
    }
}
