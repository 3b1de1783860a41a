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

/**
 * Copies chunks from Postgres to ClickHouse over one connection: COPY out, one INSERT each, row by row, so that memory does not
 * grow with the chunk. For one thread; of no use after an exception.
 */
final class ChunkLoader implements AutoCloseable {
    private static final int SEND_BYTES = 256 << 10;
    private static final DateTimeFormatter TIMESTAMP = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSS");

    private final SnapshotSession session;
    private final ClickHouseClient clickHouse;
    private final ChunkLedger ledger;
    private final Stop stop;
    private final ChunkReader reader;
    private final TsvBuffer buffer = new TsvBuffer(2 * SEND_BYTES);

    /** @throws PipeException classified, when no connection can be had */
    ChunkLoader(SnapshotSession session, ClickHouseClient clickHouse, ChunkLedger ledger, Stop stop) {
        this.session = session;
        this.clickHouse = clickHouse;
        this.ledger = ledger;
        this.stop = stop;
        this.reader = session.openReader();
    }

    /** What marks the inserts of one build in system.processes. */
    static String comment(TableDefinition definition) {
        return "clickpipe load " + definition.build();
    }

    /**
     * Loads one chunk and marks it so in the ledger.
     *
     * @return false when the table was rewritten, so that this session can't read it; nothing was inserted then
     * @throws PipeException classified; a part of the rows may be inserted. Some such also when stopped in the midst
     */
    boolean load(Schedule.Work work, Progress.Chunk progress) {
        var definition = work.table().definition;
        var outcome = reader.read(
                work.entry().chunk(),
                definition.source(),
                definition.columns().stream().map(TableDefinition.Column::name).toList(),
                definition.publishing() == null
                        ? null
                        : new ChunkReader.Published(definition.publishing().publication(), definition.relid()),
                rows -> clickHouse.insert(new ClickHouseClient.Insert(
                        definition.target(),
                        columns(definition),
                        settings(definition),
                        out -> copy(rows, encoder(definition), out, progress))));
        if (outcome == ChunkReader.Outcome.DROPPED && work.entry().chunk().relid() == definition.relid()) {
            throw missing(definition);
        }
        if (outcome != ChunkReader.Outcome.REWRITTEN) {
            ledger.loaded(work.table().plan, work.entry(), session.boundary(), progress.rows());
        }
        return outcome != ChunkReader.Outcome.REWRITTEN;
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
                .map(column -> new CopyRowEncoder.Column(column.name(), column.mapping()))
                .toList();
        return new CopyRowEncoder(definition.source(), columns, prefix.toByteArray());
    }

    private Map<String, String> settings(TableDefinition definition) {
        var settings = new HashMap<>(TypeMapping.INSERT_SETTINGS);
        // Chunks of a table without a key may well be equal, and both count: ClickHouse would drop one as sent twice.
        settings.put("insert_deduplication_token", UUID.randomUUID().toString());
        settings.put("log_comment", comment(definition));
        return settings;
    }

    @Override
    public void close() {
        reader.close();
    }
}
