package dev.clickpipe.testbed;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * The C functions of {@code libchdb.so} (ClickHouse as a library, 26.7), bound with the foreign function API.
 *
 * <p>The engine serves one data directory a process. It stays up while a connection is open. Its calls need deep
 * native stacks: make them on threads of {@link EngineThreads}.
 */
final class ChdbLibrary {
    /** Environment variable with the path of the library. */
    static final String PATH_VARIABLE = "CLICKPIPE_CHDB_LIBRARY";

    private static final String PINNED_VERSION = "26.7.3-stable.1";

    final NativeFunction connect;
    final NativeFunction close;
    final NativeFunction classify;
    final NativeFunction query;
    final NativeFunction streamQuery;
    final NativeFunction streamFetch;
    final NativeFunction streamCancel;
    final NativeFunction insert;
    final NativeFunction insertAppend;
    final NativeFunction insertFinish;
    final NativeFunction insertCancel;
    final NativeFunction insertError;
    final NativeFunction insertDestroy;
    final NativeFunction resultDestroy;
    final NativeFunction resultBuffer;
    final NativeFunction resultLength;
    final NativeFunction resultError;
    private final NativeFunction elapsed;
    private final NativeFunction resultRows;
    private final NativeFunction resultBytes;
    private final NativeFunction readRows;
    private final NativeFunction readBytes;
    private final NativeFunction writtenRows;
    private final NativeFunction writtenBytes;

