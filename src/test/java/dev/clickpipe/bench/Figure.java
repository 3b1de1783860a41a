package dev.clickpipe.bench;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * What was measured of one thing, over all rounds.
 *
 * @param scenario what was done; {@code case} in JSON
 * @param subject who did it
 */
record Figure(
        String suite,
        @JsonProperty("case") String scenario,
        String subject,
        String metric,
        String unit,
        double median,
        double min,
        double max,
        int rounds) {}
