package dev.clickpipe.pipe;

import io.micrometer.core.instrument.MeterRegistry;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Dates and times that became the nearest end of the target's range, since this worker started. Thread-safe. */
public final class ClampedValues {
    private static final Logger LOG = LoggerFactory.getLogger(ClampedValues.class);

    private final MeterRegistry meters;
    private final Map<String, Set<String>> columns = new ConcurrentHashMap<>();

    public ClampedValues(MeterRegistry meters) {
        this.meters = meters;
    }

    /** @param table the source table, as people write it */
    public void add(String table, Collection<String> ofColumns, long values) {
        if (values == 0) {
            return;
        }
        meters.counter("clickpipe.values.clamped", "table", table).increment(values);
        var known = columns.computeIfAbsent(table, any -> new ConcurrentSkipListSet<>());
        for (var column : ofColumns) {
            if (known.add(column)) {
                LOG.warn(
                        "table {}, column {}: has values beyond the range of its type in the target; they became the nearest end of it",
                        table,
                        column);
            }
        }
    }

    /** What the table's status says; null when it has none. */
    public String note(String table) {
        var known = columns.get(table);
        return known == null
                ? null
                : "Values of " + String.join(", ", known)
                        + " lie beyond the range of the type in the target, and became the nearest end of it.";
    }
}
