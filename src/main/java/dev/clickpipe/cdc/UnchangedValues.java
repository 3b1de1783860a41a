package dev.clickpipe.cdc;

import dev.clickpipe.cdc.Rows.Hole;
import dev.clickpipe.cdc.Rows.Value;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Finds the values that Postgres left out: a TOASTed value that an UPDATE did not change is not sent unless the table has
 * REPLICA IDENTITY FULL (PostgreSQL documentation, 54.9, "TupleData").
 *
 * <p>Asked in this order: earlier rows of the same batch, and the target, which holds all earlier batches, under the key that the
 * row had before the change; then the source, under the keys it has had since. The source's value may be newer than the change:
 * then a later change is on its way that carries the same value, and wins. A row that is in none of them was deleted, or got yet
 * another key, by a later change; {@link Rows#writeTo} says what becomes of it.
 *
 * <p>While a ReplacingMergeTree is being loaded the source is asked before the target: a change may have been left out because its
 * row was not there yet and had got another key in the source, so that the row as it is loaded afterwards is older than that change.
 * A history asks its target first even then, for only that has the value as of the change.
 */
final class UnchangedValues {
    private final Lookup targets;
    private final Lookup sources;
    private final Progress progress;

    /** A place where rows are looked up by key. */
    interface Lookup {
        /**
         * Reports the values that are there.
         *
         * @param before the version of the first row that is to be sent
         * @param keys distinct
         * @param columns places in the definition
         */
        void find(Target target, Version before, List<RowKey> keys, List<Integer> columns, Found found);
    }

    /** Takes a value as a TabSeparated field. */
    interface Found {
        void value(RowKey key, int column, byte[] field);
    }

    UnchangedValues(Lookup targets, Lookup sources, Progress progress) {
        this.targets = targets;
        this.sources = sources;
        this.progress = progress;
    }

    /** A value's place. */
    private record Place(RowKey key, int column) {}

    /** Fills all holes of these rows. Earlier batches must have been confirmed. */
    void fill(Rows rows) {
        if (rows.holes().isEmpty()) {
            return;
        }
        var sought = fillFromBatch(rows);
        progress.unchanged(
                "batch",
                rows.holes().stream().filter(hole -> hole.value().found()).count());
        if (rows.target().whole()) {
            progress.unchanged("target", find(targets, rows, sought, false));
            progress.unchanged("source", find(sources, rows, sought, true));
        } else {
            progress.unchanged("source", find(sources, rows, sought, true));
            progress.unchanged("target", find(targets, rows, sought, false));
        }
        progress.unchanged(
                "nowhere",
                sought.values().stream().filter(value -> !value.found()).count());
    }

    /** @param everyKey under all keys that the row has had, not only under the former */
    private static long find(Lookup lookup, Rows rows, Map<Place, Value> sought, boolean everyKey) {
        var missing = sought.entrySet().stream()
                .filter(one -> !one.getValue().found())
                .toList();
        if (missing.isEmpty()) {
            return 0;
        }
        var keys = new LinkedHashSet<RowKey>();
        missing.forEach(one -> {
            keys.add(one.getKey().key());
            if (everyKey) {
                keys.addAll(one.getValue().keys());
            }
        });
        var columns = missing.stream()
                .map(one -> one.getKey().column())
                .distinct()
                .sorted()
                .toList();
        var found = new HashMap<Place, byte[]>();
        lookup.find(
                rows.target(),
                rows.first(),
                List.copyOf(keys),
                columns,
                (key, column, field) -> found.put(new Place(key, column), field));
        long count = 0;
        for (var one : missing) {
            // Under the last key first: a former one may have been taken by another row since.
            var candidates = everyKey ? one.getValue().keys().reversed() : List.<RowKey>of();
            var field = Stream.concat(
                            candidates.stream(), Stream.of(one.getKey().key()))
                    .map(key -> found.get(new Place(key, one.getKey().column())))
                    .filter(Objects::nonNull)
                    .findFirst();
            field.ifPresent(one.getValue()::found);
            count += field.isPresent() ? 1 : 0;
        }
        return count;
    }

    /** Fills the holes whose row was written in this batch before; the others get a value that is sought elsewhere. */
    private static Map<Place, Value> fillFromBatch(Rows rows) {
        var sought = new HashMap<Place, Value>();
        var encoded = rows.encoded().view();
        var wanted = rows.holes().stream().map(hole -> hole.before().encoded()).collect(Collectors.toSet());
        var latest = new HashMap<ByteBuffer, Row>();
        var target = rows.target();
        int system = target.systemColumns().size();
        int width = system + target.definition().columns().size();
        var key = target.definition().keyColumns().stream()
                .mapToInt(name -> system + target.column(name))
                .toArray();
        int nextHole = 0;
        int at = 0;
        while (at < encoded.limit()) {
            var ends = new int[width];
            int start = at;
            at = fields(encoded, at, ends);
            var holes = new ArrayList<Hole>();
            while (nextHole < rows.holes().size() && rows.holes().get(nextHole).position() < at) {
                holes.add(rows.holes().get(nextHole++));
            }
            for (var hole : holes) {
                var before = latest.get(hole.before().encoded());
                hole.fill(
                        before == null
                                ? sought.computeIfAbsent(new Place(hole.before(), hole.column()), none -> new Value())
                                : before.value(encoded, system, hole.column()));
            }
            var row = new Row(start, ends, holes);
            var own = row.key(encoded, key);
            // A tombstone has no values; before an update that changes the key it stands between the row and its
            // values.
            if (wanted.contains(own) && !row.deleted(encoded)) {
                latest.put(own, row);
            }
        }
        return sought;
    }

    /** Finds where the fields of the row that begins at {@code at} end; returns where the next row begins. */
    private static int fields(ByteBuffer encoded, int at, int[] ends) {
        for (int field = 0; ; at++) {
            byte b = encoded.get(at);
            if (b == '\t') {
                ends[field++] = at;
            } else if (b == '\n') {
                ends[field] = at;
                return at + 1;
            }
        }
    }

    /**
     * A row in the encoded bytes.
     *
     * @param ends where each field ends, exclusive
     * @param holes those of this row
     */
    private record Row(int start, int[] ends, List<Hole> holes) {

        Value value(ByteBuffer encoded, int system, int column) {
            for (var hole : holes) {
                if (hole.column() == column) {
                    return hole.value();
                }
            }
            var value = new Value();
            var field = field(encoded, system + column);
            var bytes = new byte[field.remaining()];
            field.get(bytes);
            value.found(bytes);
            return value;
        }

        boolean deleted(ByteBuffer encoded) {
            return field(encoded, 1).get(0) == '1'; // as both kinds of targets have it: after the version
        }

        /** The fields of the key with tabs between them; a copy unless it is one field. */
        ByteBuffer key(ByteBuffer encoded, int[] fields) {
            if (fields.length == 1) {
                return field(encoded, fields[0]);
            }
            int size = fields.length - 1;
            for (int field : fields) {
                size += field(encoded, field).remaining();
            }
            var key = ByteBuffer.allocate(size);
            for (int i = 0; i < fields.length; i++) {
                if (i > 0) {
                    key.put((byte) '\t');
                }
                key.put(field(encoded, fields[i]));
            }
            return key.flip();
        }

        private ByteBuffer field(ByteBuffer encoded, int field) {
            int from = field == 0 ? start : ends[field - 1] + 1;
            return encoded.slice(from, ends[field] - from);
        }
    }
}
