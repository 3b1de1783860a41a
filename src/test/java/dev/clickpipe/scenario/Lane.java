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
    private RuntimeException failure;

    Lane(Postgres postgres, Scenario scenario, int number) {
        this.postgres = postgres;
        this.scenario = scenario;
        this.number = String.valueOf(number);
        schema = scenario.schema() + number;
        postgres.execute("CREATE SCHEMA " + Names.postgres(schema));
        session = new Session(postgres, schema);
        if (scenario.mayBeRefused()) {
            session.execute("SET lock_timeout = '1s'"); // it may have prepared a transaction that it waits for
        }
        execute(scenario.given());
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
                        null,
                        null,
                        table.ignored().deletes(),
                        table.ignored().truncates(),
                        null))
                .toList();
    }

    List<String> published() {
        return scenario.published().stream().map(this::named).toList();
    }

    /** Does a step, if there are so many; after a statement that Postgres refused no more is done. */
    void execute(int step) {
        if (step < scenario.steps().size()) {
            execute(scenario.steps().get(step).statements());
        }
    }

    private void execute(List<String> statements) {
        try {
            for (var sql : statements) {
                if (scenario.mayBeRefused()) {
                    session.attempt(named(sql));
                } else if (failure == null) {
                    session.execute(named(sql));
                }
            }
        } catch (IllegalStateException e) {
            failure = e;
        }
    }

    /** What Postgres did not take of the scenario. */
    void throwFailure() {
        if (failure != null) {
            throw failure;
        }
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

    /** What is compared with the source. */
    String compared(Mapped table) {
        return table.seenIn() == null ? target(table) : named(table.seenIn());
    }

    /** The table, or the query by which it is compared, as a view; quoted. */
    String source(Mapped table) {
        for (Expected each : scenario.expected()) {
            if (each.table().equals(table.table())) {
                var view = "expected " + table.table();
                session.execute(named("CREATE OR REPLACE VIEW " + Names.postgres(view) + " AS " + each.query()));
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
