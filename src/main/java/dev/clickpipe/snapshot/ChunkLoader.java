package dev.clickpipe.snapshot;

import dev.clickpipe.clickhouse.ChunkLedger;
import dev.clickpipe.clickhouse.ClickHouseClient;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.CopyRowEncoder;
import dev.clickpipe.codec.RowVersion;
import dev.clickpipe.codec.SystemColumns;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.ChunkReader;
import dev.clickpipe.postgres.SnapshotSession;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Copies chunks from Postgres to ClickHouse over one connection: COPY out, one INSERT each, row by row, so that memory does not
 * grow with the chunk. For one thread; of no use once it {@link #isBroken}.
 */
final class ChunkLoader implements AutoCloseable {
    private static final int SEND_BYTES = 256 << 10;
    private static final DateTimeFormatter TIMESTAMP = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSS");

    private final SnapshotSession session;
    private final ClickHouseClient clickHouse;
    private final ChunkLedger ledger;
    private final Stop stop;
    private final ChunkReader reader;
    private final SourceColumns columns;
    private final TsvBuffer buffer = new TsvBuffer(2 * SEND_BYTES);
    private final Watchdog watchdog;
    private final ExecutorService inserts;
    /** From where a chunk begins until its last row was read well. */
    private volatile boolean reading;

    /**
     * @param inserts threads, one for each chunk that is on its way
     * @throws PipeException classified, when no connection can be had
     */
    ChunkLoader(
            SnapshotSession session,
            ClickHouseClient clickHouse,
            ChunkLedger ledger,
            SourceColumns columns,
            Watchdog watchdog,
            ExecutorService inserts,
            Stop stop) {
        this.watchdog = watchdog;
        this.inserts = inserts;
        this.session = session;
        this.clickHouse = clickHouse;
        this.ledger = ledger;
        this.columns = columns;
        this.stop = stop;
        this.reader = session.openReader();
    }

    /**
     * Loads one chunk and marks it so in the ledger. Returns when its rows are read, or can't be: while ClickHouse stores the last
     * of them, the next chunk may be read.
     *
     * @return why this session can't read it, if it is neither {@code READ} nor {@code DROPPED}; nothing was inserted then. It
     *     fails with a classified {@link PipeException}, and a part of the rows may be inserted; with some such also when stopped
     *     in the midst
     */
    Future<ChunkReader.Outcome> load(Schedule.Work work, Progress.Chunk progress) throws InterruptedException {
        reading = true;
        var read = new CountDownLatch(1);
        var loaded = inserts.submit(() -> {
            try {
                return watchdog.watch(progress, () -> load(work, progress, read));
            } finally {
                read.countDown();
            }
        });
        read.await();
        return loaded;
    }

    /** Whether the last chunk was not read to its end, so that the connection is of no more use. */
    boolean isBroken() {
        return reading;
    }

    private ChunkReader.Outcome load(Schedule.Work work, Progress.Chunk progress, CountDownLatch read) {
        var definition = work.table().definition;
        var clamped = new AtomicLong();
        var encoder = encoder(definition);
        var outcome = reader.read(
                work.entry().chunk(),
                definition.source(),
                definition.columns().stream().map(TableDefinition.Column::name).toList(),
                definition.publishing() == null
                        ? null
                        : new ChunkReader.Published(definition.publishing().publication(), definition.relid()),
                connection -> columns.areUnchanged(definition, connection),
                rows -> clickHouse.insert(
                        new ClickHouseClient.Insert(definition.target(), columns(definition), settings(work), out -> {
                            copy(rows, encoder, out, progress);
                            clamped.set(buffer.takeClamped());
                            reading = false;
                            read.countDown();
                        })));
        if (outcome != ChunkReader.Outcome.READ) {
            reading = false; // else it may be the next chunk's by now
        }
        progress.clamped(definition, encoder.clamped(), clamped.get());
        if (outcome == ChunkReader.Outcome.DROPPED && work.entry().chunk().relid() == definition.relid()) {
            throw missing(definition);
        }
        if (outcome == ChunkReader.Outcome.READ || outcome == ChunkReader.Outcome.DROPPED) {
            ledger.loaded(work.table().plan, work.entry(), session.boundary(), progress.rows());
        }
        return outcome;
    }

    static PipeException missing(TableDefinition definition) {
        return PipeException.fatal(new Problem(
                "SourceTableMissing",
                "table " + definition.source(),
                "was dropped, or dropped and created again, since the pipe was set up",
                "Take it out of spec.tableMappings; or create it, and set the mapping's resync to a new value"));
    }

    private void copy(ChunkReader.Rows rows, CopyRowEncoder encoder, OutputStream out, Progress.Chunk progress)
            throws IOException {
        buffer.clear();
        long count = 0;
        long bytes = 0;
        for (byte[] row = rows.next(); row != null; row = rows.next()) {
            encoder.encode(row, buffer);
            count++;
            bytes += row.length;
            if (buffer.size() >= SEND_BYTES) {
                if (stop.requested()) {
                    throw new InterruptedIOException("stopped");
                }
                buffer.writeTo(out);
                buffer.clear();
                progress.read(count, bytes);
            }
        }
        buffer.writeTo(out);
        progress.read(count, bytes);
    }

    /** System columns first, see {@link SystemColumns}. */
    private static List<String> columns(TableDefinition definition) {
        var columns = new ArrayList<String>();
        columns.add(SystemColumns.VERSION);
        if (definition.engine().appendOnly()) {
            columns.add(SystemColumns.OPERATION);
            columns.add(SystemColumns.COMMITTED_AT);
        }
        definition.columns().forEach(column -> columns.add(column.name()));
        return columns;
    }

    private CopyRowEncoder encoder(TableDefinition definition) {
        var prefix = new TsvBuffer(100);
        RowVersion.append(prefix, session.boundary().value(), 0);
        prefix.tab();
        if (definition.engine().appendOnly()) {
            prefix.ascii("snapshot\t");
            prefix.ascii(TIMESTAMP.format(session.takenAt().withOffsetSameInstant(ZoneOffset.UTC)));
            prefix.tab();
        }
        var columns = definition.columns().stream()
                .map(column -> new CopyRowEncoder.Column(column.name(), definition.mapping(column)))
                .toList();
        return new CopyRowEncoder(definition.source(), columns, prefix.toByteArray());
    }

    private static Map<String, String> settings(Schedule.Work work) {
        var definition = work.table().definition;
        var settings = new HashMap<>(TypeMapping.INSERT_SETTINGS);
        // Chunks of a table without a key may well be equal, and both count: ClickHouse would drop one as sent twice.
        // Read again in the same session, a chunk has the same rows in the same order: by the same token what is stored
        // of them is known, here and behind materialized views.
        settings.put(
                "insert_deduplication_token",
                work.table().repeatable
                        ? definition.build() + ":" + work.table().plan.generation() + ":"
                                + work.entry().number()
                        : UUID.randomUUID().toString());
        settings.put("insert_deduplicate", "1");
        settings.put("deduplicate_blocks_in_dependent_materialized_views", "1");
        settings.put("max_insert_threads", "1"); // the same blocks again
        // One thread parses as fast as Postgres sends; several take more time altogether.
        settings.put("input_format_parallel_parsing", "0");
        if (!definition.engine().appendOnly()) {
            // No two rows of a chunk have the same key: none replaces another, and to look for one is expensive.
            settings.put("optimize_on_insert", "0");
        }
        settings.put("log_comment", definition.loadComment());
        return settings;
    }

    @Override
    public void close() {
        reader.close();
    }
}
