package dev.clickpipe.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Debezium's embedded engine as a process of its own, see dev/debezium: it reads, counts and throws away. */
final class Debezium {
    private static final Pattern RESULT = Pattern.compile("read (\\d+) in ([0-9.]+) s");

    private Debezium() {}

    static Measured snapshot(Servers servers, Settings settings, Data.Table table) {
        return start(servers, settings, "snapshot", table.name(), "bench_debezium", "bench", table.rows());
    }

    static Measured stream(Servers servers, Settings settings, String slot, String publication, long events) {
        return start(servers, settings, "stream", "changes", slot, publication, events);
    }

    private static Measured start(
            Servers servers,
            Settings settings,
            String mode,
            String table,
            String slot,
            String publication,
            long events) {
        var command = new ArrayList<>(settings.debezium());
        command.addAll(List.of(mode, table, slot, publication, String.valueOf(events)));
        var postgres = servers.postgres();
        return Measured.start(
                "Debezium",
                command,
                Map.of(
                        "PGHOST", postgres.host(),
                        "PGPORT", String.valueOf(postgres.port()),
                        "PGUSER", postgres.user(),
                        "PGPASSWORD", postgres.password(),
                        "PGDATABASE", postgres.database()));
    }

    /** From the first event to the last, by its own clock. */
    static double seconds(Measured ended) {
        var result = RESULT.matcher(ended.said());
        if (!result.find()) {
            throw new IllegalStateException("Debezium said no result: " + ended.said());
        }
        return Double.parseDouble(result.group(2));
    }
}
