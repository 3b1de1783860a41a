package dev.clickpipe.scenario;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.testbed.Postgres;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * What Postgres itself says was changed: a slot of the test's own, decoded by the server and read here without the product's code
 * (PostgreSQL documentation, 54.9 "Logical Replication Message Formats").
 */
final class Oracle implements AutoCloseable {
    private final Postgres postgres;
    private final Pipe pipe;
    private final String slot;

    /** @param commit LSN of the commit record */
    record Told(long commit, String operation) {}

    /** @param moves whether it is the half of an UPDATE that ends the row under its old key */
    record Change(long commit, String operation, boolean moves) {
        Told told() {
            return new Told(commit, operation);
        }

        boolean isDelete() {
            return operation.equals("delete") && !moves;
        }
    }

    Oracle(Postgres postgres, Pipe pipe) {
        this.postgres = postgres;
        this.pipe = pipe;
        slot = pipe.ownSlot() + "_told";
        postgres.query("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')");
    }

    /**
     * All since it was made, in their order. An update of the key is told as two: the row is gone under its old key, and is there
     * under the new one.
     */
    List<Change> changes(String schema, String table, List<String> key) {
        var changes = new ArrayList<Change>();
        Map<Integer, Relation> relations = new HashMap<>();
        long commit = 0;
        for (var row : postgres.rows("SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('" + slot
                + "', NULL, NULL, 'proto_version', '1', 'publication_names', " + publications() + ")")) {
            var message = ByteBuffer.wrap(HexFormat.of().parseHex(row.getFirst()));
            char type = (char) message.get();
            switch (type) {
                case 'B' -> commit = message.getLong();
                case 'R' -> relations.put(message.getInt(), Relation.read(message));
                case 'I', 'D' -> {
                    if (relations.get(message.getInt()).is(schema, table)) {
                        changes.add(new Change(commit, type == 'I' ? "insert" : "delete", false));
                    }
                }
                case 'U' -> {
                    var relation = relations.get(message.getInt());
                    if (relation.is(schema, table)) {
                        if (moved(message, relation, key)) {
                            changes.add(new Change(commit, "delete", true));
                        }
                        changes.add(new Change(commit, "update", false));
                    }
                }
                case 'T' -> {
                    int count = message.getInt();
                    message.get();
                    for (int i = 0; i < count; i++) {
                        if (relations.get(message.getInt()).is(schema, table)) {
                            changes.add(new Change(commit, "truncate", false));
                        }
                    }
                }
                default -> {}
            }
        }
        return changes;
    }

    private record Relation(String schema, String table, List<String> columns) {
        static Relation read(ByteBuffer message) {
            var schema = text(message);
            var table = text(message);
            message.get();
            var columns = new ArrayList<String>();
            for (int count = message.getShort(); count > 0; count--) {
                message.get();
                columns.add(text(message));
                message.getInt();
                message.getInt();
            }
            return new Relation(schema, table, columns);
        }

        boolean is(String otherSchema, String otherTable) {
            return schema.equals(otherSchema) && table.equals(otherTable);
        }
    }

    private static boolean moved(ByteBuffer message, Relation relation, List<String> key) {
        if (message.get() == 'N') {
            return false;
        }
        var before = tuple(message);
        message.get();
        var after = tuple(message);
        return key.stream()
                .map(relation.columns()::indexOf)
                .anyMatch(column ->
                        after.get(column) != null && !after.get(column).equals(before.get(column)));
    }

    /** Null for what is NULL or left out. */
    private static List<String> tuple(ByteBuffer message) {
        var values = new ArrayList<String>();
        for (int count = message.getShort(); count > 0; count--) {
            if (message.get() == 't') {
                var value = new byte[message.getInt()];
                message.get(value);
                values.add(new String(value, StandardCharsets.UTF_8));
            } else {
                values.add(null);
            }
        }
        return values;
    }

    /** As a list of identifiers, in a literal. */
    private String publications() {
        var names = pipe.settings().ownsPublication()
                ? postgres
                        .rows("SELECT pubname FROM pg_publication WHERE pubname IN ('" + pipe.ownPublication() + "', '"
                                + pipe.insertOnlyPublication() + "')")
                        .stream()
                        .map(List::getFirst)
                        .toList()
                : List.of(pipe.publication());
        return Names.literal(
                String.join(",", names.stream().map(Names::postgres).toList()));
    }

    private static String text(ByteBuffer message) {
        int start = message.position();
        while (message.get() != 0) {
            // up to the end of the string
        }
        return new String(message.array(), start, message.position() - 1 - start, StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        postgres.query("SELECT pg_drop_replication_slot('" + slot + "')");
    }
}
