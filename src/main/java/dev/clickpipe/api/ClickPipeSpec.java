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
@ValidationRule(
        value = "!has(self.resync) || self.resync == '' || self.source.postgres.settings.replicationMode != 'cdc_only'",
        fieldPath = ".resync",
        message = "a resync loads tables, and replicationMode cdc_only loads nothing: use cdc")
@ValidationRule(
        value =
                "self.source.postgres.settings.replicationMode != 'cdc_only' || self.tableMappings.all(m, !has(m.resync) || m.resync == '')",
        fieldPath = ".tableMappings",
        message = "a resync loads the table, and replicationMode cdc_only loads nothing: use cdc")
public record ClickPipeSpec(
        @Required @JsonPropertyDescription("Where the rows come from.")
        Source source,

        @Required
        @Size(min = 1, max = 1000)
        @JsonPropertyDescription("The tables to replicate, each once and into a target table of its own.")
        List<TableMapping> tableMappings,

        @Required @JsonPropertyDescription("Where the rows go.")
        Destination destination,

        @Default("Running")
        @JsonPropertyDescription(
                "Running: the pipe works. Paused: nothing is read; the slot stays and keeps WAL on the source. Edits of a paused pipe wait until it runs again.")
        State state,

        @Size(max = 253)
        @JsonPropertyDescription(
                "Any text. A new value loads every table anew, beside the live one, and swaps; once for each value. The one present at creation starts nothing.")
        String resync,

        @Default("Retain")
        @JsonPropertyDescription(
                "What becomes of the target tables when the pipe is deleted. A slot and publication made by the pipe always go.")
        DeletionPolicy deletionPolicy,

        @Default("{}") @JsonPropertyDescription("How the worker pods run.")
        Workers workers) {

    public ClickPipeSpec {
        tableMappings = tableMappings == null ? List.of() : List.copyOf(tableMappings);
        state = state == null ? State.Running : state;
        resync = resync == null || resync.isEmpty() ? null : resync;
        deletionPolicy = deletionPolicy == null ? DeletionPolicy.Retain : deletionPolicy;
        workers = workers == null ? Workers.DEFAULT : workers;
    }

    /** What the user wants of the pipe. */
    public enum State {
        Running,
        Paused
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
