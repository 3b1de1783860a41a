package dev.clickpipe.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ClickHouseErrorTest {
    @Test
    void takesTheCodeFromTheEnginesText() {
        var error = ClickHouseError.parse("Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE)");
        assertThat(error.code()).isEqualTo(60);
        assertThat(error.httpStatus()).isEqualTo(404);
    }

    @Test
    void wordsOwnErrorsLikeTheEngine() {
        var error = ClickHouseError.of(62, "SYNTAX_ERROR", "Empty query");
        assertThat(error).hasMessage("Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)");
        assertThat(error.httpStatus()).isEqualTo(400);
    }

    @Test
    void anythingElseIsAnUnknownException() {
        assertThat(ClickHouseError.from(new IllegalStateException("boom")).code())
                .isEqualTo(1002);
        assertThat(ClickHouseError.parse("boom").httpStatus()).isEqualTo(500);
    }
}
