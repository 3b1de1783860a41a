package dev.clickpipe.pipe;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.logging.Formatter;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.StreamHandler;

/**
 * Where a worker's log goes: to standard error, one line a record. The project logs through slf4j. In the packaged application
 * that ends in the JBoss LogManager, which keeps all records to itself until Quarkus starts, and workers don't start it; so
 * the handlers are set here, by java.util.logging, which any log manager obeys.
 */
public final class Logging {

    public enum Format {
        text,
        json
    }

    /** The drivers tell at INFO what is of no use to a user. Held here: a logger that nobody holds forgets its level. */
    private static final List<Logger> QUIET = List.of(
            Logger.getLogger("com.clickhouse"), Logger.getLogger("org.apache.hc"), Logger.getLogger("org.postgresql"));

    private Logging() {}

    /** @param worker the run mode, which every line names */
    public static void start(Format format, String worker) {
        var root = LogManager.getLogManager().getLogger("");
        for (var handler : root.getHandlers()) {
            root.removeHandler(handler);
        }
        root.setLevel(Level.INFO);
        root.addHandler(new StandardError(format == Format.json ? new JsonLines(worker) : new TextLines(worker)));
        QUIET.forEach(logger -> logger.setLevel(Level.WARNING));
    }

    /** Flushes every record: a worker may end at any moment, and its last line is the one that matters. */
    private static final class StandardError extends StreamHandler {
        StandardError(Formatter formatter) {
            super(System.err, formatter);
            setLevel(Level.ALL);
        }

        @Override
        public synchronized void publish(LogRecord record) {
            super.publish(record);
            flush();
        }

        @Override
        public synchronized void close() {
            flush();
        }
    }

    private static final class TextLines extends Formatter {
        private final String worker;

        TextLines(String worker) {
            this.worker = worker;
        }

        @Override
        public String format(LogRecord record) {
            return "%s %-5s %s  %s%n%s"
                    .formatted(time(record), level(record), worker, formatMessage(record), stackTrace(record));
        }
    }

    private static final class JsonLines extends Formatter {
        private final String worker;

        JsonLines(String worker) {
            this.worker = worker;
        }

        @Override
        public String format(LogRecord record) {
            var line = new LinkedHashMap<String, Object>();
            line.put("timestamp", time(record));
            line.put("level", level(record));
            line.put("worker", worker);
            line.put("logger", record.getLoggerName());
            line.put("message", formatMessage(record));
            if (record.getThrown() != null) {
                line.put("stackTrace", stackTrace(record));
            }
            return new String(Json.bytes(line), StandardCharsets.UTF_8) + "\n";
        }
    }

    private static String time(LogRecord record) {
        return Instant.ofEpochMilli(record.getMillis())
                .truncatedTo(ChronoUnit.MILLIS)
                .toString();
    }

    /** The words that log collectors know; JBoss' levels are numbered as java.util.logging's. */
    private static String level(LogRecord record) {
        int level = record.getLevel().intValue();
        return level >= Level.SEVERE.intValue()
                ? "ERROR"
                : level >= Level.WARNING.intValue() ? "WARN" : level >= Level.INFO.intValue() ? "INFO" : "DEBUG";
    }

    private static String stackTrace(LogRecord record) {
        if (record.getThrown() == null) {
            return "";
        }
        var text = new StringWriter();
        record.getThrown().printStackTrace(new PrintWriter(text, true));
        return text.toString();
    }
}
