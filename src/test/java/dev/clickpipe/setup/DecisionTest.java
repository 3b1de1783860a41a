package dev.clickpipe.setup;

import static dev.clickpipe.setup.Decision.REPLACE;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableEngine;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Layout;
import dev.clickpipe.clickhouse.TableDefinition.Loading;
import dev.clickpipe.clickhouse.TableDefinition.Publishing;
import dev.clickpipe.clickhouse.TableDefinition.Replacement;
import dev.clickpipe.clickhouse.TableDefinition.Request;
import dev.clickpipe.setup.Decision.Found;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecisionTest {
    private static final Layout LAYOUT =
            new Layout(TableEngine.ReplacingMergeTree, List.of(), null, List.of(), true, true, List.of());
    private static final Layout OTHER =
            new Layout(TableEngine.ReplacingMergeTree, List.of(), null, List.of("x"), true, true, List.of());

    /**
     * @param kind what it was made for: same, another request; {@code +}: loaded; {@code !}: a gap in its changes
     * @param replacement null for a live one
     */
    private static Optional<TableDefinition> build(String kind, Replacement replacement) {
        if (kind == null) {
            return Optional.empty();
        }
        var request = new Request(LAYOUT, kind.contains("other") ? "a" : "b", null);
        return Optional.of(TableDefinition.wanted(
                        "s", "t", 1, "t", TableEngine.ReplacingMergeTree, List.of(), List.of(), List.of())
                .built(request, replacement, kind.contains("!") ? null : new Publishing("p", null))
                .withLoading(kind.contains("+") ? new Loading("0/1", "0/2") : null));
    }

    @ParameterizedTest
    @CsvSource(textBlock = """
            # live,   replacement, found,      mode,     decision
                    ,            , NOTHING,    CDC,      BUILD
                    ,            , OURS_EMPTY, CDC,      BUILD
                    ,            , OURS,       CDC,      REPLACE
                    ,            , OURS,       CDC_ONLY, BUILD
                    ,            , THEIRS,     CDC,      BUILD
                    , same       , OURS,       CDC,      KEEP
                    , other      , OURS,       CDC,      REPLACE
            same    ,            , OURS,       CDC,      KEEP
            same+   ,            , OURS,       CDC,      KEEP
            same+   ,            , NOTHING,    CDC,      KEEP
            same    ,            , NOTHING,    CDC,      BUILD_IN_PLACE
            same    ,            , NOTHING,    CDC_ONLY, KEEP
            same+   , other      , OURS,       CDC,      CANCEL
            same+   , other+     , OURS,       CDC,      CANCEL
            other   ,            , OURS,       CDC,      BUILD_IN_PLACE
            other   ,            , OURS_EMPTY, CDC,      BUILD_IN_PLACE
            other   ,            , THEIRS,     CDC,      REPLACE
            other+  ,            , OURS,       CDC,      REPLACE
            other+  ,            , OURS_EMPTY, CDC,      REPLACE
            other+  ,            , NOTHING,    CDC,      REPLACE
            other+  , same       , OURS,       CDC,      KEEP
            other+  , same+      , OURS,       CDC,      KEEP
            other+  , other      , OURS,       CDC,      REPLACE
            same+!  ,            , OURS,       CDC,      REPLACE
            same!   ,            , OURS,       CDC,      BUILD_IN_PLACE
            same+!  , same       , OURS,       CDC,      KEEP
            same+!  , same!      , OURS,       CDC,      REPLACE
            same+!  ,            , OURS,       SNAPSHOT, KEEP
            other+! ,            , OURS,       SNAPSHOT, REPLACE
            other+! , same!      , OURS,       SNAPSHOT, KEEP
            """)
    void decides(String live, String replacement, Found found, ReplicationMode mode, Decision expected) {
        assertThat(Decision.of(
                        new Request(LAYOUT, "b", null),
                        build(live, null),
                        build(replacement, new Replacement("t", "u")),
                        found,
                        mode))
                .isEqualTo(expected);
    }

    @Test
    void anotherLayoutIsAnotherRequest() {
        assertThat(Decision.of(
                        new Request(OTHER, "b", null),
                        build("same+", null),
                        Optional.empty(),
                        Found.OURS,
                        ReplicationMode.CDC))
                .isEqualTo(REPLACE);
    }

    @Test
    void aTokenThatIsGoneAsksForNothing() {
        var recorded = new Request(LAYOUT, "a", "t1");

        assertThat(Decision.wanted(new Request(OTHER, null, null), recorded)).isEqualTo(new Request(OTHER, "a", "t1"));
        assertThat(Decision.wanted(new Request(LAYOUT, "b", null), recorded)).isEqualTo(new Request(LAYOUT, "b", "t1"));
        assertThat(Decision.wanted(new Request(LAYOUT, "b", null), null)).isEqualTo(new Request(LAYOUT, "b", null));
    }
}
