package dev.clickpipe.operator;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What {@code status.observedSetup} says: which part of the spec Setup was started for last, and whether it accepted that. A
 * Setup that was started may have changed anything, so the one accepted before it counts no more, even when the edit is
 * taken back.
 *
 * @param key the {@link Manifest#setupKey} it was started for
 * @param since the generation of the spec it was started for: what Jobs did for an older one is past
 * @param accepted whether it has succeeded
 * @param stream the {@link Manifest#streamKey} of what Setup accepted last; null: it never accepted anything
 */
record SetupMark(String key, long since, boolean accepted, String stream) {

    private static final Pattern TEXT =
            Pattern.compile("(?<key>[0-9a-f]{8})@(?<since>\\d+)(?<due> due)?( (?<stream>[0-9a-f]{8}))?");

    /** Empty for null, and for what another version wrote: then Setup runs again, and changes nothing. */
    static Optional<SetupMark> read(String text) {
        return Optional.ofNullable(text)
                .map(TEXT::matcher)
                .filter(matcher -> matcher.matches())
                .map(matcher -> new SetupMark(
                        matcher.group("key"),
                        Long.parseLong(matcher.group("since")),
                        matcher.group("due") == null,
                        matcher.group("stream")));
    }

    String text() {
        return key + "@" + since + (accepted ? "" : " due") + (stream == null ? "" : " " + stream);
    }

    /** Whether the source may have a slot of the pipe, and the stream something to follow. */
    boolean acceptedOnce() {
        return stream != null;
    }
}
