package dev.clickpipe.codec;

import static dev.clickpipe.codec.TypeMappingTest.array;
import static dev.clickpipe.codec.TypeMappingTest.encoded;
import static dev.clickpipe.codec.TypeMappingTest.scalar;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ArrayEncoderTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "int4|1|{}|[]",
                "int4|1|{1,NULL,-3}|[1,NULL,-3]",
                "int4|1|[0:1]={7,8}|[7,8]",
                "int4|2|{}|[]",
                "int4|2|{{1,2},{NULL,4}}|[[1,2],[NULL,4]]",
                "int4|2|[-1:0][2:3]={{1,2},{3,4}}|[[1,2],[3,4]]",
                "float8|1|{NaN,Infinity,-Infinity,1e-300}|[NaN,Infinity,-Infinity,1e-300]",
                "bool|1|{t,f,NULL}|[true,false,NULL]",
                "uuid|1|{00000000-0000-0000-0000-000000000001}|['00000000-0000-0000-0000-000000000001']",
                "date|1|{infinity,2024-01-01,\"0001-01-01 BC\"}|['2299-12-31','2024-01-01','1900-01-01']",
                "timestamp|1|{\"2024-01-01 00:00:00.5\",NULL}|['2024-01-01 00:00:00.5',NULL]",
                "bytea|1|{\"\\\\x0027\",\"\\\\x\"}|['\\0\\'','']",
                "text|1|{a,\"\",\"NULL\",NULL,null_}|['a','','NULL',NULL,'null_']",
                "text|1|{\"a,b}{\",\"c\\\"d\\\\e\",it's}|['a,b}{','c\"d\\\\e','it\\'s']",
                "jsonb|1|{\"{\\\"a\\\": [1, null]}\"}|['{\"a\": [1, null]}']",
                "int4range|1|{\"[1,3)\",empty}|['[1,3)','empty']",
                "box|1|{(1,1),(0,0);(3,3),(2,2)}|['(1,1),(0,0)','(3,3),(2,2)']",
            })
    void values(String element, int dimensions, String postgres, String clickHouse) {
        assertThat(encoded(TypeMapping.of(array(scalar(element, -1), -1), dimensions, true), postgres))
                .isEqualTo(clickHouse);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"1|{{1,2},{3,4}}", "2|{1,2}", "3|{{1}}", "2|{{{1}}}"})
    void other_dimensions_than_declared_are_no_value_of_the_target(int dimensions, String postgres) {
        var mapping = TypeMapping.of(array(scalar("int4", -1), -1), dimensions, true);
        assertThatThrownBy(() -> encoded(mapping, postgres))
                .isInstanceOf(UnrepresentableValue.class)
                .hasMessageContaining("-dimensional array in a column of type " + mapping.clickHouseType());
    }

    @Test
    void an_element_that_has_no_value_makes_the_array_unrepresentable() {
        var type = array(scalar("numeric", (4 << 16 | 1) + 4), -1);
        assertThatThrownBy(() -> encoded(TypeMapping.of(type, 1, false), "{1.5,NaN,NULL}"))
                .isInstanceOf(UnrepresentableValue.class)
                .hasMessageContaining("NaN");
    }
}
