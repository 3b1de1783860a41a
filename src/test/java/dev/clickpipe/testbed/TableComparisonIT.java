package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class TableComparisonIT {
    @RegisterExtension
    static final SharedPostgres POSTGRES = new SharedPostgres();

    @RegisterExtension
    static final SharedClickHouse CLICKHOUSE = new SharedClickHouse();

    private Postgres postgres;
    private ClickHouse clickhouse;

    @BeforeEach
    void fillBoth() {
        postgres = POSTGRES.client();
        postgres.execute("DROP TABLE IF EXISTS kinds CASCADE", """
                CREATE TABLE kinds (
                  id bigint PRIMARY KEY, name text, yes boolean, ratio double precision, price numeric(12, 2),
                  big numeric, at timestamp, instant timestamptz, day date, raw bytea, tags text[], matrix int[], doc jsonb,
                  ident uuid, "odd ""name" int)""", """
                INSERT INTO kinds VALUES
                  (1, E'tab\\t, back\\\\slash, line\\nend, ä', true, 0.1, 1.50, 123456789012345678901234567890.10,
                   '2026-01-01 10:00:00.120', '2026-01-01 10:00:00+02', '2026-01-01', '\\x00ff41', ARRAY['a', NULL, 'b,"c'],
                   '{{1,2},{3,NULL}}', '{"a": [1, null]}', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', 7),
                  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                  (3, '', false, 'NaN', 0, -0.5, '1970-01-01', '1970-01-01 00:00:00+00', '1970-01-01', '', '{}', '{}',
                   'null', '00000000-0000-0000-0000-000000000000', -1)""");
        clickhouse = CLICKHOUSE.client();
        clickhouse.query("""
                CREATE OR REPLACE TABLE kinds (
                  id Int64, name Nullable(String), yes Nullable(Bool), ratio Nullable(Float64),
                  price Nullable(Decimal(12, 2)), big Nullable(String), at Nullable(DateTime64(6)),
                  instant Nullable(DateTime64(6, 'Asia/Tokyo')), day Nullable(Date32), raw Nullable(String),
                  tags Array(Nullable(String)), matrix Array(Array(Nullable(Int32))), doc Nullable(String),
                  ident Nullable(UUID), `odd "name` Nullable(Int32), version UInt64, deleted UInt8)
                ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id""");
        clickhouse.query("""
                INSERT INTO kinds VALUES
                  (1, 'tab\\t, back\\\\slash, line\\nend, ä', true, 0.1, 1.5, '123456789012345678901234567890.10',
                   '2026-01-01 10:00:00.12', toDateTime64('2026-01-01 08:00:00', 6, 'UTC'), '2026-01-01', unhex('00ff41'),
                   ['a', NULL, 'b,"c'], [[1, 2], [3, NULL]], '{"a": [1, null]}',
                   '61f0c404-5cb3-11e7-907b-a6006ad3dba0', 7, 1, 0),
                  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, [], [], NULL, NULL, NULL, 1, 0),
                  (3, 'older', false, nan, 0, '-0.5', 0, 0, 0, '', [], [], 'null', toUUID('00000000-0000-0000-0000-000000000000'), -1, 1, 0),
                  (3, '', false, nan, 0, '-0.5', 0, 0, 0, '', [], [], 'null', toUUID('00000000-0000-0000-0000-000000000000'), -1, 2, 0),
                  (4, 'deleted', false, nan, 0, '-0.5', 0, 0, 0, '', [], [], 'null', NULL, -1, 2, 1)""");
    }

    private TableComparison comparison() {
        return TableComparison.between(postgres, "public.kinds", clickhouse, "kinds")
                .key("id");
    }

    @Test
    void seesTheSameRowsUnderDifferentSpelling() {
        // ClickHouse has no NULL array: that difference is real, and all there is
        assertThat(comparison().differences())
                .containsExactly("at [id] [2]: tags is null in Postgres, [] in ClickHouse; "
                        + "matrix is null in Postgres, [] in ClickHouse");
        postgres.execute("UPDATE kinds SET tags = '{}', matrix = '{}' WHERE id = 2");
        assertThatCode(() -> comparison().assertEqual()).doesNotThrowAnyException();
    }

    @Test
    void reportsWhatDiffers() {
        postgres.execute(
                "UPDATE kinds SET tags = '{}', matrix = '{}' WHERE id = 2",
                "UPDATE kinds SET name = 'changed', price = 1.51 WHERE id = 1",
                "DELETE FROM kinds WHERE id = 3",
                "INSERT INTO kinds (id, tags, matrix) VALUES (5, '{}', '{}')");
        assertThatThrownBy(() -> comparison().columns("id", "name", "price").assertEqual())
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("differ in 3 rows")
                .hasMessageContaining("at [id] [1]: name is 'changed' in Postgres, 'tab")
                .hasMessageContaining("price is '1.51' in Postgres, '1.5' in ClickHouse")
                .hasMessageContaining("missing in ClickHouse: id='5', name=null")
                .hasMessageContaining("surplus in ClickHouse: id='3', name=''");
    }

    @Test
    void countsDoubledRows() {
        postgres.execute(
                "DROP TABLE IF EXISTS plain", "CREATE TABLE plain (a int)", "INSERT INTO plain VALUES (1), (1), (2)");
        clickhouse.query("CREATE OR REPLACE TABLE plain (a Int32) ENGINE = MergeTree ORDER BY a");
        clickhouse.query("INSERT INTO plain VALUES (1), (2), (2), (2)");
        assertThat(TableComparison.between(postgres, "plain", clickhouse, "plain")
                        .differences())
                .containsExactly(
                        "missing in ClickHouse: a='1'", "surplus in ClickHouse: a='2'", "surplus in ClickHouse: a='2'");
    }

    @Test
    void takesWhatTheTargetIsMeantToHold() {
        clickhouse.query("CREATE OR REPLACE TABLE upper_kinds (id Int64, name Nullable(String)) ENGINE = Memory");
        clickhouse.query("INSERT INTO upper_kinds SELECT id, upper(name) FROM kinds FINAL");
        var comparison = TableComparison.between(postgres, "kinds", clickhouse, "upper_kinds")
                .columns("id", "name");
        assertThat(comparison.differences()).hasSize(2);
        assertThat(comparison
                        .expecting("name", text -> text.replaceAll("[a-z]", "*"))
                        .differences())
                .hasSize(2);
        comparison.expecting("name", text -> asciiUpper(text)).assertEqual();
    }

    /** Like ClickHouse's upper(): letters of ASCII. */
    private static String asciiUpper(String text) {
        return text.chars()
                .mapToObj(c -> String.valueOf((char) (c >= 'a' && c <= 'z' ? c - 32 : c)))
                .collect(Collectors.joining());
    }
}
