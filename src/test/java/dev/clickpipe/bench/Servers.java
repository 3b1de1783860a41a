package dev.clickpipe.bench;

import dev.clickpipe.testbed.ClickHouse;
import dev.clickpipe.testbed.ClickHouseProcess;
import dev.clickpipe.testbed.Postgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.SQLException;
import java.time.Duration;

/** Both sides, and the CPU time that they take. */
record Servers(Postgres postgres, long postmaster, ClickHouseProcess clickHouseProcess) {

    private static final Duration PATIENCE = Duration.ofMinutes(30);

    static Servers of(Postgres postgres, ClickHouseProcess clickHouse) {
        try {
            long child = Long.parseLong(
                    postgres.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"));
            return new Servers(postgres, Measured.parent(child), clickHouse);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    ClickHouse clickHouse(String database) {
        return clickHouseProcess.client(database);
    }

    /** Waits until this holds of a slot, as long as the reader lives, and with some patience. */
    void await(Measured reader, String condition, String slot) throws InterruptedException {
        try (var connection = postgres.connect();
                var query = connection.prepareStatement(
                        "SELECT 1 FROM pg_replication_slots WHERE slot_name = ? AND " + condition)) {
            query.setString(1, slot);
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (true) {
                try (var rows = query.executeQuery()) {
                    if (rows.next()) {
                        return;
                    }
                }
                if (!reader.isAlive() || System.nanoTime() > deadline) {
                    throw new IllegalStateException(reader.said());
                }
                Thread.sleep(10);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Seconds since each began. */
    record Cpu(double postgres, double clickHouse) {
        Cpu since(Cpu before) {
            return new Cpu(postgres - before.postgres, clickHouse - before.clickHouse);
        }
    }

    Cpu cpu() {
        try {
            return new Cpu(Measured.cpuSecondsWithChildren(postmaster), Measured.cpuSeconds(clickHouseProcess.pid()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
