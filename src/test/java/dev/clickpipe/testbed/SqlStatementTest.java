package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.testbed.SqlStatement.Kind;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SqlStatementTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    SELECT 1                                          | SELECT
                    -- note\\n /* another */ select 1                   | SELECT
                    WITH 1 AS x SELECT x                              | SELECT
                    SHOW TABLES                                       | ROWS
                    EXPLAIN SELECT 1                                  | ROWS
                    CREATE TABLE t (format String) ENGINE = Memory    | COMMAND
                    INSERT INTO t SELECT 1                            | COMMAND
                    INSERT INTO t SELECT 1 FORMAT TSV                 | COMMAND
                    WITH 1 AS x INSERT INTO t SELECT x                | COMMAND
                    INSERT INTO t FROM INFILE 'f' FORMAT TSV          | COMMAND
                    INSERT INTO t FORMAT TSV                          | INSERT_DATA
                    INSERT INTO t (a, format) VALUES (1, 2)           | INSERT_DATA
                    INSERT INTO t SETTINGS a = 1 FORMAT TSV           | INSERT_DATA
                    INSERT INTO values VALUES (1)                     | INSERT_DATA
                    INSERT INTO t SELECT a FROM input('a Int8') FORMAT TSV | INSERT_DATA
                    INSERT INTO `t FORMAT TSV` SELECT 'it''s' \\n        | COMMAND
                    """)
    void recognisesHowToRunAStatement(String sql, Kind kind) {
        assertThat(scan(sql.translateEscapes()).kind()).isEqualTo(kind);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    INSERT INTO t FORMAT TSV\\n1\\t2     | INSERT INTO t     | TSV    | 1\\t2
                    INSERT INTO t FORMAT TSV  \\r\\n1    | INSERT INTO t     | TSV    | 1
                    INSERT INTO t FORMAT TSV\\n\\n1      | INSERT INTO t     | TSV    | \\n1
                    INSERT INTO t VALUES (1), (2)        | INSERT INTO t     | Values | (1), (2)
                    INSERT INTO t (a) VALUES('FORMAT x') | INSERT INTO t (a) | Values | ('FORMAT x')
                    """)
    void separatesStatementAndData(String text, String sql, String format, String data) {
        byte[] bytes = text.translateEscapes().getBytes(StandardCharsets.UTF_8);
        var statement = SqlStatement.scan(bytes);

        assertThat(new String(bytes, 0, statement.sqlEnd(), StandardCharsets.UTF_8).strip())
                .isEqualTo(sql);
        assertThat(statement.format()).isEqualTo(format);
        assertThat(new String(
                                bytes,
                                statement.dataStart(),
                                bytes.length - statement.dataStart(),
                                StandardCharsets.UTF_8)
                        .stripLeading())
                .isEqualTo(data.translateEscapes().stripLeading());
    }

    @Test
    void findsTheFormatOfAQueryButNotInsideQuotesOrBrackets() {
        assertThat(scan("SELECT 'FORMAT x', (SELECT format FROM t) FORMAT JSON").format())
                .isEqualTo("JSON");
        assertThat(scan("SELECT format FROM t").format()).isNotEqualTo("t");
    }

    @Test
    void findsInput() {
        String sql = "INSERT INTO t SELECT * FROM input('a Int8') FORMAT TSV\n";
        assertThat(scan(sql).input()).isEqualTo(sql.indexOf("input"));
        assertThat(scan("INSERT INTO t SELECT input FROM inputs FORMAT TSV").input())
                .isEqualTo(-1);
    }

    private static SqlStatement scan(String sql) {
        return SqlStatement.scan(sql.getBytes(StandardCharsets.UTF_8));
    }
}
