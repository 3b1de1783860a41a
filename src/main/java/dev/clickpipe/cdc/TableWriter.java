package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.UnrepresentableValue;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.PgOutputMessage.OldTuple;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.Tuple;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Encodes changes of one source table, in the shape that the stream has it in at the moment, as rows of its target. For one
 * thread.
 */
final class TableWriter {
    private final Target target;
    private final Relation relation;
    private final Shape shape;
    /** Places in the definition of the columns that identify a source row. */
    private final int[] key;
    /** Places in the definition of the columns that identify a row of a ReplacingMergeTree target. */
    private final int[] sortingKey;
    /** Whether the source has the column no more: it is written for rows from before, and looked up nowhere. */
    private final boolean[] dropped;
    /** Whether an old row carries all of {@link #sortingKey}. */
    private final boolean identified;
    /** Columns of which a value became the end of the target's range. */
    private final Set<String> clamped = new TreeSet<>();

    TableWriter(Target target, Relation relation, Shape shape) {
        this.target = target;
        this.relation = relation;
        this.shape = shape;
        this.key = places(target.definition().keyColumns());
        this.sortingKey = places(target.definition().sortingKey());
        this.dropped = dropped(target.definition());
        this.identified = Arrays.stream(sortingKey).allMatch(this::inIdentity);
    }

    Target target() {
        return target;
    }

    /** Columns of which values became the nearest end of the target's range, since this was asked last. */
    Set<String> takeClamped() {
        if (clamped.isEmpty()) {
            return Set.of();
        }
        var taken = Set.copyOf(clamped);
        clamped.clear();
        return taken;
    }

    /** The row that INSERT made. */
    void insert(Rows rows, Transaction transaction, long ordinal, Tuple row) {
        begin(rows.encoded(), transaction, ordinal, "insert", false);
        newRow(rows, null, row);
    }

    /**
     * The row as UPDATE left it; before it a tombstone under the key it had, if that was another one. A history tells the same:
     * nothing else says where the row with the old key went.
     *
     * @param oldOrdinal less than {@code ordinal}, so that the row wins, should ClickHouse take both keys for the same
     */
    void update(Rows rows, Transaction transaction, long oldOrdinal, OldTuple old, long ordinal, Tuple row) {
        if (!target.appendOnly()) {
            requireIdentity();
        }
        if (old != null && moved(old, row)) {
            delete(rows, transaction, oldOrdinal, old);
        }
        begin(rows.encoded(), transaction, ordinal, "update", false);
        newRow(rows, old, row);
    }

    /** A tombstone, in a history the row's end; with the columns that the old row came with. */
    void delete(Rows rows, Transaction transaction, long ordinal, OldTuple old) {
        if (!target.appendOnly()) {
            requireIdentity();
        }
        begin(rows.encoded(), transaction, ordinal, "delete", true);
        for (int i = 0; i < shape.sources().length; i++) {
            rows.encoded().tab();
            if (carries(old, i)) {
                value(rows.encoded(), i, old.tuple());
            } else {
                rows.encoded().nullValue();
            }
        }
        rows.ended();
    }

    /** TRUNCATE in a history: a row of its own, without values. */
    void truncate(Rows rows, Transaction transaction, long ordinal) {
        begin(rows.encoded(), transaction, ordinal, "truncate", true);
        for (int i = 0; i < shape.sources().length; i++) {
            rows.encoded().tab();
            rows.encoded().nullValue();
        }
        rows.ended();
    }

    private void begin(TsvBuffer out, Transaction transaction, long ordinal, String operation, boolean deleted) {
        transaction.appendVersion(out, ordinal);
        out.tab();
        out.rawByte(deleted ? '1' : '0');
        if (target.appendOnly()) {
            out.tab();
            out.ascii(operation);
            out.tab();
            out.ascii(transaction.committedAtText());
        }
    }

    private void newRow(Rows rows, OldTuple old, Tuple row) {
        RowKey before = null;
        RowKey after = null;
        for (int i = 0; i < shape.sources().length; i++) {
            rows.encoded().tab();
            int source = shape.sources()[i];
            if (source < 0 || !row.unchanged(source)) {
                requireNullable(i, source >= 0 && row.isNull(source));
                value(rows.encoded(), i, row);
            } else if (old != null && carries(old, i)) {
                value(rows.encoded(), i, old.tuple());
            } else if (dropped[i]) {
                rows.encoded().nullValue();
            } else {
                if (before == null) {
                    before = key(old, row, true);
                    after = old == null ? before : key(old, row, false);
                }
                rows.leaveOut(i, before, after);
            }
        }
        rows.ended();
    }

