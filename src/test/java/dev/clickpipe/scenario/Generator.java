package dev.clickpipe.scenario;

import dev.clickpipe.api.TableEngine;
import dev.clickpipe.scenario.RunShape.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * Makes a scenario and a shape to run it in from a seed, and from nothing else. Keys are few, so that statements meet; what
 * Postgres refuses of it is refused, as an application's mistakes are.
 */
final class Generator {
    private static final int KEYS = 12;
    private static final String TEXTS = "|a|ü'\"|line\\nfeed|tab\\t.|\\\\N|back\\\\slash|0|NULL|{}|\\u0001";

    private final Random random;
    private final List<Table> tables = new ArrayList<>();
    private int prepared;

    Generator(long seed) {
        random = new Random(seed);
    }

    /** How a table's rows are told apart. */
    private enum Identity {
        KEY,
        COMPOSITE_KEY,
        TEXT_KEY,
        FULL,
        USING_INDEX,
        NONE
    }

    private record Table(String name, Identity identity, TableEngine engine, boolean partitioned) {
        boolean keyless() {
            return identity == Identity.NONE;
        }
    }

    Scenario scenario() {
        var builder = Scenario.scenario("random").mayBeRefused();
        int count = 1 + random.nextInt(4);
        for (int i = 0; i < count; i++) {
            var table = table(i);
            tables.add(table);
            builder.given(definition(table).toArray(String[]::new)).map(Scenario.table(table.name, table.engine));
        }
        int steps = 3 + random.nextInt(12);
        for (int i = 0; i < steps; i++) {
            builder.step((random.nextInt(3) == 0 ? single() : transaction()).toArray(String[]::new));
        }
        return builder.build();
    }

    /** To be asked after the scenario. */
    RunShape shape(int steps) {
        var kind = Kind.values()[random.nextInt(Kind.values().length)];
        int at = kind == Kind.SPLIT || kind == Kind.LOAD_BESIDE || kind == Kind.RESYNC
                ? 1 + random.nextInt(steps - 1)
                : 0;
        int batchRows = one(1, 2, 5, 100, 100_000, 100_000);
        Set<Integer> restarts = new HashSet<>();
        for (int step = 0; step < steps; step++) {
            if (random.nextInt(5) == 0 && kind != Kind.SNAPSHOT_ONLY && kind != Kind.BACKLOG) {
                restarts.add(step);
            }
        }
        return new RunShape(kind, at, batchRows, restarts);
    }

    private Table table(int number) {
        var identity = one(Identity.values());
        var engine = identity == Identity.NONE || random.nextInt(4) == 0
                ? TableEngine.MergeTree
                : TableEngine.ReplacingMergeTree;
        boolean partitioned =
                random.nextInt(4) == 0 && (identity == Identity.KEY || identity == Identity.COMPOSITE_KEY);
        return new Table("t" + number, identity, engine, partitioned);
    }

    private List<String> definition(Table table) {
        var statements = new ArrayList<String>();
        var key =
                switch (table.identity) {
                    case KEY, FULL -> ", PRIMARY KEY (id)";
                    case COMPOSITE_KEY -> ", PRIMARY KEY (part, id)";
                    case TEXT_KEY -> ", PRIMARY KEY (k)";
                    case USING_INDEX, NONE -> "";
                };
        statements.add("CREATE TABLE " + table.name
                + " (id int NOT NULL, part int NOT NULL DEFAULT 0, k text NOT NULL DEFAULT '', v int, n numeric, s text, big text,"
                + " list text[] NOT NULL DEFAULT '{}'" + key + ")"
                + (table.partitioned
                        ? table.identity == Identity.KEY ? " PARTITION BY HASH (id)" : " PARTITION BY LIST (part)"
                        : ""));
        if (table.partitioned && table.identity == Identity.KEY) {
            for (int i = 0; i < 2; i++) {
                statements.add("CREATE TABLE %1$s_%2$d PARTITION OF %1$s FOR VALUES WITH (MODULUS 2, REMAINDER %2$d)"
                        .formatted(table.name, i));
            }
        } else if (table.partitioned) {
            statements.add("CREATE TABLE %1$s_0 PARTITION OF %1$s FOR VALUES IN (0)".formatted(table.name));
            statements.add(
                    "CREATE TABLE %1$s_1 (list text[] NOT NULL DEFAULT '{}', gone int, big text, s text, n numeric, v int, k text NOT NULL DEFAULT '', part int NOT NULL DEFAULT 0, id int NOT NULL)"
                            .formatted(table.name));
            statements.add("ALTER TABLE %1$s_1 DROP gone".formatted(table.name));
            statements.add("ALTER TABLE %1$s ATTACH PARTITION %1$s_1 FOR VALUES IN (1)".formatted(table.name));
            statements.add("CREATE TABLE %1$s_d PARTITION OF %1$s DEFAULT".formatted(table.name));
        }
        for (var heap : heaps(table)) {
            statements.add("ALTER TABLE " + heap
                    + " ALTER big SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL, ALTER k SET STORAGE EXTERNAL");
        }
        switch (table.identity) {
            case FULL -> statements.add("ALTER TABLE " + table.name + " REPLICA IDENTITY FULL");
            case USING_INDEX -> {
                statements.add("CREATE UNIQUE INDEX " + table.name + "_unique ON " + table.name + " (part, id)");
                statements.add("ALTER TABLE " + table.name + " REPLICA IDENTITY USING INDEX " + table.name + "_unique");
            }
            default -> {}
        }
        return statements;
    }

