package dev.clickpipe.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/**
 * What the user wants. The operator never writes it. Defaults stand twice, in the schema for the cluster and in the
 * records' constructors for a manifest used without one; a test holds the two against each other.
 */
@ValidationRule(
        value = "self.tableMappings.all(m, !m.targetTable.startsWith(self.destination.clickhouse.database + '.'))",
        fieldPath = ".tableMappings",
        message = "targetTable is the table's name alone: its database is destination.clickhouse.database")
public record ClickPipeSpec(
        @Required @JsonPropertyDescription("Where the rows come from.")
        Source source,

        @Required
        @Size(min = 1, max = 1000)
        @JsonPropertyDescription("The tables to replicate, each once and into a target table of its own.")
        List<TableMapping> tableMappings,

        @Required @JsonPropertyDescription("Where the rows go.")
        Destination destination,

        @Default("Retain")
        @JsonPropertyDescription(
                "What becomes of the target tables when the pipe is deleted. A slot and publication made by the pipe always go.")
        DeletionPolicy deletionPolicy,

        @JsonPropertyDescription("How the worker pods run.") Workers workers) {

    public ClickPipeSpec {
        tableMappings = tableMappings == null ? List.of() : List.copyOf(tableMappings);
        deletionPolicy = deletionPolicy == null ? DeletionPolicy.Retain : deletionPolicy;
        workers = workers == null ? Workers.DEFAULT : workers;
    }

    public record Source(
            @Required @JsonPropertyDescription("The Postgres database that is replicated. Version 14 or later.")
            PostgresSource postgres) {}

    public record Destination(
            @Required
            @JsonPropertyDescription("The ClickHouse database that is written to, through its HTTP interface.")
            ClickHouseDestination clickhouse) {}

    /** The settings of the source, which most readers of a spec are after. */
    public PostgresSettings settings() {
        return source.postgres().settings();
    }
}
