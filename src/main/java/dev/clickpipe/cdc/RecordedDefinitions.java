package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.Definitions;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Stop;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is recorded, asked for now and then, as Setup and the load record beside a stream at work. Thread-safe. */
final class RecordedDefinitions {
    private static final Logger LOG = LoggerFactory.getLogger(RecordedDefinitions.class);
    private static final Duration INTERVAL = Duration.ofSeconds(2);

    private final Definitions definitions;
    private volatile List<TableDefinition> latest = List.of();
    /** Counts what was read on purpose: an answer from before is not news. */
    private long reads;

    RecordedDefinitions(Definitions definitions) {
        this.definitions = definitions;
    }

    /** The same list as long as nothing changed. */
    List<TableDefinition> latest() {
        return latest;
    }

    /**
     * As they are now.
     *
     * @throws PipeException classified
     */
    List<TableDefinition> read() {
        synchronized (this) {
            reads++;
        }
        var all = definitions.all();
        synchronized (this) {
            reads++;
            latest = all;
        }
        return all;
    }

    /** Asks again and again, until stopped. */
    void run(Stop stop) {
        try {
            while (!stop.await(INTERVAL)) {
                look();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void look() {
        long before;
        synchronized (this) {
            before = reads;
        }
        try {
            var all = definitions.all();
            synchronized (this) {
                if (reads == before && !all.equals(latest)) {
                    latest = all;
                }
            }
        } catch (PipeException e) {
            // What brings rows to ClickHouse has the same trouble, and says so.
            LOG.debug("the definitions can't be read", e);
        }
    }
}
