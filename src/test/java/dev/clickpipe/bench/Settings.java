package dev.clickpipe.bench;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What a run goes by.
 *
 * @param cases to be found in the names of those that are measured; likewise {@code subjects}
 * @param worker see {@link Pipeline#worker}
 * @param debezium the command that reads with Debezium, without its arguments; null: it is left out
 * @param psql the program
 * @param directory for manifests and logins, this run's own
 */
record Settings(
        Size size,
        int rounds,
        Pattern cases,
        Pattern subjects,
        List<String> worker,
        List<String> debezium,
        Path psql,
        Path directory) {

    /** Whether this one is asked for. */
    boolean isCase(String name) {
        return cases.matcher(name).find();
    }

    /** Whether this one is asked for. */
    boolean isSubject(String name) {
        return subjects.matcher(name).find();
    }

    /**
     * How much of everything.
     *
     * @param changes in each backlog
     * @param latencySeconds measured at each rate, after a third as long to warm up
     * @param transactionRows of the transaction that the change stream has to carry in bounded memory
     */
    record Size(long firenibble, long accounts, long wide, long changes, int latencySeconds, long transactionRows) {
        static final Size TINY = new Size(2_000, 5_000, 200, 1_000, 1, 2_000);
        static final Size USUAL = new Size(600_000, 1_200_000, 24_000, 200_000, 15, 500_000);
        static final Size FULL = new Size(4_000_000, 10_000_000, 150_000, 2_000_000, 60, 10_000_000);
    }
}
