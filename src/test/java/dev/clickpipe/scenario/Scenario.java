package dev.clickpipe.scenario;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition.Ignored;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * What is done in Postgres while a pipe replicates it; at the end each mapped table is in ClickHouse what it is in Postgres. Reads
 * like a psql script: unqualified names are in a schema of its own. {@code {schema}} stands for that schema's name, {@code {n}} for
 * a number that no other scenario of the run has.
 *
 * @param schema what the schema's name begins with
 * @param given what is there before the pipe
 * @param steps what happens then, one after the other, on one session; the pipe may be begun, loaded, ended at any point between
 * @param destination what is there in ClickHouse before the pipe
 * @param expected tables of which ClickHouse is meant to hold this query's rows instead of the table's
 * @param published what a publication of the user's has of it, as CREATE PUBLICATION … FOR TABLE says it; empty: the pipe makes its own
 * @param without it is not run in these
 * @param mayBeRefused whether Postgres may refuse a statement
 */
record Scenario(
        String name,
        String schema,
        int sinceVersion,
        List<String> given,
        List<Mapped> tables,
        List<Step> steps,
        List<String> destination,
        List<Expected> expected,
        Set<RunShape.Kind> without,
        List<String> published,
        boolean mayBeRefused) {

    /**
     * A table and how it is mapped.
     *
     * @param schema null: the scenario's
     * @param seenIn the table that is compared; null: the target
     */
    record Mapped(
            String schema,
            String table,
            String target,
            TableEngine engine,
            List<String> sortingKeys,
            List<String> excluded,
            String partitionBy,
            Ignored ignored,
            String seenIn) {

        Mapped to(String name) {
            return new Mapped(schema, table, name, engine, sortingKeys, excluded, partitionBy, ignored, seenIn);
        }

        Mapped of(String otherSchema) {
            return new Mapped(otherSchema, table, target, engine, sortingKeys, excluded, partitionBy, ignored, seenIn);
        }

        Mapped sortedBy(String... columns) {
            return new Mapped(schema, table, target, engine, List.of(columns), excluded, partitionBy, ignored, seenIn);
        }

        Mapped without(String... columns) {
            return new Mapped(
                    schema, table, target, engine, sortingKeys, List.of(columns), partitionBy, ignored, seenIn);
        }

        Mapped ignoring(boolean deletes, boolean truncates) {
            return new Mapped(
                    schema,
                    table,
                    target,
                    engine,
                    sortingKeys,
                    excluded,
                    partitionBy,
                    new Ignored(deletes, truncates),
                    seenIn);
        }

        /** By the table that a view behind the target writes to. */
        Mapped seenIn(String name) {
            return new Mapped(schema, table, target, engine, sortingKeys, excluded, partitionBy, ignored, name);
        }

        Mapped partitionedBy(String expression) {
            return new Mapped(schema, table, target, engine, sortingKeys, excluded, expression, ignored, seenIn);
        }
    }

    /** Statements, each on its own unless they say BEGIN and COMMIT themselves. */
    record Step(List<String> statements) {}

    /** @param query in Postgres; its columns are those that are compared */
    record Expected(String table, String query) {}

    /** The same with other steps, and fewer tables mapped. */
    Scenario with(List<Mapped> otherTables, List<Step> otherSteps) {
        return new Scenario(
                name,
                schema,
                sinceVersion,
                given,
                List.copyOf(otherTables),
                List.copyOf(otherSteps),
                destination,
                expected,
                without,
                published,
                mayBeRefused);
    }

    /** As psql takes it. */
    String script() {
        var script = new StringBuilder();
        given.forEach(sql -> script.append(sql).append(";\n"));
        tables.forEach(table -> script.append("-- mapped: ").append(table).append('\n'));
        for (int i = 0; i < steps.size(); i++) {
            script.append("-- step ").append(i + 1).append('\n');
            steps.get(i).statements().forEach(sql -> script.append(sql).append(";\n"));
        }
        return script.toString();
    }

    static Builder scenario(String name) {
        return new Builder(name);
    }

    static Mapped table(String name) {
        return table(name, TableEngine.ReplacingMergeTree);
    }

    static Mapped table(String name, TableEngine engine) {
        return new Mapped(null, name, name + "_{n}", engine, List.of(), List.of(), null, Ignored.NOTHING, null);
    }

    static final class Builder {
        private final String name;
        private final List<String> given = new ArrayList<>();
        private final List<Mapped> tables = new ArrayList<>();
        private final List<Step> steps = new ArrayList<>();
        private final List<String> destination = new ArrayList<>();
        private final List<Expected> expected = new ArrayList<>();
        private Set<RunShape.Kind> without = Set.of();
        private final List<String> published = new ArrayList<>();
        private boolean mayBeRefused;
        private String schema = "s";
        private int sinceVersion = 14;

        private Builder(String name) {
            this.name = name;
        }

        Builder inSchema(String beginning) {
            schema = beginning;
            return this;
        }

        /** The Postgres that can do it. */
        Builder since(int version) {
            sinceVersion = version;
            return this;
        }

        Builder given(String... statements) {
            given.addAll(List.of(statements));
            return this;
        }

        Builder destination(String... statements) {
            destination.addAll(List.of(statements));
            return this;
        }

        Builder map(String... names) {
            for (var each : names) {
                tables.add(table(each));
            }
            return this;
        }

        Builder history(String... names) {
            for (var each : names) {
                tables.add(table(each, TableEngine.MergeTree));
            }
            return this;
        }

        Builder map(Mapped mapped) {
            tables.add(mapped);
            return this;
        }

        Builder step(String... statements) {
            steps.add(new Step(List.of(statements)));
            return this;
        }

        Builder transaction(String... statements) {
            var all = new ArrayList<String>();
            all.add("BEGIN");
            all.addAll(List.of(statements));
            all.add("COMMIT");
            steps.add(new Step(List.copyOf(all)));
            return this;
        }

        Builder expect(String table, String query) {
            expected.add(new Expected(table, query));
            return this;
        }

        Builder without(RunShape.Kind... kinds) {
            without = Set.of(kinds);
            return this;
        }

        /** By a publication of the user's. */
        Builder published(String... tables) {
            published.addAll(List.of(tables));
            return this;
        }

        Builder mayBeRefused() {
            mayBeRefused = true;
            return this;
        }

        Scenario build() {
            return new Scenario(
                    name,
                    schema,
                    sinceVersion,
                    List.copyOf(given),
                    List.copyOf(tables),
                    List.copyOf(steps),
                    List.copyOf(destination),
                    List.copyOf(expected),
                    without,
                    List.copyOf(published),
                    mayBeRefused);
        }
    }
}
