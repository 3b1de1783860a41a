package dev.clickpipe.cdc;

import dev.clickpipe.cdc.Rows.Hole;
import dev.clickpipe.cdc.Rows.Value;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

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
 *
 * <p>One UPDATE of a whole table may leave out more than memory holds. So values are looked up while the rows are written, some at
 * a time: the small ones of some hundred, and of the large ones as many as {@link #BYTES} hold, or one row's.
 */
final class UnchangedValues {
    /** Values looked up at once. */
    private static final int VALUES = 500;
    /** Larger ones are asked for when their row is written. */
    private static final int SMALL = 16 << 10;
    /** Of large values held at once, unless one row's are more. */
    private static final long BYTES = 4 << 20;

    private final Lookup targets;
    private final Lookup sources;
    private final Progress progress;

    /** A place where rows are looked up by key. */
    interface Lookup {
        /**
         * Reports the values that are there, of those that are larger only how large they are.
         *
         * @param before the version of the first row that is to be sent
         * @param keys distinct
         * @param columns places in the definition
         * @param atMost bytes
         */
        void find(Target target, Version before, List<RowKey> keys, List<Integer> columns, long atMost, Found found);
    }

    /** Takes a value as a TabSeparated field. */
    interface Found {
        /**
         * @param size in bytes, roughly
         * @param field null: it is larger than was asked for
         */
        void value(RowKey key, int column, long size, byte[] field);
    }

    UnchangedValues(Lookup targets, Lookup sources, Progress progress) {
        this.targets = targets;
        this.sources = sources;
        this.progress = progress;
    }

    /** A value's place. */
    private record Place(RowKey key, int column) {}

    /** A value that is somewhere, but was too large to be brought along. */
    private record Large(Lookup lookup, Place place, long size) {}

    /**
     * Writes these rows with all their values. Earlier batches must have been confirmed.
     *
     * @param moved is told whenever it gets on
     */
    void write(Rows rows, OutputStream out, Runnable moved) throws IOException {
        link(rows);
        progress.unchanged(
                "batch",
                rows.holes().stream().filter(hole -> hole.value().inBatch()).count());
        var counted = new HashSet<Value>();
        var incomplete = rows.incomplete();
        int written = 0;
        for (int from = 0, to; from < incomplete.size(); from = to) {
            var sought = new LinkedHashSet<Value>();
            for (to = from; to < incomplete.size() && sought.size() < VALUES; to++) {
                incomplete.get(to).stream()
                        .map(Hole::value)
                        .filter(value -> !value.inBatch())
                        .forEach(sought::add);
            }
            var large = find(rows, sought, counted);
            moved.run();
            written = write(rows, incomplete.subList(from, to), large, out, written, moved);
            sought.forEach(value -> value.found(null));
        }
        rows.writeRest(out, written);
    }

    /** Rows whose small values are found; of the large ones some at a time. */
    private int write(
            Rows rows, List<List<Hole>> incomplete, Map<Value, Large> large, OutputStream out, int from, Runnable moved)
            throws IOException {
        int written = from;
        for (int first = 0, next; first < incomplete.size(); first = next) {
            var wanted = new LinkedHashSet<Value>();
            long bytes = 0;
            for (next = first; next < incomplete.size(); next++) {
                var more = incomplete.get(next).stream()
                        .map(Hole::value)
                        .filter(value -> large.containsKey(value) && !wanted.contains(value))
                        .collect(Collectors.toSet());
                bytes += more.stream()
                        .mapToLong(value -> large.get(value).size())
                        .sum();
                if (next > first && bytes > BYTES) {
                    break;
                }
                wanted.addAll(more);
            }
            fetch(rows, wanted, large);
            for (var row : incomplete.subList(first, next)) {
                written = rows.writeTo(out, written, row);
            }
            moved.run();
            wanted.forEach(value -> value.found(null));
        }
        return written;
    }

    /** @return those that are found, but too large to be held together */
    private Map<Value, Large> find(Rows rows, Set<Value> sought, Set<Value> counted) {
        var large = new HashMap<Value, Large>();
        var missing = new LinkedHashSet<>(sought);
        boolean sourcesFirst = !rows.target().whole();
        for (boolean source : new boolean[] {sourcesFirst, !sourcesFirst}) {
            var found = find(rows, source, missing, large);
            missing.removeAll(found);
            progress.unchanged(
                    source ? "source" : "target",
                    found.stream().filter(counted::add).count());
        }
        progress.unchanged("nowhere", missing.stream().filter(counted::add).count());
        return large;
    }

    private Set<Value> find(Rows rows, boolean source, Set<Value> missing, Map<Value, Large> large) {
        var found = new HashSet<Value>();
        if (missing.isEmpty()) {
            return found;
        }
        var lookup = source ? sources : targets;
        var asked = new LinkedHashSet<Place>();
        missing.forEach(value -> asked.addAll(places(value, source)));
        var fields = new HashMap<Place, byte[]>();
        var sizes = new HashMap<Place, Long>();
        lookup.find(
                rows.target(),
                rows.first(),
                asked.stream().map(Place::key).distinct().toList(),
                asked.stream().map(Place::column).distinct().sorted().toList(),
                SMALL,
                (key, column, size, field) -> {
                    var place = new Place(key, column);
                    if (asked.contains(place)) {
                        sizes.put(place, size);
                        fields.put(place, field);
                    }
                });
        for (var value : missing) {
            places(value, source).stream()
                    .filter(fields::containsKey)
                    .findFirst()
                    .ifPresent(place -> {
                        found.add(value);
                        if (fields.get(place) != null) {
                            value.found(fields.get(place));
                        } else {
                            large.put(value, new Large(lookup, place, sizes.get(place)));
                        }
                    });
        }
        return found;
    }

    /** Under the last key first, in the source: a former one may have been taken by another row since. */
    private static List<Place> places(Value value, boolean source) {
        var keys = new ArrayList<RowKey>();
        if (source) {
            keys.addAll(value.keys().reversed());
        }
        keys.add(value.before());
        return keys.stream().map(key -> new Place(key, value.column())).toList();
    }

    private static void fetch(Rows rows, Set<Value> wanted, Map<Value, Large> large) {
        // Column by column: a row's other large values are not wanted.
        wanted.stream()
                .collect(Collectors.groupingBy(
                        value -> Map.entry(large.get(value).lookup(), value.column())))
                .forEach((where, values) -> {
                    var byKey = values.stream()
                            .collect(Collectors.groupingBy(
                                    value -> large.get(value).place().key()));
                    where.getKey()
                            .find(
                                    rows.target(),
                                    rows.first(),
                                    List.copyOf(byKey.keySet()),
                                    List.of(where.getValue()),
                                    Long.MAX_VALUE,
                                    (key, column, size, field) -> byKey.get(key).forEach(value -> value.found(field)));
                });
    }

    /** Gives each hole its value: the one of an earlier row of this batch, or one that is sought elsewhere. */
    private static void link(Rows rows) {
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
        while (at < encoded.limit() && !wanted.isEmpty()) {
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
                                ? sought.computeIfAbsent(
                                        new Place(hole.before(), hole.column()),
                                        place -> Value.sought(place.key(), place.column()))
                                : before.value(system, hole.column()));
            }
            var row = new Row(start, ends, holes);
            var own = row.key(encoded, key);
            // A tombstone has no values; before an update that changes the key it stands between the row and its
            // values.
            if (wanted.contains(own) && !row.deleted(encoded)) {
                latest.put(own, row);
            }
        }
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

        Value value(int system, int column) {
            for (var hole : holes) {
                if (hole.column() == column) {
                    return hole.value();
                }
            }
            int field = system + column;
            return Value.at(begin(field), ends[field]);
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
            return encoded.slice(begin(field), ends[field] - begin(field));
        }

        private int begin(int field) {
            return field == 0 ? start : ends[field - 1] + 1;
        }
    }
}
