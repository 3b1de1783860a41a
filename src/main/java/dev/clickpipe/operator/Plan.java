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
 * @param observedSetup the {@link Manifest#setupKey} that Setup last accepted; null: none yet
 * @param load whether every table has been loaded
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
        String observedSetup,
        Load load,
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

    enum Load {
        NONE_WANTED,
        INCOMPLETE,
        COMPLETE
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

    /** The same plan before its Job can be started. */
    Plan waiting(String message) {
        return new Plan(
                phase,
                Standing.PROGRESSING,
                new Cause(phase.name(), message),
                observedSetup,
                load,
                Set.of(),
                stream,
                lookAgain,
                Optional.empty());
    }

    /** The same plan, and the pipe may go now. */
    Plan released(Cause leftBehind) {
        return new Plan(
                phase,
                standing,
                cause,
                observedSetup,
                load,
                jobs,
                stream,
                lookAgain,
                Optional.of(new Release(leftBehind)));
    }

    Plan lookingAgain(Duration after) {
        return new Plan(phase, standing, cause, observedSetup, load, jobs, stream, after, release);
    }

    /** The same plan, which the API server did not let us carry out. */
    Plan hinderedBy(Cause obstacle, Duration lookAgain) {
        return new Plan(
                phase, Standing.HINDERED, obstacle, observedSetup, load, jobs, stream, lookAgain, Optional.empty());
    }
}
