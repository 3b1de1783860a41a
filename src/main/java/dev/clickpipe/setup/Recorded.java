package dev.clickpipe.setup;

import dev.clickpipe.clickhouse.Offsets.Offset;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Publishing;
import dev.clickpipe.clickhouse.TargetTable;
import dev.clickpipe.pipe.Pipe;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What is known in ClickHouse when Setup begins.
 *
 * @param builds of the pipe
 * @param offset of the stream; empty when there is none
 * @param tables what is in the database, by name
 */
record Recorded(List<TableDefinition> builds, Optional<Offset> offset, Map<String, TargetTable.Listed> tables) {
    static final Recorded NOTHING = new Recorded(List.of(), Optional.empty(), Map.of());

    /** The same, when the stream has come as far as this. */
    Recorded at(Optional<Offset> later) {
        return new Recorded(builds, later, tables);
    }

    Optional<TableDefinition> live(String source, String target) {
        return builds.stream()
                .filter(build -> !build.replaces()
                        && build.source().equals(source)
                        && build.target().equals(target))
                .findFirst();
    }

    /** What is built beside the target, as long as it is the table that was made for it. */
    Optional<TableDefinition> replacement(String source, String target) {
        return builds.stream()
                .filter(build -> build.replaces()
                        && build.source().equals(source)
                        && build.replacement().live().equals(target))
                .filter(this::isThere)
                .findFirst();
    }

    /** Whether a replacement's table is the one that was made for it. */
    boolean isThere(TableDefinition replacement) {
        var table = tables.get(replacement.target());
        return table != null && table.uuid().equals(replacement.replacement().uuid());
    }

    Decision.Found found(Pipe pipe, String target) {
        var table = tables.get(target);
        if (table == null) {
            return Decision.Found.NOTHING;
        }
        // With the pipe that was torn down went its claim to the rows it left.
        if (!table.createdBy(pipe) || !table.empty() && builds.isEmpty()) {
            return Decision.Found.THEIRS;
        }
        return table.empty() ? Decision.Found.OURS_EMPTY : Decision.Found.OURS;
    }

    /** Builds of tables that are mapped, and whose changes a stream follows without a gap. */
    List<TableDefinition> followed(Pipe pipe) {
        return mapped(pipe).filter(build -> build.publishing() != null).toList();
    }

    Stream<TableDefinition> mapped(Pipe pipe) {
        return builds.stream().filter(build -> pipe.mappings().stream()
                .anyMatch(mapping -> mapping.source().equals(build.source())
                        && mapping.targetTable().equals(place(build))));
    }

    /** The target it is, or is to be. */
    static String place(TableDefinition build) {
        return build.replaces() ? build.replacement().live() : build.target();
    }

    /** The same, none of it followed by a stream: changes were missed, or are not wanted any more. */
    Recorded unfollowed() {
        return new Recorded(
                builds.stream()
                        .map(build -> build.withPublishing((Publishing) null).withStreaming(null))
                        .toList(),
                Optional.empty(),
                tables);
    }
}
