package dev.clickpipe.clickhouse;

import static org.assertj.core.api.Assertions.assertThat;

import com.clickhouse.client.api.ServerException;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.net.ConnectException;
import java.util.HashSet;
import java.util.concurrent.ExecutionException;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClickHouseErrorsTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "516|retry|LoginRefused",
                "81|fatal|DatabaseMissing",
                "497|fatal|PermissionDenied",
                "164|fatal|PermissionDenied",
                "60|fatal|TargetTableMissing",
                "16|fatal|TargetTableChanged",
                "131|fatal|ValueRefused",
                "407|fatal|ValueRefused",
                "344|fatal|NotSupported",
                "241|retry|DestinationOutOfMemory",
                "252|retry|TooManyParts",
                "202|retry|DestinationBusy",
                "242|retry|DestinationReplicaTrouble",
                "999|retry|DestinationReplicaTrouble",
                "319|retry|DestinationReplicaTrouble",
                "209|retry|DestinationTrouble",
                "159|retry|DestinationTrouble",
                "394|retry|DestinationTrouble",
                "243|retry|DestinationDiskFull",
                "62|fatal|ClickHouseError",
                "0|retry|DestinationTrouble"
            })
    void classifies(int code, String verdict, String reason) {
        var e = ClickHouseErrors.of(
                new ExecutionException(
                        new ServerException(code, "Code: " + code + ". DB::Exception: said so", 500, "id")),
                "table shop.orders");

        assertThat(e.retryable()).isEqualTo(verdict.equals("retry"));
        assertThat(e.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.message()).contains("said so");
            assertThat(problem.remedy()).isNotBlank();
        });
    }

    @Test
    void aCodeIsInTheTableOnce() {
        var seen = new HashSet<Integer>();
        assertThat(ClickHouseErrors.rules())
                .allSatisfy(rule -> assertThat(rule.codes().keySet())
                        .allSatisfy(code ->
                                assertThat(seen.add(code)).as("code " + code).isTrue()));
    }

    @Test
    void rowsAreNotForTheLog() {
        var message =
                "Code: 27. DB::Exception: Cannot parse input: expected '\\t' before: 'secret value': (at row 1) Row 1: Column 0, name: id, parsed text: \"7\" ... (version 26.7.2.1 (official build))";

        var e = ClickHouseErrors.of(new ServerException(27, message, 400, "id"), "table shop.orders");

        assertThat(e)
                .hasMessageContaining("Cannot parse input")
                .hasMessageNotContainingAny("secret value", "parsed text");
    }

    @Test
    void withoutAnAnswerItIsTriedAgain() {
        assertThat(ClickHouseErrors.of(new RuntimeException(new ConnectException("refused")), "x")
                        .problems())
                .extracting(Problem::reason)
                .containsExactly("CannotConnect");
        assertThat(ClickHouseErrors.of(new RuntimeException(new SSLHandshakeException("no")), "x")
                        .problems())
                .extracting(Problem::reason)
                .containsExactly("TlsFailed");
    }

    @Test
    void whatIsClassifiedAlreadyStaysSo() {
        var known = PipeException.fatal(new Problem("SourceTableMissing", "table a.b", "gone", "restore it"));

        assertThat(ClickHouseErrors.of(new RuntimeException(known), "x")).isSameAs(known);
    }
}
