package dev.clickpipe.setup;

import dev.clickpipe.clickhouse.Offsets;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Publishing;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.pipe.Stop;
import dev.clickpipe.postgres.Lineage;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.OlderTransactions;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.Publications;
import dev.clickpipe.postgres.Publications.Name;
import dev.clickpipe.postgres.Publications.Operations;
import dev.clickpipe.postgres.Publications.Publication;
import dev.clickpipe.postgres.Slots;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes publications and slot what the pipe's tables need, and removes them where nothing is to be followed. */
final class Replication {
    private static final Logger LOG = LoggerFactory.getLogger(Replication.class);

    private static final int FAILOVER_SLOTS_SINCE = 17;

    private final Pipe pipe;
    private final PostgresClient postgres;
    private final Offsets offsets;
    private final Undo undo;
    private final Consumer<Problem> waiting;
    private final Stop stop;

    /** @param waiting told for whom Postgres waits */
    Replication(Pipe pipe, PostgresClient postgres, Offsets offsets, Undo undo, Consumer<Problem> waiting, Stop stop) {
        this.pipe = pipe;
        this.postgres = postgres;
        this.offsets = offsets;
        this.undo = undo;
        this.waiting = waiting;
        this.stop = stop;
    }

    /** Removes what is the pipe's own; what is not there counts as removed. */
    void remove() throws SQLException, InterruptedException {
        forgetOffset();
        try (var connection = postgres.connect("stops following changes")) {
            if (Slots.drop(connection, pipe.ownSlot())) {
                LOG.info("dropped slot {}", pipe.ownSlot());
            }
            for (var name : ownPublications()) {
                if (Publications.find(connection, name).isPresent()) {
                    Publications.drop(connection, name);
                    LOG.info("dropped publication {}", name);
                }
            }
        }
    }

    /**
     * Publishes what is built, and in publications of the pipe's nothing but what is followed.
     *
     * @param kept builds that stay
     * @param built source tables whose targets are made
     * @return how each of them is published, by source; empty when stopped
     */
    Optional<Map<String, Publishing>> publish(
            Recorded recorded, List<TableDefinition> kept, List<SourceChecks.Table> built)
            throws SQLException, InterruptedException {
        var published = published();
        for (var name : ownPublications()) {
            var add = new ArrayList<Name>();
            var needed = new HashSet<Name>();
            for (var table : built) {
                if (publication(table).equals(name)) {
                    needed.add(name(table));
                    if (!published.getOrDefault(name, Set.of()).contains(name(table))) {
                        add.add(name(table));
                    }
                }
            }
            // A table that somebody took out of the publication is not put back: what was missed would not be seen.
            kept.stream()
                    .filter(build -> build.publishing() != null
                            && build.publishing().publication().equals(name))
                    .forEach(build -> needed.add(new Name(build.sourceSchema(), build.sourceTable())));
            if (!alter(name, published.get(name), add, needed)) {
                return Optional.empty();
            }
        }
        boolean followed = !recorded.followed(pipe).isEmpty();
        var publishing = new HashMap<String, Publishing>();
        Lsn from = null;
        for (var table : built) {
            var before = published.getOrDefault(publication(table), Set.of()).contains(name(table))
                    ? followed(recorded, table)
                    : Optional.<Publishing>empty();
            if (followed && before.isEmpty() && from == null) {
                var position = OlderTransactions.awaitEnd(postgres, "publication " + publication(table), waiting, stop);
                waiting.accept(null);
                if (position.isEmpty()) {
                    return Optional.empty();
                }
                from = position.get();
            }
            publishing.put(
                    table.mapping().source(),
                    before.orElse(new Publishing(publication(table), followed ? String.valueOf(from) : null)));
        }
        return Optional.of(publishing);
    }

    /**
     * How a table is published already whose changes are followed, in the publication where it belongs. With a position, so that
     * nothing is loaded before the stream has taken the new build up: what is committed in between would go to the former alone.
     */
    private Optional<Publishing> followed(Recorded recorded, SourceChecks.Table table) {
        return recorded.followed(pipe).stream()
                .filter(build -> build.source().equals(table.mapping().source())
                        && (build.streaming() == null || build.streaming().failure() == null))
                .map(TableDefinition::publishing)
                .filter(publishing -> publishing.publication().equals(publication(table)))
                .findFirst()
                .map(publishing -> publishing.from() != null
                        ? publishing
                        : new Publishing(
                                publishing.publication(),
                                recorded.offset().orElseThrow().lsn().toString()));
    }

    /** Its tables, of each publication that is there and concerns the pipe. */
    private Map<String, Set<Name>> published() throws SQLException {
        var published = new HashMap<String, Set<Name>>();
        try (var connection = postgres.connect("looks for publications")) {
            for (var name : List.of(pipe.publication(), pipe.ownPublication(), pipe.insertOnlyPublication())) {
                Publications.find(connection, name).map(Publication::tables).ifPresent(tables -> {
                    var names = new HashSet<Name>();
                    tables.forEach(table -> names.add(table.name()));
                    published.put(name, names);
                });
            }
        }
        return published;
    }

