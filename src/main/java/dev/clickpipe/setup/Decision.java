package dev.clickpipe.setup;

import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.clickhouse.TableDefinition;
import dev.clickpipe.clickhouse.TableDefinition.Request;
import java.util.Optional;

/** What Setup does for a mapped table. */
enum Decision {
    /** It is as it should be, or what is built beside it will be. */
    KEEP,
    /** It has no target yet. */
    BUILD,
    /** Its target was made for something else, but nobody misses what is in it, or nothing is: it is made anew in its place. */
    BUILD_IN_PLACE,
    /** Its target was made for something else: another one is built beside it, in place of one that is no longer wanted. */
    REPLACE,
    /** Its target is right as it is, what is built beside it goes. */
    CANCEL;

    /** What has the target's name in ClickHouse. */
    enum Found {
        NOTHING,
        /** A table that this pipe made, without rows. */
        OURS_EMPTY,
        /** A table that this pipe made, with rows. */
        OURS,
        /** A table or view that this pipe did not make. */
        THEIRS
    }

    /**
     * Pure.
     *
     * @param wanted what the target has to be made for, see {@link #wanted}
     * @param live what is recorded of the target
     * @param replacement what is recorded of the one built beside it, if that is there
     */
    static Decision of(
            Request wanted,
            Optional<TableDefinition> live,
            Optional<TableDefinition> replacement,
            Found found,
            ReplicationMode mode) {
        boolean replacementServes =
                replacement.filter(build -> serves(build, wanted, mode)).isPresent();
        if (live.isEmpty()) {
            if (replacement.isPresent()) {
                return replacementServes ? KEEP : REPLACE;
            }
            // A table that was mapped before and is mapped again: who reads it goes on with the old rows meanwhile.
            return found == Found.OURS && mode.loads() ? REPLACE : BUILD;
        }
        boolean vanished = found == Found.NOTHING && mode.loads() && !live.get().loaded();
        if (serves(live.get(), wanted, mode) && !vanished) {
            return replacement.isPresent() ? CANCEL : KEEP;
        }
        if (replacementServes) {
            return KEEP;
        }
        if (!live.get().engine().stores() && !wanted.layout().engine().stores()) {
            return BUILD_IN_PLACE; // a load beside it would pass by the views
        }
        return live.get().loaded() || replacement.isPresent() || found == Found.THEIRS ? REPLACE : BUILD_IN_PLACE;
    }

    /** Made for what is wanted, and where changes are followed with none of them missing. */
    private static boolean serves(TableDefinition build, Request wanted, ReplicationMode mode) {
        return wanted.equals(build.request()) && (!mode.streams() || build.publishing() != null);
    }

    /**
     * What a target has to be made for: a token that is gone asks for nothing, so that the last one counts.
     *
     * @param spec as the spec has it
     * @param recorded the newest request that is recorded; null for none
     */
    static Request wanted(Request spec, Request recorded) {
        return recorded == null
                ? spec
                : new Request(
                        spec.layout(),
                        spec.resync() == null ? recorded.resync() : spec.resync(),
                        spec.tableResync() == null ? recorded.tableResync() : spec.tableResync());
    }
}
