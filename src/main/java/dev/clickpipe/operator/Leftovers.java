package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.DeletionPolicy;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.pipe.Pipe;
import java.util.ArrayList;
import java.util.stream.Collectors;

/** What a pipe leaves behind when it had to be let go before its teardown was done. */
final class Leftovers {
    private Leftovers() {}

    /** @param why in the words of whoever prevented the teardown */
    static Cause of(ClickPipe resource, String why) {
        var metadata = resource.getMetadata();
        var spec = resource.getSpec();
        var pipe = new Pipe(metadata.getNamespace(), metadata.getName(), metadata.getUid(), spec);
        var postgres = spec.source().postgres();
        var steps = new ArrayList<String>();
        var streams = pipe.settings().replicationMode().streams();
        if (streams && pipe.settings().ownsSlot()) {
            steps.add("SELECT pg_drop_replication_slot('" + pipe.slot() + "');");
        }
        if (streams && pipe.settings().ownsPublication()) {
            steps.add("DROP PUBLICATION IF EXISTS " + pipe.publication() + ", " + pipe.insertOnlyPublication() + ";");
        }
        var message = "The source was not cleaned up: " + why.replaceFirst("[.\\s]*$", "") + ".";
        if (!steps.isEmpty()) {
            message += " Still there, keeping WAL, in database " + postgres.database() + " at " + postgres.host() + ":"
                    + postgres.port() + ". To remove it, run there: " + String.join(" ", steps);
        }
        if (spec.deletionPolicy() == DeletionPolicy.Delete) {
            message += " The target tables were not dropped in ClickHouse database "
                    + spec.destination().clickhouse().database() + ": "
                    + spec.tableMappings().stream()
                            .map(TableMapping::targetTable)
                            .collect(Collectors.joining(", ")) + ".";
        }
        return new Cause("TeardownIncomplete", message);
    }
}
