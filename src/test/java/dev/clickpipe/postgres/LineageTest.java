package dev.clickpipe.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LineageTest {
    private static final Lineage FIRST = new Lineage("7", Lineage.timelines(1, ""));
    private static final Lineage THIRD = new Lineage(
            "7",
            Lineage.timelines(
                    3, "1\t0/3000160\tno recovery target specified\n\n2\t1/5000000\tbefore 2026-01-01 00:00:00\n"));

    @Test
    void isToldByTheHistoryFile() {
        assertThat(FIRST.timeline()).isEqualTo("1@0/0");
        assertThat(THIRD.timeline()).isEqualTo("3@1/5000000");
    }

    @Test
    void aFormerTimelineIsPartOfItUpToWhereItWasLeft() {
        assertThat(THIRD.end("1@0/0")).contains(Lsn.parse("0/3000160"));
        assertThat(THIRD.end("2@0/3000160")).contains(Lsn.parse("1/5000000"));
        assertThat(THIRD.end("3@1/5000000")).isEmpty();
    }

    /** Two recoveries of one backup may give their timelines the same number. */
    @Test
    void anotherBranchIsNoPartOfIt() {
        assertThat(THIRD.end("2@0/4000000")).contains(Lsn.ZERO);
        assertThat(FIRST.end("2@0/3000160")).contains(Lsn.ZERO);
    }

    @Test
    void whatIsNotKnownIsNotJudged() {
        assertThat(THIRD.end("")).isEqualTo(Optional.empty());
        assertThat(new Lineage("7", List.of()).end("1@0/0")).isEmpty();
        assertThat(new Lineage("7", List.of()).timeline()).isEmpty();
    }
}
