package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.identifier;
import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets a replacement take the live table's place. Queries that run go on with the table they began with, and those that come
 * see the new one: the exchange is atomic (ClickHouse documentation, EXCHANGE Statement). What is recorded comes last, so that a
 * swap which was cut off anywhere is done again, and what is done of it is known by the replacement's uuid.
 */
public final class Swap {
    private static final Logger LOG = LoggerFactory.getLogger(Swap.class);

    private final ClickHouseClient clickHouse;
    private final Pipe pipe;
    private final Definitions definitions;
    private final ChunkLedger ledger;

    public Swap(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
        this.definitions = new Definitions(clickHouse, pipe);
        this.ledger = new ChunkLedger(clickHouse, pipe);
    }

    /** Whether the replacement has its place already, and only what follows may be missing. */
    public boolean begun(TableDefinition replacement) {
        return TargetTable.uuid(clickHouse, replacement.replacement().live())
                .filter(replacement.replacement().uuid()::equals)
                .isPresent();
    }

    /**
     * Swaps, or ends a swap that was cut off. Nobody may write either table meanwhile.
     *
     * @param recorded the pipe's definitions; what they say of the table that goes is forgotten
     * @return what is recorded of the replacement now
     * @throws PipeException fatal when the replacement was dropped or replaced by someone else; otherwise classified
     */
    public TableDefinition run(TableDefinition replacement, List<TableDefinition> recorded) {
        var place = replacement.replacement().live();
        var beside = replacement.target();
        if (!begun(replacement)) {
            exchange(replacement, beside, place);
        }
        // What has that name now is the former live table. SYNC would wait for those who read it.
        clickHouse.execute("DROP TABLE IF EXISTS " + identifier(beside) + " SETTINGS max_table_size_to_drop = 0");
        recorded.stream()
                .filter(build -> !build.replaces() && build.target().equals(place))
                .forEach(former -> {
                    ledger.forget(former.build());
                    definitions.forget(former);
                });
        var live = replacement.live();
        definitions.record(live);
        LOG.info("{} took the place of {}.{}", beside, clickHouse.database(), place);
        return live;
    }

    private void exchange(TableDefinition replacement, String beside, String place) {
        if (TargetTable.uuid(clickHouse, beside)
                .filter(replacement.replacement().uuid()::equals)
                .isEmpty()) {
            throw PipeException.fatal(new Problem(
                    "ReplacementMissing",
                    "table " + clickHouse.database() + "." + beside,
                    "was dropped or replaced by someone else before it could take the place of " + place,
                    "Set resync to a new value: it is built again"));
        }
        var former = TargetTable.find(clickHouse, place);
        // The comment says whose the table is: the user's own stays the user's. Before the exchange, for after it the
        // table would be taken for a replacement until it has the new one.
        clickHouse.execute("ALTER TABLE " + identifier(beside) + " MODIFY COMMENT "
                + literal(former.map(TargetTable::comment)
                        .orElseGet(() -> TargetTable.comment(pipe, replacement.live()))));
        if (former.isPresent()) {
            clickHouse.execute("EXCHANGE TABLES " + identifier(place) + " AND " + identifier(beside));
        } else {
            clickHouse.execute("RENAME TABLE " + identifier(beside) + " TO " + identifier(place));
        }
    }
}
