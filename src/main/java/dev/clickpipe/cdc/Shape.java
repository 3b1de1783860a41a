package dev.clickpipe.cdc;

import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Attribute;
import dev.clickpipe.clickhouse.TableDefinition.Column;
import dev.clickpipe.codec.UnrepresentableValue;
import dev.clickpipe.codec.ValueEncoder;
import dev.clickpipe.pipe.Problem;
import dev.clickpipe.postgres.Lsn;
import dev.clickpipe.postgres.PgOutputMessage.Relation;
import dev.clickpipe.postgres.PgType;
import dev.clickpipe.postgres.PgType.Kind;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * How the columns that the stream sends fit those of the target, which was brought to the source's schema of now: the stream may be
 * behind that. What was added since reads what it reads in the source in rows from before.
 *
 * @param sources for each column of the definition its place in the stream's tuples; -1 where the stream has none
 * @param encoders for each column of the definition
 * @param absent for each column what a row without it has there, as a TabSeparated field
 */
record Shape(int[] sources, ValueEncoder[] encoders, byte[][] absent) {
    private static final byte[] NULL = {'\\', 'N'};

    /**
     * @param commit of the transaction in which the table was announced
     * @throws TableFailure the announcement can't be explained by what is known
     */
    static Shape of(Relation relation, Target target, Lsn commit) {
        var definition = target.definition();
        var followed = definition.followed();
        var places = Alignment.of(
                        relation.columns().stream().map(Relation.Column::name).toArray(String[]::new), followed, commit)
                .orElseThrow(() -> new TableFailure(
                        definition,
                        new Problem(
                                "ColumnsAmbiguous",
                                "table " + relation,
                                "several changes of its columns came before their rows did: which column is which in ("
                                        + relation.columns().stream()
                                                .map(Relation.Column::name)
                                                .collect(Collectors.joining(", "))
                                        + ") can't be told any more",
                                null)));
        var attributes =
                followed.attributes().stream().collect(Collectors.toMap(Attribute::number, Function.identity()));
        int count = definition.columns().size();
        var shape = new Shape(new int[count], new ValueEncoder[count], new byte[count][]);
        for (int i = 0; i < count; i++) {
            var column = definition.columns().get(i);
            var attribute = attributes.get(column.number());
            shape.sources[i] = places.getOrDefault(column.number(), -1);
            shape.encoders[i] = shape.sources[i] < 0
                    ? definition.mapping(column).encoder()
                    : encoder(relation, shape.sources[i], target, column, attribute);
            shape.absent[i] = absent(target, column, attribute);
        }
        return shape;
    }

    /**
     * The columns by which the stream identifies a row in this shape; none where it does not tell. With REPLICA IDENTITY FULL all
     * are there, and nothing has to be looked up; what a partitioned table says counts for none of its partitions.
     */
    List<String> identity(Relation relation, TableDefinition definition) {
        if (relation.identity() == 'f' || definition.followed().shape().kind() == 'p') {
            return List.of();
        }
        var carried = IntStream.range(0, sources.length)
                .filter(i ->
                        sources[i] >= 0 && relation.columns().get(sources[i]).identity())
                .mapToObj(i -> definition.columns().get(i).name())
                .toList();
        long sent =
                relation.columns().stream().filter(Relation.Column::identity).count();
        return carried.size() == sent ? carried : List.of();
    }

    private static ValueEncoder encoder(
            Relation relation, int place, Target target, Column column, Attribute attribute) {
        var sent = relation.columns().get(place);
        var encoder = target.definition().mapping(column).encoder();
        if (isOf(sent, column.type())) {
            return encoder;
        }
        return attribute.types().stream()
                .filter(type -> isOf(sent, type))
                .findFirst()
                .or(() -> between(sent, column))
                .map(type -> Widening.encoder(type, column.type(), encoder))
                .orElseThrow(() -> new TableFailure(
                        target.definition(),
                        new Problem(
                                "ColumnTypeChanged",
                                "table " + relation + ", column " + sent.name(),
                                "rows came with the type of OID " + sent.type() + " (modifier " + sent.typmod()
                                        + "), which is " + column.type().name() + " now",
                                null)));
    }

    private static boolean isOf(Relation.Column sent, PgType type) {
        // A domain's modifier is the domain's own, not the column's.
        return type.oid() == sent.type() && (type.kind() == Kind.DOMAIN || type.typmod() == sent.typmod());
    }

    /** A type that the column had between two looks at the catalogue. */
    private static Optional<PgType> between(Relation.Column sent, Column column) {
        return Widening.builtIn(sent.type(), sent.typmod())
                .filter(type ->
                        Widening.keepsValues(type, column.type(), column.clickHouseType(), column.clickHouseType()));
    }

    private static byte[] absent(Target target, Column column, Attribute attribute) {
        if (attribute.missing() == null) {
            return NULL;
        }
        try {
            return Widening.encoded(missingEncoder(column, attribute), attribute.missing());
        } catch (UnrepresentableValue e) {
            throw new TableFailure(target.definition(), e.in(target.source(), column.name()));
        }
    }

    /** The value was printed as one of the type that the column was added with. */
    private static ValueEncoder missingEncoder(Column column, Attribute attribute) {
        return Widening.encoder(
                attribute.types().getFirst(), column.type(), column.mapping().encoder());
    }
}
