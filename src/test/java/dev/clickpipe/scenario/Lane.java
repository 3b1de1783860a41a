package dev.clickpipe.scenario;

import dev.clickpipe.api.TableMapping;
import dev.clickpipe.scenario.Scenario.Expected;
import dev.clickpipe.scenario.Scenario.Mapped;
import dev.clickpipe.testbed.Postgres;
import java.util.List;

/** A scenario in a run: its schema, its targets' names, its session. */
final class Lane implements AutoCloseable {
    private final Postgres postgres;
    private final Scenario scenario;
    private final String number;
    private final String schema;
    private final Session session;

    Lane(Postgres postgres, Scenario scenario, int number) {
        this.postgres = postgres;
        this.scenario = scenario;
        this.number = String.valueOf(number);
        schema = scenario.schema() + number;
        postgres.execute("CREATE SCHEMA " + Names.postgres(schema));
        session = new Session(postgres, schema);
        scenario.given().forEach(this::execute);
    }

    Scenario scenario() {
        return scenario;
    }

    List<TableMapping> mappings() {
        return scenario.tables().stream()
                .map(table -> new TableMapping(
                        schema(table),
                        table.table(),
                        target(table),
                        table.excluded(),
                        !table.sortingKeys().isEmpty(),
                        table.sortingKeys(),
                        table.engine(),
                        table.partitionBy(),
                        null))
                .toList();
    }

    /** Steps from one to another, exclusive, as far as there are so many. */
    void execute(int from, int to) {
        for (int step = from; step < Math.min(to, scenario.steps().size()); step++) {
            scenario.steps().get(step).statements().forEach(this::execute);
        }
    }

    private void execute(String sql) {
        session.execute(named(sql));
    }

    /** With the lane's names in it. */
    String named(String text) {
        return text.replace("{schema}", schema).replace("{n}", number);
    }

    String schema(Mapped table) {
        return table.schema() == null ? schema : named(table.schema());
    }

    String target(Mapped table) {
        return named(table.target());
    }

    /** The table, or the query by which it is compared, as a view; quoted. */
    String source(Mapped table) {
        for (Expected each : scenario.expected()) {
            if (each.table().equals(table.table())) {
                var view = "expected " + table.table();
                execute("CREATE OR REPLACE VIEW " + Names.postgres(view) + " AS " + each.query());
                return Names.postgres(schema) + "." + Names.postgres(view);
            }
        }
        return Names.postgres(schema(table)) + "." + Names.postgres(table.table());
    }

    @Override
    public void close() {
        session.close();
        postgres.execute("DROP SCHEMA " + Names.postgres(schema) + " CASCADE");
    }
}
