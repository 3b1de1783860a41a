package dev.clickpipe.operator;

import dev.clickpipe.api.Phase;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * What shall be, decided by {@link Lifecycle}.
 *
 * @param phase the pipe's phase
 * @param standing how the pipe is doing in that phase
 * @param cause why: reason and message of the Ready condition
 * @param reached how far the pipe has got
 * @param jobs the Jobs that shall be there. Others that still run are deleted; others that ended are left to their
 *     time-to-live, unless one of the same role follows them.
 * @param stream what shall be with the CDC Deployment
 * @param lookAgain when to decide anew though nothing was heard
 * @param release set when a deleted pipe may go; what it holds was left behind, empty when nothing was
 */
record Plan(
        Phase phase,
        Standing standing,
        Cause cause,
        Reached reached,
        Set<JobRef> jobs,
        Stream stream,
        Duration lookAgain,
        Optional<Release> release) {

    enum Standing {
        /** It does what it is for. */
        READY,
        /** It is on its way, and nothing is wrong. */
        PROGRESSING,
        /** Something is wrong that may pass by itself; it goes on as soon as it has. */
        HINDERED,
        /** A person has to do something. */
        STALLED
    }

    /**
     * What the next plan goes by, after a restart too; the status keeps it.
     *
     * @param setup null: Setup was never started
     * @param resync the last {@code spec.resync} that was carried out; null: none
     */
    record Reached(SetupMark setup, String resync, Load load) {}

    /** What is left to do of what Setup accepted. */
    enum Load {
        NONE_WANTED,
        /** Tables that were never loaded, and maybe replacements. */
        INCOMPLETE,
        /** Every table is loaded; replacements are being loaded beside them. */
        REBUILDING,
        /** Replacements are loaded and have to take the places of the live tables. */
        SWAPPING,
        COMPLETE;

        boolean due() {
            return this == INCOMPLETE || this == REBUILDING;
        }
    }

    /** What becomes of the CDC Deployment. */
    enum Stream {
        /** It is there, as the spec says. */
        APPLY,
        /** It stays as it is, if it is there. */
        KEEP,
        /** It goes, if it is there. */
        STOP
    }

    /**
     * One run of a Job-shaped worker.
     *
     * @param key of the {@link Manifest} it works on
     * @param attempt from 1
     */
    record JobRef(Role role, String key, int attempt) {}

    /** @param leftBehind null when the source is clean, else what is left there and how to remove it */
    record Release(Cause leftBehind) {}

    /** The same plan in another light. */
    Plan as(Phase phase, Standing standing, Cause cause) {
        return new Plan(phase, standing, cause, reached, jobs, stream, lookAgain, release);
    }

    /** The same plan before its Job can be started. */
    Plan waiting(String message) {
        return new Plan(
                phase,
                Standing.PROGRESSING,
                new Cause(phase.name(), message),
                reached,
                Set.of(),
                stream,
                lookAgain,
                release);
    }

    /** The same plan, and the pipe may go now. */
    Plan released(Cause leftBehind) {
        return new Plan(phase, standing, cause, reached, jobs, stream, lookAgain, Optional.of(new Release(leftBehind)));
    }

    Plan lookingAgain(Duration after) {
        return new Plan(phase, standing, cause, reached, jobs, stream, after, release);
    }

    /** The same plan, which the API server did not let us carry out. */
    Plan hinderedBy(Cause obstacle, Duration lookAgain) {
        return as(phase, Standing.HINDERED, obstacle).lookingAgain(lookAgain);
    }
}
