package dev.clickpipe.postgres;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Which database cluster the source is, and what became of its WAL: a server that is promoted, or recovered to a point in time,
 * goes on in a timeline of its own, and what the former one wrote after that point is no part of it (PostgreSQL documentation,
 * 26.3.5 "Timelines").
 *
 * @param systemIdentifier given by initdb
 * @param timelines from the first one to the one that is written now; empty while the server recovers and may yet be promoted
 */
public record Lineage(String systemIdentifier, List<Timeline> timelines) {
    /** @param begin where it branched off from the one before */
    record Timeline(long id, Lsn begin) {
        @Override
        public String toString() {
            return id + "@" + begin;
        }
    }

    public Lineage {
        timelines = List.copyOf(timelines);
    }

    /** @param connection of the replication protocol */
    public static Lineage of(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            String systemIdentifier;
            long current;
            try (var row = statement.executeQuery("IDENTIFY_SYSTEM")) {
                row.next();
                systemIdentifier = row.getString("systemid");
                current = row.getLong("timeline");
            }
            try (var row = statement.executeQuery("SELECT pg_is_in_recovery()")) {
                row.next();
                if ("t".equals(row.getString(1))) {
                    return new Lineage(systemIdentifier, List.of());
                }
            }
            if (current == 1) {
                return new Lineage(systemIdentifier, timelines(current, ""));
            }
            try (var row = statement.executeQuery("TIMELINE_HISTORY " + current)) {
                row.next();
                return new Lineage(systemIdentifier, timelines(current, row.getString("content")));
            }
        }
    }

    /** @param history a line for each former timeline: its number, where it was left, and why */
    static List<Timeline> timelines(long current, String history) {
        var timelines = new ArrayList<Timeline>();
        var begin = Lsn.ZERO;
        for (var line : history.lines().toList()) {
            var fields = line.strip().split("\\s+");
            if (fields.length >= 2 && !fields[0].startsWith("#")) {
                timelines.add(new Timeline(Long.parseLong(fields[0]), begin));
                begin = Lsn.parse(fields[1]);
            }
        }
        timelines.add(new Timeline(current, begin));
        return timelines;
    }

    /** The timeline that is written now, as {@link #end} takes it; empty when that is not known. */
    public String timeline() {
        return timelines.isEmpty() ? "" : timelines.getLast().toString();
    }

    /**
     * Up to where a timeline is a part of this lineage.
     *
     * @param timeline as {@link #timeline} told it, then
     * @return empty: to its end, or it is not known; zero when it is no part of this lineage
     */
    public Optional<Lsn> end(String timeline) {
        if (timeline.isEmpty() || timelines.isEmpty() || timeline.equals(timeline())) {
            return Optional.empty();
        }
        for (int i = 0; i + 1 < timelines.size(); i++) {
            if (timelines.get(i).toString().equals(timeline)) {
                return Optional.of(timelines.get(i + 1).begin());
            }
        }
        return Optional.of(Lsn.ZERO);
    }
}
