package dev.clickpipe.cdc;

import dev.clickpipe.postgres.Lsn;
import java.math.BigInteger;

/**
 * What {@code _clickpipe_version} holds.
 *
 * @param commit where the transaction's commit record starts
 * @param ordinal the row's place in the transaction from 1, counting every row that pgoutput sent, old rows too, mapped or not:
 *     reading the transaction again gives the same numbers
 */
record Version(Lsn commit, long ordinal) implements Comparable<Version> {

    /** Reads a decimal UInt128. */
    static Version parse(String decimal) {
        var number = new BigInteger(decimal);
        return new Version(new Lsn(number.shiftRight(64).longValue()), number.longValue());
    }

    @Override
    public int compareTo(Version other) {
        int byCommit = commit.compareTo(other.commit);
        return byCommit != 0 ? byCommit : Long.compareUnsigned(ordinal, other.ordinal);
    }

    /** As a decimal UInt128. */
    @Override
    public String toString() {
        return new BigInteger(Long.toUnsignedString(commit.value()))
                .shiftLeft(64)
                .or(new BigInteger(Long.toUnsignedString(ordinal)))
                .toString();
    }
}
