package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Problem;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Whether the source still has the streamed tables, and publishes them without a gap. The stream itself does not tell: of a table
 * that is published no more, nothing comes.
 *
 * @param published for each build by what its publication has the table, see {@link TableDefinition.Streaming}
 * @param failures for builds of which changes may have been left out
 * @param warnings for builds that go on nevertheless
 */
record SourceTables(Map<String, String> published, Map<String, Problem> failures, Map<String, Problem> warnings) {
    static final SourceTables UNKNOWN = new SourceTables(Map.of(), Map.of(), Map.of());

    /** A row of pg_publication_rel lives until its table is taken out; put back it has another OID. */
    private static final String QUERY = """
            SELECT wanted.build, n.nspname || '.' || c.relname, p.oid IS NOT NULL, t.pubname IS NOT NULL,
                   concat_ws(' ', p.oid, r.oid, CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                       CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END)
            FROM unnest(?::text[], ?::bigint[], ?::text[]) AS wanted (build, relid, publication)
            LEFT JOIN pg_class c ON c.oid = wanted.relid::oid
            LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_publication p ON p.pubname = wanted.publication
            LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
            LEFT JOIN (SELECT DISTINCT pubname, schemaname, tablename FROM pg_publication_tables WHERE pubname = ANY (?)) t
                ON t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname
            """;

    static SourceTables look(Connection connection, List<TableDefinition> builds) throws SQLException {
        var byBuild = new HashMap<String, TableDefinition>();
        builds.forEach(build -> byBuild.put(build.build(), build));
        var publications =
                builds.stream().map(build -> build.publishing().publication()).toArray(String[]::new);
        var published = new HashMap<String, String>();
        var failures = new HashMap<String, Problem>();
        var warnings = new HashMap<String, Problem>();
        try (var query = connection.prepareStatement(QUERY)) {
            query.setArray(
                    1,
                    connection.createArrayOf(
                            "text", builds.stream().map(TableDefinition::build).toArray()));
            query.setArray(
                    2,
                    connection.createArrayOf(
                            "bigint",
                            builds.stream().map(TableDefinition::relid).toArray()));
            query.setArray(3, connection.createArrayOf("text", publications));
            query.setArray(4, connection.createArrayOf("text", publications));
            try (var rows = query.executeQuery()) {
                while (rows.next()) {
                    var build = byBuild.get(rows.getString(1));
                    var found = new Found(rows.getString(2), rows.getBoolean(3), rows.getBoolean(4), rows.getString(5));
                    published.put(build.build(), found.by);
                    failure(build, found).ifPresent(problem -> failures.put(build.build(), problem));
                    if (found.name != null && !found.name.equals(build.source())) {
                        warnings.put(build.build(), renamed(build, found.name));
                    }
                }
            }
        }
        return new SourceTables(published, failures, warnings);
    }

    /** @param name null when the table is gone */
    private record Found(String name, boolean publication, boolean member, String by) {}

    private static Optional<Problem> failure(TableDefinition build, Found found) {
        var table = "table " + build.source();
        var publication = build.publishing().publication();
        var recorded = build.streaming() == null ? null : build.streaming().published();
        if (found.name == null) {
            return Optional.of(new Problem(
                    "SourceTableMissing",
                    table,
                    "it was dropped, or dropped and created again (OID " + build.relid() + " is gone)",
                    "Take it out of spec.tableMappings; or create it"));
        }
        if (!found.publication) {
            return Optional.of(new Problem(
                    "PublicationMissing",
                    table,
                    "publication " + publication
                            + " does not exist: changes made since it was dropped were not published",
                    "Create the publication again with the mapped tables, if it is yours"));
        }
        if (!found.member) {
            return Optional.of(new Problem(
                    "NotPublished",
                    table,
                    "publication " + publication
                            + " does not have it any more: its changes since then are not published",
                    "ALTER PUBLICATION … ADD TABLE, if the publication is yours"));
        }
        if (recorded != null && !recorded.equals(found.by)) {
            return Optional.of(new Problem(
                    "PublicationChanged",
                    table,
                    "publication " + publication
                            + " was made again, or had the table taken out and put back, or publishes"
                            + " other operations than when it was taken up: changes made meanwhile may be missing",
                    null));
        }
        return Optional.empty();
    }

    private static Problem renamed(TableDefinition build, String name) {
        return new Problem(
                "SourceTableRenamed",
                "table " + build.source(),
                "it is called " + name + " now, and is replicated on",
                "Name it back; under its new name the mapping is of another table, which loads anew");
    }
}
