package dev.clickpipe.setup;

import static dev.clickpipe.postgres.Publications.identifier;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lineage;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import dev.clickpipe.postgres.Publications;
import dev.clickpipe.postgres.Publications.Publication;
import dev.clickpipe.postgres.Slots;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** What change data capture needs of the source: WAL, rights, free slots and senders, publications and slot. Reads only. */
final class ReplicationChecks {
    private static final String SENDERS = "SELECT count(*) FROM pg_stat_get_wal_senders()";

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final Query source;
    private final String user;
    private final List<Problem> problems;
    private boolean mayReplicate;
    private Lineage lineage;
    private Optional<Slots.Slot> slot = Optional.empty();
    private List<SourceChecks.Table> tables = List.of();

    /**
     * @param user the role, quoted, for remedies
     * @param problems takes what is found
     */
    ReplicationChecks(Pipe pipe, PostgresClient postgres, Query source, String user, List<Problem> problems) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.source = source;
        this.user = user;
        this.problems = problems;
    }

    /**
     * What streaming needs of server and role.
     *
     * @return the server's lineage; null when it was not asked or did not answer
     */
    Lineage checkServer() throws SQLException {
        var level = source.setting("wal_level");
        if (!level.equals("logical")) {
            problem(
                    "WalLevelTooLow",
                    postgres.object(),
                    "wal_level is " + level,
                    "ALTER SYSTEM SET wal_level = 'logical', then restart the server; on managed services set the parameter for logical replication");
        }
        mayReplicate = source.one("""
                SELECT rolsuper OR rolreplication
                    OR EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'rds_replication' AND pg_has_role(m.oid, 'USAGE'))
                FROM pg_roles WHERE rolname = current_user
                """, row -> row.getBoolean(1));
        if (!mayReplicate) {
            problem(
                    "NoReplicationRight",
                    "role " + user,
                    "has no right to replicate",
                    "ALTER ROLE " + user + " REPLICATION; on Amazon RDS: GRANT rds_replication TO " + user);
        }
        slot = Slots.find(source.connection(), pipe.slot());
        if (mayReplicate && freeSenders() > 0) {
            identifySystem();
        }
        return lineage;
    }

    /** What tells whether a stream can go on. */
    Continuity.Source source(Recorded recorded) throws SQLException {
        var publications = new HashSet<String>();
        for (var build : recorded.builds()) {
            if (build.publishing() != null
                    && !publications.contains(build.publishing().publication())
                    && Publications.exists(
                            source.connection(), build.publishing().publication())) {
                publications.add(build.publishing().publication());
            }
        }
        var written = source.one(
                "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_insert_lsn() END",
                row -> row.getString(1));
        return new Continuity.Source(
                postgres.object(), lineage, slot, written == null ? null : Lsn.parse(written), publications);
    }

    /**
     * What is needed for the tables that are to be built or loaded.
     *
     * @param followed whether a stream goes on
     * @param load whether rows are to be loaded
     */
    void checkTables(List<SourceChecks.Table> unsettled, boolean followed, boolean load) throws SQLException {
        tables = unsettled;
        checkFree(
                "NoFreeSlot",
                "max_replication_slots",
                "SELECT count(*) FROM pg_replication_slots",
                (slot.isPresent() ? 0 : 1) + (load ? 1 : 0),
                load,
                "replication slots",
                "drop a slot that nobody reads: SELECT slot_name, active FROM pg_replication_slots");
        checkFree(
                "NoFreeSender",
                "max_wal_senders",
                SENDERS,
                (slot.isPresent() && slot.get().activePid() != null ? 0 : 1) + (load ? 1 : 0),
                load,
                "WAL senders",
                "stop a replication connection: SELECT pid, application_name FROM pg_stat_replication");
        if (pipe.settings().ownsPublication()) {
            checkOwnPublications();
        } else {
            checkPublication();
        }
        checkSlot(followed);
    }

    private int freeSenders() throws SQLException {
        return Integer.parseInt(source.setting("max_wal_senders")) - source.one(SENDERS, row -> row.getInt(1));
    }

    private void checkFree(
            String reason, String setting, String used, int needed, boolean load, String what, String wayOut)
            throws SQLException {
        int limit = Integer.parseInt(source.setting(setting));
        int inUse = source.one(used, row -> row.getInt(1));
        if (limit - inUse >= needed) {
            return;
        }
        problem(
                reason,
                postgres.object(),
                "%d of %d %s are in use, the pipe needs %d more%s"
                        .formatted(inUse, limit, what, needed, load ? " (one of them for the load)" : ""),
                "Raise " + setting + " and restart the server; or " + wayOut);
    }

    /** Opens a replication connection, which pg_hba.conf or a pooler may refuse though ordinary ones are let in. */
    private void identifySystem() {
        try (var connection = postgres.connectReplication("setup checks")) {
            lineage = Lineage.of(connection);
        } catch (SQLException e) {
            problems.addAll(PostgresErrors.of(e, postgres.object()).problems());
        } catch (PipeException e) {
            problems.addAll(e.problems());
        }
    }

    private void checkPublication() throws SQLException {
        var object = "publication " + pipe.publication();
        var publication = Publications.find(source.connection(), pipe.publication());
        if (publication.isEmpty()) {
            if (tables.isEmpty()) {
                return; // its tables are followed, and that it is gone is said of them
            }
            problem(
                    "PublicationMissing",
                    object,
                    "does not exist in database "
                            + pipe.spec().source().postgres().database(),
                    "As the tables' owner: " + createPublication() + "; or leave publicationName empty");
            return;
        }
        checkGivenPublication(object, publication.get());
    }

    private String createPublication() {
        return "CREATE PUBLICATION " + identifier(pipe.publication()) + " FOR TABLE "
                + tables.stream()
                        .map(table -> SourceChecks.sqlName(table.source()))
                        .collect(Collectors.joining(", "))
                + " WITH (publish_via_partition_root = true)";
    }

    private void checkGivenPublication(String object, Publication publication) {
        for (var table : tables) {
            var name = table.mapping().source();
            if (table.source().kind() == 'p' && !publication.viaRoot()) {
                problem(
                        "PublicationNotViaRoot",
                        object,
                        "publishes changes of " + name + " as its partitions', not as the table's",
                        "ALTER PUBLICATION " + identifier(publication.name())
                                + " SET (publish_via_partition_root = true)");
                continue;
            }
            var published =
                    publication.table(table.source().schema(), table.source().name());
            if (published.isEmpty()) {
                problem(
                        "PublicationLacksTable",
                        object,
                        "does not contain " + name,
                        "ALTER PUBLICATION " + identifier(publication.name()) + " ADD TABLE "
                                + SourceChecks.sqlName(table.source()));
                continue;
            }
            var missing = new ArrayList<String>();
            if (!publication.insert()) {
                missing.add("insert");
            }
            if (!publication.update() && table.source().hasUsableIdentity()) {
                missing.add("update");
            }
            if (!publication.delete() && table.source().hasUsableIdentity()) {
                missing.add("delete");
            }
            if (!missing.isEmpty()) {
                problem(
                        "PublicationLacksOperations",
                        object,
                        "does not publish " + String.join(" and ", missing) + " of " + name,
                        "ALTER PUBLICATION " + identifier(publication.name())
                                + " SET (publish = 'insert, update, delete, truncate')");
            }
            var columns = published.get().columns();
            var lacking = columns.isEmpty()
                    ? List.<String>of()
                    : table.definition().columns().stream()
                            .map(TableDefinition.Column::name)
                            .filter(column -> !columns.contains(column))
                            .toList();
            if (!lacking.isEmpty()) {
                problem(
                        "PublicationLacksColumns",
                        object,
                        "publishes " + name + " without " + String.join(", ", lacking),
                        "Publish the whole table, or put these columns into excludedColumns");
            }
        }
    }

    private void checkOwnPublications() throws SQLException {
        var existing = new ArrayList<String>();
        for (var name : List.of(pipe.publication(), pipe.insertOnlyPublication())) {
            var publication = Publications.find(source.connection(), name);
            if (publication.isPresent()
                    && (!publication.get().owned() || publication.get().allTables())) {
                problem(
                        "PublicationNotOurs",
                        "publication " + name,
                        "exists, and was not made by this pipe's role",
                        "DROP PUBLICATION " + identifier(name) + ", if nobody uses it");
            }
            publication.ifPresent(there ->
                    there.tables().forEach(published -> existing.add(published.schema() + "." + published.table())));
        }
        if (!source.one("SELECT has_database_privilege(current_database(), 'CREATE')", row -> row.getBoolean(1))) {
            var database = source.one("SELECT current_database()", row -> row.getString(1));
            problem(
                    "CannotMakePublication",
                    "database " + database,
                    "role has no CREATE on it, which CREATE PUBLICATION needs",
                    "GRANT CREATE ON DATABASE " + identifier(database) + " TO " + user
                            + "; or make a publication yourself and name it in publicationName");
        }
        for (var table : tables) {
            boolean published = existing.contains(table.mapping().source());
            var owner = source.find(
                    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = ? AND NOT pg_has_role(relowner, 'USAGE')",
                    row -> row.getString(1),
                    table.source().relid());
            if (owner.isPresent() && !published) {
                problem(
                        "CannotMakePublication",
                        "table " + table.mapping().source(),
                        "belongs to " + owner.get() + ", and only its owner may publish it",
                        "GRANT " + owner.get() + " TO " + user
                                + "; or let the owner CREATE PUBLICATION … FOR TABLE …, and name it in publicationName");
            }
        }
    }

    /** @param followed where it is, what keeps the stream from going on is said already */
    private void checkSlot(boolean followed) throws SQLException {
        var own = pipe.settings().ownsSlot();
        var object = "slot " + pipe.slot();
        if (slot.isEmpty()) {
            if (!own && !followed) {
                problem(
                        "SlotMissing",
                        object,
                        "does not exist",
                        "SELECT pg_create_logical_replication_slot('" + pipe.slot()
                                + "', 'pgoutput'), in the source database; or leave replicationSlotName empty");
            }
            return;
        }
        var found = slot.get();
        var database = source.one("SELECT current_database()", row -> row.getString(1));
        var instead = own ? "Drop it, if nobody reads it" : "Name another slot, or leave replicationSlotName empty";
        if (!"pgoutput".equals(found.plugin())) {
            problem(
                    "SlotUnusable",
                    object,
                    found.plugin() == null
                            ? "is a physical slot"
                            : "uses the plugin " + found.plugin() + ", not pgoutput",
                    instead);
        } else if (!database.equals(found.database())) {
            problem("SlotUnusable", object, "was created in database " + found.database(), instead);
        } else if (found.temporary()) {
            problem("SlotUnusable", object, "is temporary: it goes with the session that made it", instead);
        } else if (found.lost() && !own && !followed) {
            problem(
                    "SlotInvalidated",
                    object,
                    "is invalidated (wal_status lost): the changes it was to keep are gone",
                    "Drop the slot, create it anew, and load what was missed");
        }
        if (found.activePid() != null) {
            // Where nobody has that pid any more the reader has ended since.
            source.find(
                            "SELECT application_name FROM pg_stat_activity WHERE pid = ?",
                            row -> row.getString(1),
                            found.activePid())
                    .filter(reader -> !reader.startsWith(pipe.applicationName("")))
                    .ifPresent(reader -> problem(
                            "SlotInUse",
                            object,
                            "is being read by pid " + found.activePid() + " (application_name \"" + reader + "\")",
                            "Stop that reader; a slot serves one"));
        }
    }

    private void problem(String reason, String object, String message, String remedy) {
        problems.add(new Problem(reason, object, message, remedy));
    }
}