    private ChdbLibrary(SymbolLookup symbols) {
        var binder = new Binder(Linker.nativeLinker(), symbols);
        // The engine would take over SIGSEGV, which the JVM uses for its own null checks and safepoints.
        binder.procedure("chdb_set_signal_handlers_enabled", JAVA_INT).call(0);

        connect = binder.function("chdb_connect", ADDRESS, JAVA_INT, ADDRESS);
        close = binder.procedure("chdb_close_conn", ADDRESS);
        classify = binder.function(
                "chdb_classify_query_n", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
        query = binder.statement("chdb_query_with_params_n");
        streamQuery = binder.statement("chdb_stream_query_with_params_n");
        streamFetch = binder.function("chdb_stream_fetch_result", ADDRESS, ADDRESS, ADDRESS);
        streamCancel = binder.procedure("chdb_stream_cancel_query", ADDRESS, ADDRESS);
        insert = binder.statement("chdb_stream_insert_with_params_n");
        insertAppend = binder.function("chdb_stream_append", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
        insertFinish = binder.function("chdb_stream_done", ADDRESS, ADDRESS);
        insertCancel = binder.procedure("chdb_stream_cancel_insert", ADDRESS);
        insertError = binder.function("chdb_stream_insert_error", ADDRESS, ADDRESS);
        insertDestroy = binder.procedure("chdb_destroy_insert_stream", ADDRESS);
        resultDestroy = binder.procedure("chdb_destroy_query_result", ADDRESS);
        resultBuffer = binder.function("chdb_result_buffer", ADDRESS, ADDRESS);
        resultLength = binder.function("chdb_result_length", JAVA_LONG, ADDRESS);
        resultError = binder.function("chdb_result_error", ADDRESS, ADDRESS);
        elapsed = binder.function("chdb_result_elapsed", JAVA_DOUBLE, ADDRESS);
        resultRows = binder.function("chdb_result_rows_read", JAVA_LONG, ADDRESS);
        resultBytes = binder.function("chdb_result_bytes_read", JAVA_LONG, ADDRESS);
        readRows = binder.function("chdb_result_storage_rows_read", JAVA_LONG, ADDRESS);
        readBytes = binder.function("chdb_result_storage_bytes_read", JAVA_LONG, ADDRESS);
        writtenRows = binder.function("chdb_result_rows_written", JAVA_LONG, ADDRESS);
        writtenBytes = binder.function("chdb_result_bytes_written", JAVA_LONG, ADDRESS);
    }

    /** Loads the library into the process; it can't be unloaded. */
    static ChdbLibrary load(Path library) {
        return new ChdbLibrary(SymbolLookup.libraryLookup(library, Arena.global()));
    }

    /** The library that {@value #PATH_VARIABLE} names, else the one in the user's cache directory. */
    static Path locate() {
        Path library = Optional.ofNullable(System.getenv(PATH_VARIABLE))
                .map(Path::of)
                .orElseGet(() -> CacheDirectory.path()
                        .resolve("chdb")
                        .resolve(PINNED_VERSION)
                        .resolve("libchdb.so"));
        if (!Files.isReadable(library)) {
            throw new IllegalStateException("no ClickHouse engine at %s: run dev/lib/chdb.sh, or set %s to a libchdb.so"
                    .formatted(library, PATH_VARIABLE));
        }
        return library;
    }

    ChdbConnection connect(String... arguments) {
        return new ChdbConnection(this, arguments);
    }

    /** The text a C function returned, or null for a null pointer. */
    static String text(MemorySegment pointer) {
        return pointer.address() == 0
                ? null
                : pointer.reinterpret(Long.MAX_VALUE).getString(0);
    }

    void failOnError(MemorySegment result) {
        String error = text(resultError.pointer(result));
        if (error != null) {
            throw ClickHouseError.parse(error);
        }
    }

    QueryStatistics statistics(MemorySegment result) {
        return new QueryStatistics(
                readRows.number(result),
                readBytes.number(result),
                writtenRows.number(result),
                writtenBytes.number(result),
                resultRows.number(result),
                resultBytes.number(result),
                (long) ((double) elapsed.call(result) * 1e9));
    }

    /** Calls one of the functions that run a statement; they share their argument list. */
    MemorySegment run(
            NativeFunction function,
            MemorySegment connection,
            byte[] sql,
            String format,
            Map<String, String> parameters) {
        try (Arena arena = Arena.ofConfined()) {
            int count = parameters.size();
            var names = arena.allocate(ADDRESS, Math.max(count, 1));
            var nameLengths = arena.allocate(JAVA_LONG, Math.max(count, 1));
            var values = arena.allocate(ADDRESS, Math.max(count, 1));
            var valueLengths = arena.allocate(JAVA_LONG, Math.max(count, 1));
            int index = 0;
            for (var parameter : parameters.entrySet()) {
                byte[] name = parameter.getKey().getBytes(StandardCharsets.UTF_8);
                byte[] value = parameter.getValue().getBytes(StandardCharsets.UTF_8);
                names.setAtIndex(ADDRESS, index, copy(arena, name));
                nameLengths.setAtIndex(JAVA_LONG, index, name.length);
                values.setAtIndex(ADDRESS, index, copy(arena, value));
                valueLengths.setAtIndex(JAVA_LONG, index, value.length);
                index++;
            }
            return function.pointer(
                    connection,
                    copy(arena, sql),
                    (long) sql.length,
                    arena.allocateFrom(format),
                    (long) format.length(),
                    names,
                    nameLengths,
                    values,
                    valueLengths,
                    (long) count);
        }
    }

    /** The bytes in native memory, with a terminating zero. */
    static MemorySegment copy(Arena arena, byte[] bytes) {
        MemorySegment segment = arena.allocate(bytes.length + 1L);
        MemorySegment.copy(bytes, 0, segment, JAVA_BYTE, 0, bytes.length);
        return segment;
    }

    private record Binder(Linker linker, SymbolLookup symbols) {
        NativeFunction function(String name, MemoryLayout result, MemoryLayout... arguments) {
            return bind(name, FunctionDescriptor.of(result, arguments));
        }

        NativeFunction procedure(String name, MemoryLayout... arguments) {
            return bind(name, FunctionDescriptor.ofVoid(arguments));
        }

        /** Connection, SQL, its length, format, its length, then parameters: names, lengths, values, lengths, count. */
        NativeFunction statement(String name) {
            return function(
                    name, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
                    JAVA_LONG);
        }

        private NativeFunction bind(String name, FunctionDescriptor descriptor) {
            return new NativeFunction(linker.downcallHandle(symbols.findOrThrow(name), descriptor));
        }
    }

    record NativeFunction(MethodHandle handle) {
        /** A call costs microseconds this way; a statement makes a dozen, so readability wins. */
        Object call(Object... arguments) {
            try {
                return handle.invokeWithArguments(arguments);
            } catch (RuntimeException | Error e) {
                throw e;
            } catch (Throwable e) {
                throw new IllegalStateException(e);
            }
        }

        MemorySegment pointer(Object... arguments) {
            return (MemorySegment) call(arguments);
        }

        long number(Object... arguments) {
            return (long) call(arguments);
        }
    }
}
