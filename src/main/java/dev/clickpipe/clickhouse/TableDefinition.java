package dev.clickpipe.clickhouse;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.codec.Mapping;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.SourceColumn;
import dev.clickpipe.postgres.SourceShape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * A target table and what is put into it, as recorded: what all run modes go by, whatever the catalogues say meanwhile. A table
 * that is rebuilt has two for a while, the live one and the one that replaces it when it is loaded.
 *
 * @param build stands for this making of the target, whatever the target is called; null until it is recorded
 * @param relid the source table's OID when it was recorded
 * @param target the target's name now; it changes when a replacement takes the live table's place
 * @param keyColumns columns that identify a row in UPDATE and DELETE (the replica identity); empty for keyless tables
 * @param sortingKey ORDER BY of the target; empty for {@code tuple()}
 * @param columns the replicated columns, in source order; excluded ones are absent. As the stream has followed them, see
 *     {@link Followed}
 * @param highestColumn the highest {@code attnum} of the source when it was recorded: columns up to there that are not among
 *     {@code columns} are not wanted, whatever they are called later. 0 where that is not known
 * @param ignored changes that are not to be carried over from now on; {@link Streaming#ignored} says which are
 * @param request what of the spec it was made for; null until it is recorded
 * @param replacement set while it is built beside a live table; null otherwise
 * @param publishing how the source publishes it; null where no stream follows
 * @param streaming how the stream writes it; null until the stream has taken it up
 * @param loading how far its load is; null until that began
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record TableDefinition(
        String build,
        String sourceSchema,
        String sourceTable,
        long relid,
        String target,
        TableEngine engine,
        List<String> keyColumns,
        List<String> sortingKey,
        List<Column> columns,
        int highestColumn,
        Ignored ignored,
        Request request,
        Replacement replacement,
        Publishing publishing,
        Streaming streaming,
        Loading loading) {

    /**
     * @param number {@code attnum} in the source
     * @param type the source type, from which the codec is chosen again after a restart
     * @param clickHouseType the whole type in the target, such as {@code Nullable(Int32)}
     */
    public record Column(
            int number, String name, PgType type, int dimensions, boolean nullable, String clickHouseType) {

        /** What becomes of a source column. @param nullables whether NULL is kept where the source allows it */
        public static Column of(SourceColumn column, boolean nullables) {
            return of(column, nullables, Choice.none(column.name()));
        }

        /**
         * What becomes of a source column.
         *
         * @param nullables whether NULL is kept where the source allows it and the choice does not say
         * @throws dev.clickpipe.codec.UnsuitableType where the chosen type does not hold the source's values
         */
        public static Column of(SourceColumn column, boolean nullables, Choice choice) {
            return of(
                    column,
                    column.dimensions(),
                    choice.nullable() == null ? nullables && !column.notNull() : choice.nullable(),
                    choice.targetType());
        }

        /**
         * What becomes of a source column in a target of which more is known.
         *
         * @param dimensions of an array in the target; Postgres does not enforce its own
         * @param targetType chosen; null: as the type is mapped by itself
         * @throws dev.clickpipe.codec.UnsuitableType where the chosen type does not hold the source's values
         */
        public static Column of(SourceColumn column, int dimensions, boolean nullable, String targetType) {
            var mapping = targetType == null
                    ? TypeMapping.of(column.type(), dimensions, nullable)
                    : TypeMapping.chosen(column.type(), targetType, nullable);
            return new Column(
                    column.number(), column.name(), column.type(), dimensions, nullable, mapping.clickHouseType());
        }

        /** How its values get there; the same for every reader of what is recorded. */
        public Mapping mapping() {
            return TypeMapping.into(type, clickHouseType);
        }
    }

    /**
     * What of the spec a target was made for: another one means that it is built anew, beside the live one.
     *
     * @param layout the mapping's part that can't change in place
     * @param resync the pipe's resync token; null: none so far
     * @param tableResync the mapping's; null: none so far
     */
    public record Request(Layout layout, String resync, String tableResync) {}

    /**
     * What the spec says of one column.
     *
     * @param targetType null: as the type is mapped by itself
     * @param nullable null: as the pipe and the source have it
     */
    public record Choice(String name, String targetType, Boolean nullable) {
        /** What counts where the spec says nothing. */
        public static Choice none(String name) {
            return new Choice(name, null, null);
        }
    }

    /**
     * @param partitionBy PARTITION BY of the target; null: none
     * @param choices by name; recorded without them: none
     */
    public record Layout(
            TableEngine engine,
            List<String> sortingKeys,
            String partitionBy,
            List<String> excludedColumns,
            boolean nullables,
            boolean deleteOnMerge,
            List<Choice> choices) {
        public Layout {
            choices = choices == null
                    ? List.of()
                    : choices.stream()
                            .filter(choice -> !choice.equals(Choice.none(choice.name())))
                            .sorted(Comparator.comparing(Choice::name))
                            .toList();
            sortingKeys = List.copyOf(sortingKeys);
            excludedColumns = excludedColumns.stream().sorted().distinct().toList();
        }

        /** What the spec says of this column. */
        public Choice choice(String column) {
            return choices.stream()
                    .filter(choice -> choice.name().equals(column))
                    .findFirst()
                    .orElse(Choice.none(column));
        }
    }

    /**
     * @param live the target whose place it takes
     * @param uuid this table's own in ClickHouse, by which a swap that was cut off is known to be done
     */
    public record Replacement(String live, String uuid) {}

    /**
     * @param publication in which its changes are
     * @param from a WAL position of the source behind all transactions that ran when the publication got the table: a stream that
     *     connects from there on, and one only, misses nothing of it. Null: the slot was made after that, any stream will do
     */
    public record Publishing(String publication, String from) {}

    /** Which changes of the source are not carried over. */
    public record Ignored(boolean deletes, boolean truncates) {
        public static final Ignored NOTHING = new Ignored(false, false);

        /** For people. */
        @Override
        public String toString() {
            return deletes && truncates
                    ? "deletes and truncates are ignored"
                    : deletes ? "deletes are ignored" : truncates ? "truncates are ignored" : "nothing is ignored";
        }
    }

    /** @param from transactions that commit from this LSN on */
    public record Ignoring(String from, Ignored ignored) {}

    /**
     * Recorded by the stream.
     *
     * @param from it writes all commits from this LSN on, and every row of the load must be read later than that
     * @param cut append-only targets: the boundary below which the stream's own rows were removed; null: none was
     * @param published by what the publication had the table when it was taken up; another one means that changes may have been
     *     left out in between
     * @param failure why the stream writes this table no more; null: it does
     * @param followed the source's schema as the target has it; null: as it was recorded when the target was made
     * @param ignoring what is ignored since when, in order: a transaction that is read again is always taken as it was the first
     *     time. Null: nothing is
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Streaming(
            String from, String cut, String published, Problem failure, Followed followed, List<Ignoring> ignoring) {
        public Streaming {
            ignoring = ignoring == null ? List.of() : List.copyOf(ignoring);
        }

        /** One that is taken up. */
        public static Streaming takenUp(String from, String published) {
            return new Streaming(from, null, published, null, null, null);
        }

        public Streaming withCut(String boundary) {
            return new Streaming(from, boundary, published, null, followed, ignoring);
        }

        public Streaming withFailure(Problem problem) {
            return new Streaming(from, cut, published, problem, followed, ignoring);
        }

        public Streaming withFollowed(Followed shape) {
            return new Streaming(from, cut, published, failure, shape, ignoring);
        }

        /**
         * @param since no transaction that commits there or later was ever read
         * @param offset no transaction that committed before is read again
         */
        public Streaming withIgnored(Ignored ignored, Lsn since, Lsn offset) {
            if (ignored.equals(ignored())) {
                return this;
            }
            var needed = new ArrayList<Ignoring>();
            for (var one : ignoring) {
                if (Lsn.parse(one.from()).compareTo(offset) <= 0) {
                    needed.clear();
                }
                needed.add(one);
            }
            needed.add(new Ignoring(since.toString(), ignored));
            return new Streaming(from, cut, published, failure, followed, needed);
        }

        /** What is ignored from now on. */
        public Ignored ignored() {
            return ignoring.isEmpty() ? Ignored.NOTHING : ignoring.getLast().ignored();
        }

        /** What is ignored of a transaction that committed there. */
        public Ignored ignored(Lsn commit) {
            var then = Ignored.NOTHING;
            for (var one : ignoring) {
                if (Lsn.parse(one.from()).compareTo(commit) <= 0) {
                    then = one.ignored();
                }
            }
            return then;
        }
    }

    /**
     * How far the source's schema was followed: the target has these columns. The stream may still be behind it, and then brings
     * rows of former shapes.
     *
     * @param shape the source's, when it was last looked at
     * @param filenode see {@link dev.clickpipe.postgres.MissingValues#filenode}
     * @param columns the replicated ones, as {@link TableDefinition#columns}
     * @param dropped those that the target has kept, as it has them
     * @param keyColumns as {@link TableDefinition#keyColumns}
     * @param attributes every column of the source that is known, by number, also those dropped and those not replicated
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Followed(
            SourceShape shape,
            long filenode,
            List<Column> columns,
            List<Column> dropped,
            List<String> keyColumns,
            List<Attribute> attributes) {
        public Followed {
            columns = List.copyOf(columns);
            dropped = List.copyOf(dropped);
            keyColumns = List.copyOf(keyColumns);
            attributes = List.copyOf(attributes);
        }
    }

    /**
     * A column of the source, through time.
     *
     * @param names all that it is known to have had, the present one last
     * @param types likewise
     * @param since transactions that commit from this LSN on have it, unless dropped; it may be older
     * @param until transactions that commit from this LSN on do not have it; null: it is there
     * @param published whether the stream's rows have it
     * @param replicated whether the target has a column of it
     * @param missing what rows from before it was added read, as Postgres prints it; null: NULL, or it was there from the beginning
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Attribute(
            int number,
            List<String> names,
            List<PgType> types,
            String since,
            String until,
            boolean published,
            boolean replicated,
            String missing) {
        public Attribute {
            names = List.copyOf(names);
            types = List.copyOf(types);
        }

        /** What it is called, or was last. */
        public String name() {
            return names.getLast();
        }
    }

    /**
     * Recorded by the load.
     *
     * @param boundary commits before this LSN are in the rows that its (first) session read, whole
     * @param complete where the source wrote its WAL when all of it was loaded; null until then. When the stream has passed it,
     *     the target is the source as of one moment
     * @param session that began it, by its id; null when all of it is loaded
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Loading(String boundary, String complete, String session) {
        public Loading(String boundary, String complete) {
            this(boundary, complete, null);
        }
    }

    public TableDefinition {
        keyColumns = List.copyOf(keyColumns);
        sortingKey = List.copyOf(sortingKey);
        columns = List.copyOf(columns);
        ignored = ignored == null ? Ignored.NOTHING : ignored;
    }

    /** What source and mapping make of a table; nothing is built yet. */
    public static TableDefinition wanted(
            String sourceSchema,
            String sourceTable,
            long relid,
            String target,
            TableEngine engine,
            List<String> keyColumns,
            List<String> sortingKey,
            List<Column> columns) {
        return new TableDefinition(
                null,
                sourceSchema,
                sourceTable,
                relid,
                target,
                engine,
                keyColumns,
                sortingKey,
                columns,
                0,
                null,
                null,
                null,
                null,
                null,
                null);
    }

    /** The same, knowing which columns the source had that are not replicated. */
    public TableDefinition withHighestColumn(int number) {
        return with(
                build,
                target,
                keyColumns,
                columns,
                number,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    /** How a column's values get there; those of the key by which a ReplacingMergeTree takes rows for the same stay distinct. */
    public Mapping mapping(Column column) {
        var mapping = column.mapping();
        return sortingKey.contains(column.name()) && !engine.appendOnly() ? mapping.ofKey() : mapping;
    }

    /** Schema and table as people write them in messages; not quoted, not for SQL. */
    public String source() {
        return sourceSchema + "." + sourceTable;
    }

    /** What marks the inserts of its load in system.processes. */
    public String loadComment() {
        return "clickpipe load " + build;
    }

    /** The boundary of its load; null until that began. */
    public String boundary() {
        return loading == null ? null : loading.boundary();
    }

    /** Why the stream writes it no more; null when it does, or none has taken it up yet. */
    public Problem failure() {
        return streaming == null ? null : streaming.failure();
    }

    /** How far the source's schema was followed; null: as it was when the target was made. */
    public Followed followed() {
        return streaming == null ? null : streaming.followed();
    }

    public boolean loaded() {
        return loading != null && loading.complete() != null;
    }

    /** Whether it is built beside a live table. */
    public boolean replaces() {
        return replacement != null;
    }

    /** Whether rows may be loaded: no change from then on is passed over by the stream. */
    public boolean loadable() {
        return publishing == null || publishing.from() == null || streaming != null;
    }

    /** The same, recorded as a making of its own. */
    public TableDefinition built(Request request, Replacement replacement, Publishing publishing) {
        return with(UUID.randomUUID().toString(), target, request, replacement, publishing, null, null);
    }

    public TableDefinition withTarget(String name) {
        return with(build, name, request, replacement, publishing, streaming, loading);
    }

    /** The same in the place of the live table. */
    public TableDefinition live() {
        return with(build, replacement.live(), request, null, publishing, streaming, loading);
    }

    public TableDefinition withPublishing(Publishing publishing) {
        return with(build, target, request, replacement, publishing, streaming, loading);
    }

    /** With the columns as they were followed. */
    public TableDefinition withStreaming(Streaming streaming) {
        var followed = streaming == null ? null : streaming.followed();
        return with(
                build,
                target,
                followed == null ? keyColumns : followed.keyColumns(),
                followed == null ? columns : followed.columns(),
                highestColumn,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    /** The same for whoever reads the stream from there on: with the columns that were dropped, as rows from before have them. */
    public TableDefinition withDropped(Lsn from) {
        var followed = followed();
        if (followed == null) {
            return this;
        }
        var awaited = followed.attributes().stream()
                .filter(attribute -> attribute.until() != null
                        && Lsn.parse(attribute.until()).compareTo(from) > 0)
                .map(Attribute::number)
                .toList();
        var all = Stream.concat(
                        columns.stream(),
                        followed.dropped().stream().filter(column -> awaited.contains(column.number())))
                .toList();
        return with(
                build,
                target,
                keyColumns,
                all,
                highestColumn,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    /** The same, with rows identified by other columns. */
    public TableDefinition withKeyColumns(List<String> names) {
        return with(
                build,
                target,
                names,
                columns,
                highestColumn,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    /** The same, with other changes left out from now on. */
    public TableDefinition withIgnored(Ignored changes) {
        return with(
                build,
                target,
                keyColumns,
                columns,
                highestColumn,
                changes,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    public TableDefinition withLoading(Loading loading) {
        return with(build, target, request, replacement, publishing, streaming, loading);
    }

    private TableDefinition with(
            String build,
            String target,
            Request request,
            Replacement replacement,
            Publishing publishing,
            Streaming streaming,
            Loading loading) {
        return with(
                build,
                target,
                keyColumns,
                columns,
                highestColumn,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }

    private TableDefinition with(
            String build,
            String target,
            List<String> keyColumns,
            List<Column> columns,
            int highestColumn,
            Ignored ignored,
            Request request,
            Replacement replacement,
            Publishing publishing,
            Streaming streaming,
            Loading loading) {
        return new TableDefinition(
                build,
                sourceSchema,
                sourceTable,
                relid,
                target,
                engine,
                keyColumns,
                sortingKey,
                columns,
                highestColumn,
                ignored,
                request,
                replacement,
                publishing,
                streaming,
                loading);
    }
}
