package dev.clickpipe.cdc;

import dev.clickpipe.postgres.Lsn;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What goes to ClickHouse at once: rows of any number of tables, then truncations. Built by the reading thread, then handed
 * over to the applier and not changed any more.
 */
final class Batch {
    private final Map<String, Rows> tables = new LinkedHashMap<>();
    private final List<Truncation> truncations = new ArrayList<>();
    private long rows;
    private long bytes;
    private long rowsOfTransaction;
    private long bytesOfTransaction;
    private long firstChangeAt;
    private Instant oldestCommit;
    private Lsn end = Lsn.ZERO;
    private boolean fenced;
    /** How far the rows go that were sent before, as far as this batch has such; null: it has none. */
    private Version resentUntil;
    /** All that was sent before is in this batch, and what follows belongs to the next. */
    private boolean resent;

    /** All rows of a target with a version below this one go. */
    record Truncation(Target target, Version version) {}

    /** A transaction begins inside this batch. */
    void begin() {
        rowsOfTransaction = 0;
        bytesOfTransaction = 0;
    }

    Rows rows(Target target) {
        return tables.computeIfAbsent(target.name(), name -> new Rows(target));
    }

    /** Counts what was appended to one of the tables. */
    void grew(int rowsMore, long bytesMore, Instant committedAt) {
        if (rows == 0) {
            firstChangeAt = System.nanoTime();
        }
        if (oldestCommit == null) {
            oldestCommit = committedAt;
        }
        rows += rowsMore;
        bytes += bytesMore;
        rowsOfTransaction += rowsMore;
        bytesOfTransaction += bytesMore;
    }

    /** Ends the batch: rows that come later in the stream belong behind the truncation, into another batch. */
    void truncate(Truncation truncation, Instant committedAt) {
        truncations.add(truncation);
        if (oldestCommit == null) {
            oldestCommit = committedAt;
        }
    }

    /** Ends the batch: what comes next in the stream presumes that all of it is in ClickHouse. */
    void fence() {
        fenced = true;
    }

    /**
     * A row is added that was sent before: so the batch has to hold all of that insert, and nothing that comes after it.
     *
     * @param until the version of that insert's last row
     */
    void resend(Version until) {
        if (resentUntil == null || resentUntil.compareTo(until) < 0) {
            resentUntil = until;
        }
    }

    /** All rows up to this version have been added. */
    void passed(Version version) {
        resent = resentUntil != null && version.compareTo(resentUntil) >= 0;
    }

    /** Rows are still to come without which it must not be sent. */
    boolean incomplete() {
        return resentUntil != null && !resent;
    }

    /** Nothing may be added any more. */
    boolean fenced() {
        return fenced || !truncations.isEmpty() || resent;
    }

    boolean isEmpty() {
        return rows == 0 && truncations.isEmpty();
    }

    /** All commits before this are in ClickHouse when this batch is. */
    void end(Lsn lsn) {
        end = lsn;
    }

    Lsn end() {
        return end;
    }

    Collection<Rows> tables() {
        return tables.values();
    }

    List<Truncation> truncations() {
        return truncations;
    }

    long rows() {
        return rows;
    }

    /** Bytes of encoded rows. */
    long bytes() {
        return bytes;
    }

    /** Those of {@link #rows} that belong to the transaction that began last. */
    long rowsOfTransaction() {
        return rowsOfTransaction;
    }

    /** Those of {@link #bytes} that belong to the transaction that began last. */
    long bytesOfTransaction() {
        return bytesOfTransaction;
    }

    /** {@link System#nanoTime} of the first row. */
    long firstChangeAt() {
        return firstChangeAt;
    }

    /** When the first of its transactions committed; null when it is empty. */
    Instant oldestCommit() {
        return oldestCommit;
    }
}
