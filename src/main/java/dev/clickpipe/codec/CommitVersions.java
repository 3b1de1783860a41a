package dev.clickpipe.codec;

import java.util.Arrays;

/**
 * {@link RowVersion}s of one commit, whose ordinals go up by one mostly: counted in decimal then, not divided anew. For one thread.
 */
public final class CommitVersions {
    private final long commitLsn;
    private byte[] digits;
    private long last;

    /** @param commitLsn unsigned */
    public CommitVersions(long commitLsn) {
        this.commitLsn = commitLsn;
    }

    /** Appends what {@link RowVersion#append} does. */
    public void append(TsvBuffer out, long ordinal) {
        if (digits == null || ordinal != last) {
            if (digits == null || ordinal != last + 1 || ordinal == 0 || !increment()) {
                var text = new TsvBuffer(40);
                RowVersion.append(text, commitLsn, ordinal);
                digits = text.toByteArray();
            }
            last = ordinal;
        }
        out.rawBytes(digits);
    }

    /** @return false: it has one digit more now */
    private boolean increment() {
        for (int i = digits.length - 1; i >= 0; i--) {
            if (digits[i] != '9') {
                digits[i]++;
                Arrays.fill(digits, i + 1, digits.length, (byte) '0');
                return true;
            }
        }
        return false;
    }
}
