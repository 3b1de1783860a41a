package dev.clickpipe.cdc;

import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.UnrepresentableValue;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.postgresql.PGConnection;
import org.postgresql.core.Utils;

/** Looks rows up in the source table by key, as they are now. */
final class SourceLookup implements UnchangedValues.Lookup {
    private static final int KEYS_PER_QUERY = 1000;

    /** PostgreSQL documentation, appendix A. */
    private static final String UNDEFINED_COLUMN = "42703";

    private final PostgresClient postgres;

    SourceLookup(PostgresClient postgres) {
        this.postgres = postgres;
    }

    @Override
    public void find(
            Target target,
            Version before,
            List<RowKey> keys,
            List<Integer> columns,
            long atMost,
            UnchangedValues.Found found) {
        try (var connection = postgres.connect("unchanged values")) {
            var table = table(connection, target);
            for (int from = 0; from < keys.size(); from += KEYS_PER_QUERY) {
                findSome(
                        connection.unwrap(PGConnection.class),
                        table,
                        target,
                        keys.subList(from, Math.min(keys.size(), from + KEYS_PER_QUERY)),
                        columns,
                        atMost,
                        found);
            }
        } catch (SQLException e) {
            if (UNDEFINED_COLUMN.equals(e.getSQLState())) {
                throw new SchemaChanged(target.definition());
            }
            throw PostgresErrors.of(e, "table " + target.source());
        }
    }

    /** As it is called now, quoted. */
    private static String table(Connection connection, Target target) throws SQLException {
        try (var query = connection.prepareStatement("SELECT ?::oid::regclass::text")) {
            query.setLong(1, target.definition().relid());
            try (var row = query.executeQuery()) {
                row.next();
                return row.getString(1);
            }
        }
    }

    private static void findSome(
            PGConnection connection,
            String table,
            Target target,
            List<RowKey> keys,
            List<Integer> columns,
            long atMost,
            UnchangedValues.Found found)
            throws SQLException {
        var definition = target.definition();
        var byText = new HashMap<List<String>, RowKey>();
        keys.forEach(key -> byText.put(key.text(), key));
        var keyColumns =
                definition.keyColumns().stream().map(SourceLookup::identifier).toList();
        // octet_length() does not read a text that is stored apart.
        var expressions = Stream.concat(
                        keyColumns.stream(),
                        columns.stream()
                                .map(column -> identifier(
                                        definition.columns().get(column).name()))
                                .map(name -> "octet_length(" + name + "::text), CASE WHEN octet_length(" + name
                                        + "::text) <= " + atMost + " THEN " + name + " END"))
                .collect(Collectors.joining(", "));
        // Literals without a type take the column's. COPY prints what the stream prints: keys are compared as text.
        var copy = connection
                .getCopyAPI()
                .copyOut("COPY (SELECT " + expressions + " FROM " + table + " WHERE (" + String.join(", ", keyColumns)
                        + ") IN (" + keys.stream().map(SourceLookup::row).collect(Collectors.joining(", "))
                        + ")) TO STDOUT");
        for (byte[] line = copy.readFromCopy(); line != null; line = copy.readFromCopy()) {
            report(line, byText, target, columns, atMost, found);
        }
    }

    private static void report(
            byte[] line,
            Map<List<String>, RowKey> byText,
            Target target,
            List<Integer> columns,
            long atMost,
            UnchangedValues.Found found) {
        var fields = fields(line);
        int keyColumns = target.definition().keyColumns().size();
        var key = byText.get(fields.subList(0, keyColumns).stream()
                .map(field -> field.text(line))
                .toList());
        if (key == null) {
            return;
        }
        for (int i = 0; i < columns.size(); i++) {
            var length = fields.get(keyColumns + 2 * i);
            var value = fields.get(keyColumns + 2 * i + 1);
            long size = length.isNull ? 0 : Long.parseLong(length.text(line));
            found.value(key, columns.get(i), size, size > atMost ? null : encode(target, columns.get(i), line, value));
        }
    }

    private static byte[] encode(Target target, int place, byte[] line, Field value) {
        var out = new TsvBuffer(64);
        if (value.isNull) {
            out.nullValue();
        } else {
            var column = target.definition().columns().get(place);
            try {
                column.mapping().encoder().encode(line, value.from, value.to, out);
            } catch (UnrepresentableValue e) {
                throw new TableFailure(target.definition(), e.in(target.source(), column.name()));
            }
        }
        return out.toByteArray();
    }

    /** Of a line of COPY, unescaped. */
    private record Field(int from, int to, boolean isNull) {
        String text(byte[] line) {
            return new String(line, from, to - from, StandardCharsets.UTF_8);
        }
    }

    /**
     * The fields of a line of COPY's text format (PostgreSQL documentation, COPY, "Text Format"), which are unescaped in place: a
     * large value should not be there twice.
     */
    private static List<Field> fields(byte[] line) {
        var fields = new ArrayList<Field>();
        int from = 0;
        int to = 0;
        boolean isNull = false;
        for (int i = 0; i < line.length; i++) {
            byte b = line[i];
            if (b == '\t' || b == '\n') {
                fields.add(new Field(from, isNull ? from : to, isNull));
                from = i + 1;
                to = from;
                isNull = false;
            } else if (b == '\\') {
                byte escape = line[++i];
                isNull = escape == 'N';
                line[to++] = switch (escape) {
                    case 'b' -> '\b';
                    case 'f' -> '\f';
                    case 'n' -> '\n';
                    case 'r' -> '\r';
                    case 't' -> '\t';
                    case 'v' -> 0x0B;
                    default -> escape;
                };
            } else {
                line[to++] = b;
            }
        }
        return fields;
    }

    private static String row(RowKey key) {
        return key.text().stream().map(SourceLookup::literal).collect(Collectors.joining(", ", "(", ")"));
    }

    private static String literal(String value) {
        try {
            // standard_conforming_strings is on: that pgjdbc could not escape is not a matter of the value.
            return "'" + Utils.escapeLiteral(null, value, true) + "'";
        } catch (SQLException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static String identifier(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }
}
