package dev.clickpipe.cdc;

import dev.clickpipe.codec.CommitVersions;
import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.postgres.Lsn;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** The transaction that is being read. For one thread. */
final class Transaction {
    private static final DateTimeFormatter TIMESTAMP =
            DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSSSSS").withZone(ZoneOffset.UTC);

    private final Lsn commit;
    private final Instant committedAt;
    private final CommitVersions versions;
    private String committedAtText;
    private long rowsSeen;

    /** @param commit where its commit record starts */
    Transaction(Lsn commit, Instant committedAt) {
        this.commit = commit;
        this.committedAt = committedAt;
        this.versions = new CommitVersions(commit.value());
    }

    Lsn commit() {
        return commit;
    }

    Instant committedAt() {
        return committedAt;
    }

    /** The commit time as ClickHouse reads it. */
    String committedAtText() {
        if (committedAtText == null) {
            committedAtText = TIMESTAMP.format(committedAt);
        }
        return committedAtText;
    }

    /** Appends the version of one of its rows. */
    void appendVersion(TsvBuffer out, long ordinal) {
        versions.append(out, ordinal);
    }

    long rowsSeen() {
        return rowsSeen;
    }

    /** Counts one more row that pgoutput sent, mapped or not; its ordinal. */
    long next() {
        return ++rowsSeen;
    }
}
