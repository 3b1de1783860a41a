package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition.Attribute;
import dev.clickpipe.clickhouse.TableDefinition.Followed;
import dev.clickpipe.postgres.Lsn;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Which columns the stream's rows have, when the catalogue is ahead of the stream. The stream tells names in the order of the
 * columns' numbers, and no numbers. Numbers are given in order and never again, so whatever column is there now was there as soon as
 * one with a higher number was; only columns dropped since leave a choice. Then the names decide that a column is known to have had,
 * and where they leave a choice, too, nobody can tell. Pure; for one thread.
 */
final class Alignment {
    private final String[] names;
    private final Attribute[] attributes;
    private final Lsn commit;
    private final Map<Long, Integer> counted = new HashMap<>();

    private Alignment(String[] names, Attribute[] attributes, Lsn commit) {
        this.names = names;
        this.attributes = attributes;
        this.commit = commit;
    }

    /**
     * @param names of the stream's columns, in its order
     * @param followed the source's schema, as of then or later
     * @param commit of the transaction that the rows are of
     * @return the place in the stream's rows of each column, by number; empty where it can't be told
     */
    static Optional<Map<Integer, Integer>> of(String[] names, Followed followed, Lsn commit) {
        var known = followed.attributes().stream().collect(Collectors.toMap(Attribute::number, Function.identity()));
        int count = Math.max(
                followed.shape().attributes(),
                known.keySet().stream().mapToInt(Integer::intValue).max().orElse(0));
        var attributes = new Attribute[count];
        for (int i = 0; i < count; i++) {
            attributes[i] = known.get(i + 1);
        }
        var alignment = new Alignment(names, attributes, commit);
        for (boolean byName : new boolean[] {true, false}) {
            int ways = alignment.ways(0, 0, byName);
            if (ways == 1) {
                return Optional.of(alignment.way(byName));
            }
            if (ways > 1) {
                return Optional.empty();
            }
        }
        return Optional.empty();
    }

    /** In how many ways the names from {@code name} on are those of columns from {@code at} on; no more than two are counted. */
    private int ways(int at, int name, boolean byName) {
        if (at == attributes.length) {
            return name == names.length ? 1 : 0;
        }
        long key = ((long) at << 32 | name) << 1 | (byName ? 1 : 0);
        var known = counted.get(key);
        if (known == null) {
            int ways = (mayHave(at, name, byName) ? ways(at + 1, name + 1, byName) : 0)
                    + (mayLack(at, name) ? ways(at + 1, name, byName) : 0);
            known = Math.min(ways, 2);
            counted.put(key, known);
        }
        return known;
    }

    private Map<Integer, Integer> way(boolean byName) {
        var places = new HashMap<Integer, Integer>();
        int name = 0;
        for (int at = 0; at < attributes.length; at++) {
            if (mayHave(at, name, byName) && ways(at + 1, name + 1, byName) == 1) {
                places.put(at + 1, name++);
            }
        }
        return places;
    }

    private boolean mayHave(int at, int name, boolean byName) {
        var attribute = attributes[at];
        if (name == names.length) {
            return false;
        }
        if (attribute == null) {
            return !byName; // dropped before anybody knew it
        }
        return attribute.published()
                && (attribute.until() == null || commit.compareTo(Lsn.parse(attribute.until())) < 0)
                && (!byName || attribute.names().contains(names[name]));
    }

    private boolean mayLack(int at, int name) {
        var attribute = attributes[at];
        if (attribute == null || !attribute.published() || attribute.until() != null) {
            return true;
        }
        // It is there now: it was not before it was added, and then nothing with a higher number was.
        return name == names.length && commit.compareTo(Lsn.parse(attribute.since())) < 0;
    }
}
