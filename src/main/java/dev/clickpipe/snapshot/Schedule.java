package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * Which chunk a free reader takes next, in one session. Tables are taken in order, a few at once with a few readers each; whoever
 * is free helps where chunks are left, so that no reader idles while another has a queue. Thread-safe.
 */
final class Schedule {
    /** Failures without a success between them after which a server is taken to be down. */
    private static final int FAILURES_TO_GIVE_UP = 3;

    private final List<Table> tables;
    private final int tablesAtOnce;
    private final int readersPerTable;
    private final BooleanSupplier expired;
    private final List<PipeException> failures = new ArrayList<>();
    private int failuresInARow;
    private boolean gotOn;

    /** A table of this session. */
    static final class Table {
        final TableDefinition definition;
        /** Of the session that its plan was made in. */
        final String boundary;

        final ChunkLedger.Plan plan;
        /** True where a part of it is of no use to a later session. */
        final boolean wholeInSession;

        private final Deque<ChunkLedger.Entry> waiting = new ArrayDeque<>();
        private int readers;
        private int missing;

        Table(TableDefinition definition, String boundary, ChunkLedger.Plan plan, boolean wholeInSession) {
            this.definition = definition;
            this.boundary = boundary;
            this.plan = plan;
            this.wholeInSession = wholeInSession;
            plan.entries().stream().filter(entry -> !entry.loaded()).forEach(waiting::add);
            missing = waiting.size();
        }
    }

    record Work(Table table, ChunkLedger.Entry entry) {}

    /** @param expired whether the session has lasted so long that another one should go on where that can be */
    Schedule(List<Table> tables, int tablesAtOnce, int readersPerTable, BooleanSupplier expired) {
        this.tables = List.copyOf(tables);
        this.tablesAtOnce = tablesAtOnce;
        this.readersPerTable = readersPerTable;
        this.expired = expired;
    }

    /** Readers that will find work. */
    synchronized int usefulReaders() {
        long chunks = tables.stream().mapToLong(table -> table.waiting.size()).sum();
        return (int) Math.min(chunks, (long) tablesAtOnce * readersPerTable);
    }

    /** The next chunk; empty when this reader is not needed any more. */
    synchronized Optional<Work> next() {
        if (failuresInARow >= FAILURES_TO_GIVE_UP || over()) {
            return Optional.empty();
        }
        int open = 0;
        for (var table : tables) {
            if (table.waiting.isEmpty()) {
                continue;
            }
            if (++open > tablesAtOnce) {
                break;
            }
            if (table.readers < readersPerTable) {
                table.readers++;
                return Optional.of(new Work(table, table.waiting.poll()));
            }
        }
        return Optional.empty();
    }

    /** A session that got nowhere goes on however long it took; so does one that a table needs as a whole. */
    private boolean over() {
        return gotOn
                && expired.getAsBoolean()
                && tables.stream()
                        .noneMatch(table -> table.wholeInSession && (table.readers > 0 || !table.waiting.isEmpty()));
    }

    synchronized void loaded(Work work) {
        work.table.readers--;
        work.table.missing--;
        failuresInARow = 0;
        gotOn = true;
    }

    /** The chunk stays unread. What a later session makes good does not keep the table's other chunks from being read now. */
    synchronized void failed(Work work, PipeException failure) {
        work.table.readers--;
        failures.add(failure);
        if (failure.retryable()) {
            failuresInARow++;
        }
        if (!failure.retryable() || work.table.wholeInSession) {
            work.table.waiting.clear();
        }
    }

    /** This session can't read the table any more; the next one plans it anew. */
    synchronized void rewritten(Work work) {
        work.table.readers--;
        work.table.waiting.clear();
    }

    /** The tables of which every chunk is loaded. */
    synchronized List<Table> loaded() {
        return tables.stream().filter(table -> table.missing == 0).toList();
    }

    synchronized List<PipeException> failures() {
        return List.copyOf(failures);
    }
}
