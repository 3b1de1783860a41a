package dev.clickpipe.clickhouse;

import dev.clickpipe.pipe.Pipe;
import java.util.Optional;

/** Stub until the real one is merged. */
public final class Swap {
    private final ClickHouseClient clickHouse;
    private final Pipe pipe;

    public Swap(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
    }

    public void run(TableDefinition replacement, Optional<TableDefinition> live) {
        var uuid = clickHouse
                .query(
                        "SELECT toString(uuid) AS uuid FROM system.tables WHERE database = {d:String} AND name = {t:String}",
                        java.util.Map.of(
                                "d",
                                clickHouse.database(),
                                "t",
                                replacement.replacement().live()))
                .stream()
                .map(row -> (String) row.get("uuid"))
                .findFirst();
        var t = ClickHouseClient.identifier(replacement.replacement().live());
        var r = ClickHouseClient.identifier(replacement.target());
        if (uuid.isEmpty()) {
            clickHouse.execute("RENAME TABLE " + r + " TO " + t);
        } else if (!uuid.get().equals(replacement.replacement().uuid())) {
            clickHouse.execute("EXCHANGE TABLES " + t + " AND " + r);
        }
        var definitions = new Definitions(clickHouse, pipe);
        definitions.record(replacement.live());
        live.ifPresent(definitions::forget);
        TargetTable.drop(clickHouse, replacement.target());
    }
}
