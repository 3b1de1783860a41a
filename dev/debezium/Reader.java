import io.debezium.embedded.Connect;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Reads with Debezium's embedded engine and throws away: {@code snapshot|stream TABLE SLOT PUBLICATION EVENTS}. Ends after so
 * many events and says how long they took from the first one on. Nothing is serialised: the cheapest that the engine does.
 */
class Reader {
    private static long first;
    private static long count;

    public static void main(String[] args) throws Exception {
        boolean snapshot = args[0].equals("snapshot");
        long wanted = Long.parseLong(args[4]);
        var properties = new Properties();
        properties.setProperty("name", "bench");
        properties.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        properties.setProperty("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
        properties.setProperty("topic.prefix", "bench");
        properties.setProperty("plugin.name", "pgoutput");
        properties.setProperty("database.hostname", System.getenv("PGHOST"));
        properties.setProperty("database.port", System.getenv("PGPORT"));
        properties.setProperty("database.user", System.getenv("PGUSER"));
        properties.setProperty("database.password", System.getenv("PGPASSWORD"));
        properties.setProperty("database.dbname", System.getenv("PGDATABASE"));
        properties.setProperty("table.include.list", "public." + args[1]);
        properties.setProperty("slot.name", args[2]);
        properties.setProperty("publication.name", args[3]);
        properties.setProperty("publication.autocreate.mode", "disabled");
        properties.setProperty("snapshot.mode", snapshot ? "initial_only" : "no_data");
        properties.setProperty("tombstones.on.delete", "false");
        var engine = DebeziumEngine.create(Connect.class)
                .using(properties)
                .using((success, message, error) -> {
                    if (count < wanted) {
                        System.err.println(message);
                        if (error != null) {
                            error.printStackTrace();
                        }
                        Runtime.getRuntime().halt(1);
                    }
                })
                .notifying((events, committer) -> taken(events, committer, wanted))
                .build();
        engine.run();
    }

    private static void taken(
            List<ChangeEvent<SourceRecord, SourceRecord>> events,
            RecordCommitter<ChangeEvent<SourceRecord, SourceRecord>> committer,
            long wanted)
            throws InterruptedException {
        if (count == 0) {
            first = System.nanoTime();
        }
        for (var event : events) {
            committer.markProcessed(event);
        }
        committer.markBatchFinished();
        count += events.size();
        if (count >= wanted) {
            System.out.printf("read %d in %.3f s%n", count, (System.nanoTime() - first) / 1e9);
            System.out.flush();
            Runtime.getRuntime().halt(0);
        }
    }
}