    /** NOT NULL may have been dropped and set again since, so that nothing but the row tells. */
    private void requireNullable(int column, boolean isNull) {
        var of = target.definition().columns().get(column);
        if (isNull && !of.nullable() && !dropped[column] && target.keepsNull(of)) {
            throw new SchemaChanged(target.definition(), of.number());
        }
    }

    /** Appends a column's value, which is there or NULL. */
    private void value(TsvBuffer out, int column, Tuple tuple) {
        int source = shape.sources()[column];
        if (source < 0) {
            out.rawBytes(shape.absent()[column]);
            return;
        }
        if (tuple.isNull(source)) {
            out.nullValue();
            return;
        }
        try {
            long before = out.clampedValues();
            shape.encoders()[column].encode(tuple.bytes(), tuple.from(source), tuple.to(source), out);
            if (out.clampedValues() != before) {
                clamped.add(columnName(column));
            }
        } catch (UnrepresentableValue e) {
            throw new TableFailure(target.definition(), e.in(target.source(), columnName(column)));
        }
    }

    /** Whether the old row says what the column's value was: a row tagged as key reads NULL outside of the identity. */
    private boolean carries(OldTuple old, int column) {
        int source = shape.sources()[column];
        return source >= 0
                && !old.tuple().unchanged(source)
                && (old.whole() || relation.columns().get(source).identity());
    }

    /** Whether the key changed. Of all columns of REPLICA IDENTITY FULL only those of the target's sorting key count. */
    private boolean moved(OldTuple old, Tuple row) {
        for (int column : target.appendOnly() && !old.whole() ? key : sortingKey) {
            int source = shape.sources()[column];
            if (source >= 0 && carries(old, column) && !row.unchanged(source) && !sameText(old.tuple(), row, source)) {
                return true;
            }
        }
        return false;
    }

    private static boolean sameText(Tuple a, Tuple b, int column) {
        if (!a.hasText(column) || !b.hasText(column)) {
            return a.hasText(column) == b.hasText(column);
        }
        return Arrays.equals(a.bytes(), a.from(column), a.to(column), b.bytes(), b.from(column), b.to(column));
    }

    /** The key of the row, as it was before the change or as it is after it. */
    private RowKey key(OldTuple old, Tuple row, boolean before) {
        var text = new ArrayList<String>(key.length);
        var encoded = new TsvBuffer(64);
        for (int column : key) {
            int source = shape.sources()[column];
            boolean fromOld = source >= 0 && old != null && carries(old, column) && (before || row.unchanged(source));
            var tuple = fromOld ? old.tuple() : row;
            if (source < 0 || !tuple.hasText(source)) {
                throw noIdentity("an UPDATE came without the value of key column " + columnName(column));
            }
            if (!text.isEmpty()) {
                encoded.tab();
            }
            text.add(tuple.text(source));
            value(encoded, column, tuple);
        }
        if (text.isEmpty()) {
            throw noIdentity("an UPDATE of a row without key left out a value that it did not change");
        }
        return new RowKey(List.copyOf(text), copy(encoded));
    }

    private static ByteBuffer copy(TsvBuffer encoded) {
        return ByteBuffer.allocate(encoded.size()).put(encoded.view()).flip();
    }

    private void requireIdentity() {
        if (!identified) {
            throw noIdentity(
                    "an UPDATE or DELETE came, but the replica identity lacks columns of the target's sorting key "
                            + target.definition().sortingKey());
        }
    }

    private TableFailure noIdentity(String message) {
        return new TableFailure(
                target.definition(),
                new Problem(
                        "ReplicaIdentityInsufficient",
                        "table " + target.source(),
                        message,
                        "ALTER TABLE … REPLICA IDENTITY FULL, or a sorting key of identity columns"));
    }

    private boolean inIdentity(int column) {
        int source = shape.sources()[column];
        return source >= 0 && relation.columns().get(source).identity();
    }

    private static boolean[] dropped(TableDefinition definition) {
        var dropped = new boolean[definition.columns().size()];
        for (int i = 0; i < dropped.length; i++) {
            dropped[i] = !definition
                    .followed()
                    .columns()
                    .contains(definition.columns().get(i));
        }
        return dropped;
    }

    private int[] places(List<String> names) {
        return names.stream().mapToInt(this::place).toArray();
    }

    private int place(String name) {
        int place = target.column(name);
        if (place < 0) {
            throw new TableFailure(
                    target.definition(),
                    new Problem(
                            "KeyColumnExcluded",
                            "table " + target.source() + ", column " + name,
                            "a column of the key is not replicated",
                            "Take it out of excludedColumns"));
        }
        return place;
    }

    private String columnName(int column) {
        return target.definition().columns().get(column).name();
    }
}