    /** @param there its tables; null while there is no such publication */
    private boolean alter(String name, Set<Name> there, List<Name> add, Set<Name> needed)
            throws SQLException, InterruptedException {
        boolean done = true;
        if (there == null) {
            if (!add.isEmpty()) {
                // Noted before it is made: of a connection lost in between nobody knows what became of the statement.
                undo.push("publication " + name, () -> dropPublication(name));
                var operations = name.equals(pipe.insertOnlyPublication()) ? Operations.INSERT_ONLY : Operations.ALL;
                done = Publications.create(postgres, name, add, operations, waiting, stop);
                LOG.info("made publication {} of {} tables: {}", name, add.size(), operations);
            }
        } else {
            if (!add.isEmpty()) {
                done = Publications.add(postgres, name, add, waiting, stop);
                undo.push(
                        "tables added to publication " + name,
                        () -> Publications.remove(postgres, name, add, problem -> {}, new Stop()));
                LOG.info("added to publication {}: {}", name, add);
            }
            var remove = there.stream().filter(table -> !needed.contains(table)).toList();
            if (done && !remove.isEmpty()) {
                done = Publications.remove(postgres, name, remove, waiting, stop);
                LOG.info("took out of publication {}: {}", name, remove);
            }
        }
        waiting.accept(null);
        return done;
    }

    /**
     * Makes the slot and records where it begins; where the stream goes on, both are there.
     *
     * @return false when stopped
     */
    boolean makeSlot(Recorded recorded, Lineage lineage) throws SQLException, InterruptedException {
        if (!pipe.settings().ownsSlot()) {
            dropSlot(pipe.ownSlot()); // of the time before the user named one
        }
        if (!recorded.followed(pipe).isEmpty()) {
            return true;
        }
        forgetOffset();
        var start = pipe.settings().ownsSlot() ? makeOwnSlot() : startOfGivenSlot();
        waiting.accept(null);
        if (start.isEmpty()) {
            return false;
        }
        undo.push("offset", offsets::forget);
        offsets.record(new Offsets.Offset(pipe.slot(), lineage.systemIdentifier(), lineage.timeline(), start.get()));
        return true;
    }

    /** With the last pipe's row goes the table. */
    private void forgetOffset() {
        if (offsets.read().isPresent()) {
            offsets.forget();
            offsets.create();
        }
    }

    private Optional<Lsn> makeOwnSlot() throws SQLException, InterruptedException {
        var name = pipe.ownSlot();
        dropSlot(name); // it begins before the tables were published, or changes that it had to keep are gone
        boolean failover;
        try (var connection = postgres.connect("looks at the server")) {
            failover = pipe.settings().enableFailoverSlots()
                    && connection.getMetaData().getDatabaseMajorVersion() >= FAILOVER_SLOTS_SINCE;
        }
        LOG.info("making slot {}; Postgres waits for the transactions that are writing now", name);
        undo.push("slot " + name, () -> dropSlot(name));
        var start = Slots.create(postgres, name, failover, waiting, stop);
        start.ifPresent(
                lsn -> LOG.info("made slot {}{}, consistent from {} on", name, failover ? " (failover)" : "", lsn));
        return start;
    }

    /** A publication of the pipe's is younger than a slot of the user's, which can't decode what was before it. */
    private Optional<Lsn> startOfGivenSlot() throws SQLException, InterruptedException {
        var start = pipe.settings().ownsPublication()
                ? OlderTransactions.awaitEnd(postgres, "slot " + pipe.slot(), waiting, stop)
                : Optional.<Lsn>empty();
        if (pipe.settings().ownsPublication() && start.isEmpty()) {
            return start;
        }
        try (var connection = postgres.connect("looks at the slot")) {
            if (start.isPresent()) {
                Slots.advance(connection, pipe.slot(), start.get());
            }
            return Slots.find(connection, pipe.slot()).map(Slots.Slot::confirmed);
        }
    }

    private String publication(SourceChecks.Table table) {
        if (!pipe.settings().ownsPublication()) {
            return pipe.publication();
        }
        return table.source().hasUsableIdentity() ? pipe.ownPublication() : pipe.insertOnlyPublication();
    }

    private List<String> ownPublications() {
        return List.of(pipe.ownPublication(), pipe.insertOnlyPublication());
    }

    private static Name name(SourceChecks.Table table) {
        return new Name(table.source().schema(), table.source().name());
    }

    private void dropPublication(String name) throws SQLException {
        try (Connection connection = postgres.connect("drops the publication")) {
            Publications.drop(connection, name);
        }
    }

    private void dropSlot(String name) throws SQLException, InterruptedException {
        try (Connection connection = postgres.connect("drops the slot")) {
            if (Slots.drop(connection, name)) {
                LOG.info("dropped slot {}", name);
            }
        }
    }
}
