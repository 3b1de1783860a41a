package dev.clickpipe.scenario;

import static dev.clickpipe.scenario.Scenario.scenario;
import static dev.clickpipe.scenario.Scenario.table;

import java.util.List;

/** Any identifier that Postgres accepts. */
final class NameScenarios {
    private static final String LONG = "ü".repeat(31) + "z";

    private NameScenarios() {}

    static List<Scenario> all() {
        return List.of(
                scenario("quotes, dots, spaces, percent and question marks, backslashes and backticks")
                        .inSchema("a \"b\".c%d?e#f\\g`h'i/j$k")
                        .given(
                                "CREATE TABLE \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" (\"K \"\"1\"\".%s?\\t`'\" int PRIMARY KEY, \"v.w\" text, \"v.x\" int[] NOT NULL DEFAULT '{}', \"v.y\" int, \"$1\" text, \"a \"\"b\"\".c\" text, \":a\" text)",
                                "ALTER TABLE \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" ALTER \"v.w\" SET STORAGE EXTERNAL")
                        .map(table("T \"q\".x%d?e#\\g`h'i/{j}").to("T \"q\".x%d?e#\\g`h'i/{j} {n}"))
                        .step(
                                "INSERT INTO \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" SELECT i, repeat('v', 3000), ARRAY[i] FROM generate_series(1, 5) i")
                        .step(
                                "UPDATE \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" SET \"$1\" = 'x'",
                                "DELETE FROM \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" WHERE \"K \"\"1\"\".%s?\\t`'\" = 2")
                        .step(
                                "TRUNCATE \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\"",
                                "INSERT INTO \"T \"\"q\"\".x%d?e#\\g`h'i/{j}\" VALUES (9, 'last', '{1,2}', 3)")
                        .build(),
                scenario("63 bytes of another alphabet")
                        .inSchema("схема")
                        .given("CREATE TABLE \"" + LONG + "\" (\"" + LONG + "\" int PRIMARY KEY, \"表\" text)")
                        .map(LONG)
                        .step("INSERT INTO \"" + LONG + "\" SELECT i, 'значение' || i FROM generate_series(1, 5) i")
                        .step(
                                "UPDATE \"" + LONG + "\" SET \"表\" = '値' WHERE \"" + LONG + "\" = 1",
                                "DELETE FROM \"" + LONG + "\" WHERE \"" + LONG + "\" = 2")
                        .build(),
                scenario("keywords, leading digits, upper case")
                        .inSchema("SELECT")
                        .given(
                                "CREATE TABLE \"table\" (\"order\" int, \"1st\" text, \"Select\" text, \"select\" text, \"FINAL\" int, \"index\" int, PRIMARY KEY (\"order\", \"1st\"))")
                        .map("table")
                        .step("INSERT INTO \"table\" SELECT i, '1', 'S', 's', i, i FROM generate_series(1, 5) i")
                        .step(
                                "UPDATE \"table\" SET \"Select\" = 'T' WHERE \"order\" = 1",
                                "UPDATE \"table\" SET \"order\" = 10 WHERE \"order\" = 2")
                        .build(),
                scenario("two schemas with a table of the same name, into different targets")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, v text)",
                                "CREATE TABLE \"{schema}\".u (id int PRIMARY KEY, v text)",
                                "CREATE SCHEMA \"{schema}.other\"",
                                "CREATE TABLE \"{schema}.other\".t (id int PRIMARY KEY, v text)")
                        .map("t")
                        .map(table("t").of("{schema}.other").to("other_t_{n}"))
                        .step(
                                "INSERT INTO t VALUES (1, 'here')",
                                "INSERT INTO \"{schema}.other\".t VALUES (1, 'there')")
                        .step("UPDATE \"{schema}.other\".t SET v = 'changed'", "DELETE FROM t")
                        .build(),
                scenario("columns named like ClickHouse's own things")
                        .given(
                                "CREATE TABLE t (id int PRIMARY KEY, \"_part\" text, \"_version\" int, \"version\" int, \"i\" int, \"v0\" text, \"count()\" int, \"_clickpipe\" text)",
                                "ALTER TABLE t ALTER v0 SET STORAGE EXTERNAL")
                        .map("t")
                        .step(
                                "INSERT INTO t SELECT i, 'p', i, i, i, repeat('v', 3000), i, 'c' FROM generate_series(1, 5) i")
                        .step("UPDATE t SET i = -i", "UPDATE t SET id = id + 10 WHERE id < 3")
                        .build());
    }
}
