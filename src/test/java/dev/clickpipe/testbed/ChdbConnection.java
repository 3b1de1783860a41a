package dev.clickpipe.testbed;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * A session of the engine: its settings, current database and temporary tables. One statement at a time, on threads
 * of {@link EngineThreads}.
 */
final class ChdbConnection implements AutoCloseable {
    private static final int APPEND_BYTES = 1 << 20;

    private final ChdbLibrary library;
    /** What the library gave, to be given back: a pointer to the pointer that statements take. */
    private final MemorySegment handle;

    private final MemorySegment connection;

    /** Arguments are clickhouse-local's; connections of a process must agree on {@code --path}. */
    ChdbConnection(ChdbLibrary library, String... arguments) {
        this.library = library;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argv = arena.allocate(ADDRESS, arguments.length + 2);
            argv.setAtIndex(ADDRESS, 0, arena.allocateFrom("clickhouse"));
            for (int i = 0; i < arguments.length; i++) {
                argv.setAtIndex(ADDRESS, i + 1, arena.allocateFrom(arguments[i]));
            }
            handle = library.connect.pointer(arguments.length + 1, argv);
        }
        if (handle.address() == 0) {
            throw new IllegalStateException("the ClickHouse engine refused " + String.join(" ", arguments));
        }
        connection = handle.reinterpret(ADDRESS.byteSize()).get(ADDRESS, 0);
    }

    record Answer(byte[] data, QueryStatistics statistics) {}

    /** Takes the chunks of a streamed result; the memory is valid during the call. */
    interface ChunkConsumer {
        void accept(MemorySegment chunk, QueryStatistics soFar) throws IOException;
    }

    /** Runs a statement to its end; {@code format} holds where the statement names none. */
    Answer query(byte[] sql, String format, Map<String, String> parameters) {
        MemorySegment result = library.run(library.query, connection, sql, format, parameters);
        try {
            library.failOnError(result);
            return new Answer(bytes(result).toArray(JAVA_BYTE), library.statistics(result));
        } finally {
            library.resultDestroy.call(result);
        }
    }

    void execute(String sql) {
        query(sql.getBytes(StandardCharsets.UTF_8), "Null", Map.of());
    }

    /** The answer as TabSeparated text without its last line end. */
    String text(String sql) {
        byte[] data = query(sql.getBytes(StandardCharsets.UTF_8), "TabSeparated", Map.of())
                .data();
        return new String(data, StandardCharsets.UTF_8).stripTrailing();
    }

    /**
     * Runs a SELECT and hands its result over as it is made. Every chunk is a complete document of the format, header
     * included; an empty result has no chunk at all.
     */
    QueryStatistics stream(byte[] sql, String format, Map<String, String> parameters, ChunkConsumer consumer)
            throws IOException {
        MemorySegment cursor = library.run(library.streamQuery, connection, sql, format, parameters);
        var statistics = QueryStatistics.NONE;
        boolean ended = true;
        try {
            library.failOnError(cursor);
            ended = false;
            while (!ended) {
                MemorySegment chunk = library.streamFetch.pointer(connection, cursor);
                try {
                    ended = ChdbLibrary.text(library.resultError.pointer(chunk)) != null;
                    library.failOnError(chunk);
                    statistics = statistics.plus(library.statistics(chunk));
                    MemorySegment bytes = bytes(chunk);
                    ended = bytes.byteSize() == 0;
                    if (!ended) {
                        consumer.accept(bytes, statistics);
                    }
                } finally {
                    library.resultDestroy.call(chunk);
                }
            }
            return statistics;
        } finally {
            if (!ended) {
                library.streamCancel.call(connection, cursor);
            }
            library.resultDestroy.call(cursor);
        }
    }

    /** Runs {@code INSERT INTO …} (without FORMAT) on data that is read while it is inserted. */
    QueryStatistics insert(byte[] sql, String format, Map<String, String> parameters, InputStream data)
            throws IOException {
        MemorySegment insert = library.run(library.insert, connection, sql, format, parameters);
        boolean open = false;
        try (Arena arena = Arena.ofConfined()) {
            String refused = ChdbLibrary.text(library.insertError.pointer(insert));
            if (refused != null) {
                throw ClickHouseError.parse(refused);
            }
            open = true;
            append(insert, data, arena.allocate(APPEND_BYTES));
            open = false;
            MemorySegment result = library.insertFinish.pointer(insert);
            try {
                library.failOnError(result);
                return library.statistics(result);
            } finally {
                library.resultDestroy.call(result);
            }
        } finally {
            if (open) { // the data broke off: what is not yet a block is not inserted
                library.insertCancel.call(insert);
            }
            library.insertDestroy.call(insert);
        }
    }

    private void append(MemorySegment insert, InputStream data, MemorySegment buffer) throws IOException {
        byte[] bytes = new byte[APPEND_BYTES];
        int length = data.readNBytes(bytes, 0, bytes.length);
        while (length > 0) {
            MemorySegment.copy(bytes, 0, buffer, JAVA_BYTE, 0, length);
            if ((int) library.insertAppend.call(insert, buffer, (long) length) != 0) {
                return; // failed already; finishing tells why
            }
            length = data.readNBytes(bytes, 0, bytes.length);
        }
    }

    /** How many statements the text holds; 0 when it does not parse. */
    int countStatements(byte[] sql) {
        try (Arena arena = Arena.ofConfined()) {
            // struct chdb_query_analysis_v1 { uint32 struct_size, statement_count, flags, query_class }
            MemorySegment analysis = arena.allocate(JAVA_INT, 4);
            analysis.setAtIndex(JAVA_INT, 0, (int) analysis.byteSize());
            int parsed = (int) library.classify.call(
                    connection, ChdbLibrary.copy(arena, sql), (long) sql.length, MemorySegment.NULL, 0L, analysis);
            return parsed == 0 ? analysis.getAtIndex(JAVA_INT, 1) : 0;
        }
    }

    private MemorySegment bytes(MemorySegment result) {
        long length = library.resultLength.number(result);
        return length == 0
                ? MemorySegment.NULL
                : library.resultBuffer.pointer(result).reinterpret(length);
    }

    @Override
    public void close() {
        library.close.call(handle);
    }
}
