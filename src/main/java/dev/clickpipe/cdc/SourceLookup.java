package dev.clickpipe.cdc;

import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.UnrepresentableValue;
import dev.clickpipe.postgres.PostgresClient;
import dev.clickpipe.postgres.PostgresErrors;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
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
            Target target, Version before, List<RowKey> keys, List<Integer> columns, UnchangedValues.Found found) {
        try (var connection = postgres.connect("unchanged values")) {
            var table = table(connection, target);
            for (int from = 0; from < keys.size(); from += KEYS_PER_QUERY) {
                findSome(
                        connection.unwrap(PGConnection.class),
                        table,
                        target,
                        keys.subList(from, Math.min(keys.size(), from + KEYS_PER_QUERY)),
                        columns,
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
            UnchangedValues.Found found)
            throws SQLException {
        var definition = target.definition();
        var byText = new HashMap<List<String>, RowKey>();
        keys.forEach(key -> byText.put(key.text(), key));
        var keyColumns =
                definition.keyColumns().stream().map(SourceLookup::identifier).toList();
        var names = Stream.concat(
                        keyColumns.stream(),
                        columns.stream()
                                .map(column -> identifier(
                                        definition.columns().get(column).name())))
                .collect(Collectors.joining(", "));
        // Literals without a type take the column's. COPY prints what the stream prints: keys are compared as text.
        var copy = connection
                .getCopyAPI()
                .copyOut("COPY (SELECT " + names + " FROM " + table + " WHERE (" + String.join(", ", keyColumns)
                        + ") IN (" + keys.stream().map(SourceLookup::row).collect(Collectors.joining(", "))
                        + ")) TO STDOUT");
        for (byte[] line = copy.readFromCopy(); line != null; line = copy.readFromCopy()) {
            var fields = fields(line);
            var key = byText.get(fields.subList(0, keyColumns.size()).stream()
                    .map(SourceLookup::text)
                    .toList());
            if (key != null) {
                for (int i = 0; i < columns.size(); i++) {
                    int column = columns.get(i);
                    found.value(key, column, encode(target, column, fields.get(keyColumns.size() + i)));
                }
            }
        }
    }

    private static byte[] encode(Target target, int place, byte[] text) {
        var out = new TsvBuffer(64);
        if (text == null) {
            out.nullValue();
        } else {
            var column = target.definition().columns().get(place);
            try {
                column.mapping().encoder().encode(text, 0, text.length, out);
            } catch (UnrepresentableValue e) {
                throw new TableFailure(target.definition(), e.in(target.source(), column.name()));
            }
        }
        var field = new byte[out.size()];
        out.view().get(field);
        return field;
    }

    /** The fields of a line of COPY's text format, unescaped (PostgreSQL documentation, COPY, "Text Format"); null for NULL. */
    private static List<byte[]> fields(byte[] line) {
        var fields = new ArrayList<byte[]>();
        var field = new ByteArrayOutputStream();
        boolean isNull = false;
        for (int i = 0; i < line.length; i++) {
            byte b = line[i];
            if (b == '\t' || b == '\n') {
                fields.add(isNull ? null : field.toByteArray());
                field.reset();
                isNull = false;
            } else if (b == '\\') {
                byte escape = line[++i];
                isNull = escape == 'N';
                field.write(
                        switch (escape) {
                            case 'b' -> '\b';
                            case 'f' -> '\f';
                            case 'n' -> '\n';
                            case 'r' -> '\r';
                            case 't' -> '\t';
                            case 'v' -> 0x0B;
                            default -> escape;
                        });
            } else {
                field.write(b);
            }
        }
        return fields;
    }

    private static String text(byte[] field) {
        return field == null ? "" : new String(field, StandardCharsets.UTF_8);
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
