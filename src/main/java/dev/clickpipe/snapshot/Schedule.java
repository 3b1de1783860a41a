package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which chunk a free reader takes next, in one session. Tables are taken in order, a few at once with a few readers each; whoever
 * is free helps where chunks are left, so that no reader idles while another has a queue. Other workers do the same with the same
 * chunks: one that they have is left to them. Thread-safe.
 */
final class Schedule {
    private static final Logger LOG = LoggerFactory.getLogger(Schedule.class);

    /** Failures without a success between them after which a server is taken to be down. */
    private static final int FAILURES_TO_GIVE_UP = 3;

    private final List<Table> tables;
    private final int tablesAtOnce;
    private final int readersPerTable;
    private final BooleanSupplier expired;
    private final Claims claims;
    private final Set<Work> reading = new HashSet<>();
    private final List<Failure> failures = new ArrayList<>();
    private int failuresInARow;
    private boolean gotOn;

    /** What other workers leave to this one. */
    interface Claims {
        /**
         * Claims a chunk, in the midst of a decision: it takes no longer than a look.
         *
         * @throws PipeException classified, where nobody can tell
         */
        boolean take(Work work);

        /** The chunk is loaded, or is not going to be in this session. */
        void release(Work work);

        /** Where there are no others. */
        Claims ALL = new Claims() {
            @Override
            public boolean take(Work work) {
                return true;
            }

            @Override
            public void release(Work work) {}
        };
    }

    /** A table of this session. */
    static final class Table {
        final TableDefinition definition;
        final ChunkLedger.Plan plan;
        /** True where a part of it is of no use to a later session. */
        final boolean wholeInSession;
        /** Whether a chunk may be sent again in this session: what of it is stored is known by the insert's token. */
        final boolean repeatable;

        private final Deque<ChunkLedger.Entry> waiting = new ArrayDeque<>();
        private int readers;

        Table(TableDefinition definition, ChunkLedger.Plan plan, boolean wholeInSession, boolean repeatable) {
            this.definition = definition;
            this.plan = plan;
            this.wholeInSession = wholeInSession;
            this.repeatable = repeatable;
            plan.entries().stream().filter(entry -> !entry.loaded()).forEach(waiting::add);
        }

        /** The same, begun where others are not likely to be. */
        Table fromAnywhere(RandomGenerator random) {
            for (int i = waiting.isEmpty() ? 0 : random.nextInt(waiting.size()); i > 0; i--) {
                waiting.add(waiting.poll());
            }
            return this;
        }
    }

    record Work(Table table, ChunkLedger.Entry entry) {}

    record Failure(TableDefinition definition, PipeException why) {}

    /** @param expired whether the session has lasted so long that another one should go on where that can be */
    Schedule(List<Table> tables, int tablesAtOnce, int readersPerTable, BooleanSupplier expired, Claims claims) {
        this.claims = claims;
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
            if (open == tablesAtOnce) {
                break;
            }
            if (table.readers == readersPerTable) {
                open++;
                continue;
            }
            var work = claimed(table);
            if (work.isPresent()) {
                table.readers++;
                reading.add(work.get());
            }
            if (work.isPresent() || failuresInARow >= FAILURES_TO_GIVE_UP) {
                return work;
            }
        }
        return Optional.empty();
    }

    /** A chunk that others have now, or had since, is theirs: what becomes of it, the ledger tells the next session. */
    private Optional<Work> claimed(Table table) {
        try {
            while (!table.waiting.isEmpty()) {
                var work = new Work(table, table.waiting.poll());
                if (claims.take(work)) {
                    return Optional.of(work);
                }
            }
        } catch (PipeException e) {
            LOG.warn(e.getMessage());
            failures.add(new Failure(table.definition, e));
            failuresInARow = FAILURES_TO_GIVE_UP;
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

    /** The chunk's rows are read, and only ClickHouse's word is waited for: its reader is free. */
    synchronized void read(Work work) {
        if (reading.remove(work)) {
            work.table.readers--;
        }
    }

    synchronized void loaded(Work work) {
        read(work);
        claims.release(work);
        failuresInARow = 0;
        gotOn = true;
    }

    /** The chunk stays unread. What a later session makes good does not keep the table's other chunks from being read now. */
    synchronized void failed(Work work, PipeException failure) {
        read(work);
        claims.release(work);
        failures.add(new Failure(work.table.definition, failure));
        if (failure.retryable()) {
            failuresInARow++;
        }
        if (!failure.retryable() || work.table.wholeInSession) {
            work.table.waiting.clear();
        }
    }

    /** This session can't read the table any more; the next one plans it anew. */
    synchronized void rewritten(Work work) {
        read(work);
        claims.release(work);
        work.table.waiting.clear();
    }

    synchronized List<Failure> failures() {
        return List.copyOf(failures);
    }
}