    private static List<String> heaps(Table table) {
        if (!table.partitioned) {
            return List.of(table.name);
        }
        return table.identity == Identity.KEY
                ? List.of(table.name + "_0", table.name + "_1")
                : List.of(table.name + "_0", table.name + "_1", table.name + "_d");
    }

    private List<String> single() {
        var statements = new ArrayList<String>();
        for (int i = random.nextInt(3); i >= 0; i--) {
            statements.add(statement());
        }
        return statements;
    }

    private List<String> transaction() {
        var statements = new ArrayList<String>();
        statements.add("BEGIN");
        for (int i = random.nextInt(8); i >= 0; i--) {
            switch (random.nextInt(6)) {
                case 0 -> {
                    statements.add("SAVEPOINT s");
                    statements.add(statement());
                    statements.add(statement());
                    statements.add(random.nextBoolean() ? "ROLLBACK TO s" : "RELEASE s");
                }
                case 1 -> {
                    // so that a mistake does not cost the transaction
                    statements.add("SAVEPOINT tried");
                    statements.add(statement());
                    statements.add("ROLLBACK TO tried");
                }
                default -> statements.add(statement());
            }
        }
        switch (random.nextInt(8)) {
            case 0 -> statements.add("ROLLBACK");
            case 1 -> {
                var name = "'{schema} " + ++prepared + "'";
                statements.add("PREPARE TRANSACTION " + name);
                statements.add(statement());
                statements.add((random.nextBoolean() ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") + name);
                // whatever became of it, no session waits for it
                statements.add("ROLLBACK PREPARED " + name);
            }
            default -> statements.add("COMMIT");
        }
        return statements;
    }

    private String statement() {
        var table = tables.get(random.nextInt(tables.size()));
        return switch (random.nextInt(16)) {
            case 0, 1, 2 -> insert(table, row());
            case 3, 4 -> rows(table);
            case 5 -> upsert(table);
            case 6, 7, 8 -> "UPDATE " + table.name + " SET " + values() + where();
            case 9, 10 -> "UPDATE " + table.name + " SET " + keys(table) + where();
            case 11 -> "UPDATE " + table.name + " SET " + keys(table) + ", " + values() + where();
            case 12, 13 -> "DELETE FROM " + table.name + where();
            case 14 -> copy(table);
            default -> random.nextInt(3) == 0 ? truncate(table) : "DELETE FROM " + table.name + where();
        };
    }

    private String insert(Table table, String row) {
        return "INSERT INTO "
                + (table.partitioned && random.nextInt(4) == 0
                        ? one(heaps(table).toArray(String[]::new))
                        : table.name)
                + " (id, part, k, v, n, s, big, list) VALUES " + row
                + (table.keyless() || random.nextBoolean() ? "" : " ON CONFLICT DO NOTHING");
    }

    private String rows(Table table) {
        return "INSERT INTO " + table.name
                + " (id, part, k, v, n, s, big, list) SELECT i, i % 3, 'k' || i, i, i / 7.0, " + text()
                + ", " + big() + " || i, ARRAY[" + big() + ", NULL] FROM generate_series(" + key() + ", " + key()
                + ") i ON CONFLICT DO NOTHING";
    }

    private String upsert(Table table) {
        var target =
                switch (table.identity) {
                    case KEY, FULL -> "(id)";
                    case COMPOSITE_KEY, USING_INDEX -> "(part, id)";
                    case TEXT_KEY -> "(k)";
                    case NONE -> null;
                };
        return target == null
                ? insert(table, row() + ", " + row())
                : "INSERT INTO " + table.name + " (id, part, k, v, n, s, big, list) VALUES " + row() + " ON CONFLICT "
                        + target + " DO UPDATE SET v = excluded.v"
                        + (random.nextBoolean() ? ", big = excluded.big" : "");
    }

    private String row() {
        return "(" + key() + ", " + random.nextInt(3) + ", " + keyText() + ", " + number() + ", "
                + one("NULL", "1e20", "0.00010", "-7.5", "'NaN'") + ", " + text() + ", " + big() + ", "
                + one("'{}'", "ARRAY['a', NULL, '\"']", "ARRAY[" + big() + "]") + ")";
    }

    private String values() {
        return one(
                "v = " + number(),
                "v = v + 1",
                "v = coalesce(v, 0) + 1",
                "s = " + text(),
                "big = " + big(),
                "big = big || 'x', v = 0",
                "list = '{}'",
                "list = list || ARRAY[" + text() + "]",
                "n = n * 2",
                "s = NULL, v = NULL");
    }

    private String keys(Table table) {
        return switch (table.identity) {
            case KEY, FULL -> one("id = " + key(), "id = id + 1", "id = -id", "id = id + 20", "id = id - 20");
            case COMPOSITE_KEY, USING_INDEX ->
                one(
                        "part = " + random.nextInt(3),
                        "id = " + key(),
                        "part = (part + 1) % 3",
                        "id = -id, part = 2 - part");
            case TEXT_KEY -> one("k = " + keyText(), "k = k || 'x'", "k = 'k' || id");
            case NONE -> "id = " + key();
        };
    }

    private String where() {
        return switch (random.nextInt(6)) {
            case 0 -> "";
            case 1 -> " WHERE id % 2 = " + random.nextInt(2);
            case 2 -> " WHERE part = " + random.nextInt(3);
            case 3 -> " WHERE id > " + key();
            default -> " WHERE id = " + key();
        };
    }

    private String truncate(Table table) {
        return "TRUNCATE " + table.name
                + (tables.size() > 1 && random.nextBoolean()
                        ? ", " + tables.get(random.nextInt(tables.size())).name
                        : "")
                + one("", " CASCADE", " RESTART IDENTITY");
    }

    private String copy(Table table) {
        var lines = new StringBuilder("COPY " + table.name + " (id, part, k, v, s) FROM STDIN\n");
        for (int i = random.nextInt(3); i >= 0; i--) {
            lines.append(key())
                    .append('\t')
                    .append(random.nextInt(3))
                    .append("\tc")
                    .append(key())
                    .append('\t')
                    .append(one("\\N", "5"))
                    .append('\t')
                    .append(one("\\N", "copied", "t\\tb"))
                    .append('\n');
        }
        return lines.toString();
    }

    private int key() {
        return 1 + random.nextInt(KEYS);
    }

    private String keyText() {
        return random.nextInt(6) == 0 ? "left(repeat('k" + key() + "', 1200), 2400)" : "'k" + key() + "'";
    }

    private String number() {
        return one("NULL", "0", "-1", String.valueOf(random.nextInt(1000)));
    }

    private String text() {
        return random.nextInt(5) == 0 ? "NULL" : "E'" + one(TEXTS.split("\\|")).replace("'", "''") + "'";
    }

    private String big() {
        return switch (random.nextInt(5)) {
            case 0 -> "NULL::text";
            case 1 -> "'small'::text";
            default -> "repeat(E'" + one("x\\ty", "b\\\\", "ü''", "q" + random.nextInt(100)) + "', 1500)";
        };
    }

    @SafeVarargs
    private <T> T one(T... of) {
        return of[random.nextInt(of.length)];
    }
}
