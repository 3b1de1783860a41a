package dev.clickpipe.clickhouse;

import static dev.clickpipe.clickhouse.ClickHouseClient.literal;

import dev.clickpipe.codec.TsvBuffer;
import dev.clickpipe.codec.TypeMapping;
import dev.clickpipe.pipe.Pipe;
import dev.clickpipe.pipe.PipeException;
import dev.clickpipe.pipe.Problem;
import java.math.BigInteger;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/**
 * What of the change stream was last sent to each append-only target, in the table {@code _clickpipe_batches} that all pipes of
 * a database share. It is recorded before the rows are sent: whoever goes on after a crash sends the same rows under the same
 * token, and ClickHouse takes them where they are missing, in the table and in each materialized view behind it.
 *
 * <p>It also says who sends. The worker that holds the slot begins a {@link Tenure}; a former one that is not dead yet finds out
 * before it sends: of "I record what I send, then look who has the tenure" and "I take the tenure, then look what was recorded"
 * one always sees the other.
 */
public final class Manifests {
    public static final String TABLE = "_clickpipe_batches";

    /** The row that says who sends. */
    private static final String NO_BUILD = "";

    private static final List<String> COLUMNS =
            List.of("pipe", "pipe_name", "build", "after", "end", "worker", "position");

    private final ClickHouseClient clickHouse;
    private final Pipe pipe;

    /**
     * One insert's rows: all of that build's with a version greater than {@code after}, up to {@code end}. A build's manifests
     * are a chain, each beginning where the one before ended, which was confirmed by then.
     *
     * @param build of the {@link TableDefinition}
     * @param after decimal UInt128; 0 at the beginning
     * @param end decimal UInt128
     */
    public record Manifest(String build, String after, String end) {
        /** The same for everyone who sends these rows. */
        public String token() {
            return build + ":" + after + ":" + end;
        }
    }

    public Manifests(ClickHouseClient clickHouse, Pipe pipe) {
        this.clickHouse = clickHouse;
        this.pipe = pipe;
    }

    private void create() {
        clickHouse.execute("""
                CREATE TABLE IF NOT EXISTS %s (
                    pipe String COMMENT 'uid of the ClickPipe',
                    pipe_name String,
                    build String COMMENT 'the target table, as in _clickpipe_tables; empty: which worker sends',
                    after UInt128 COMMENT 'the insert has the rows with a greater version than this',
                    end UInt128 COMMENT 'up to this one',
                    worker String,
                    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3),
                    position UInt128 COMMENT 'tenure of the worker in the upper half; a count in the lowest 32 bits'
                ) ENGINE = %s ORDER BY (pipe, build)
                """.formatted(TABLE, clickHouse.engine("ReplacingMergeTree(position)")));
    }

    /**
     * From now on this worker sends; only while it holds the slot.
     *
     * @throws PipeException retryable: another one began at the same moment
     */
    public Tenure begin() {
        create();
        var worker = UUID.randomUUID().toString();
        clickHouse.execute("""
                INSERT INTO %1$s (pipe, pipe_name, build, worker, position)
                SELECT %2$s, %3$s, '', %4$s,
                       bitShiftLeft(bitShiftRight(max(position), 64) + toUInt128(1), 64) + toUInt128(%5$d)
                FROM %1$s WHERE pipe = %2$s
                """.formatted(
                        TABLE,
                        literal(pipe.uid()),
                        literal(pipe.toString()),
                        literal(worker),
                        // Two that begin at the same moment get the same tenure: one of them must be the greater.
                        ThreadLocalRandom.current().nextLong(1L << 31) << 32));
        return new Tenure(worker);
    }

    /** The time during which one worker sends. For one thread. */
    public final class Tenure {
        private final String worker;
        private final Map<String, Manifest> last = new HashMap<>();
        private BigInteger position = BigInteger.ZERO;

        private Tenure(String worker) {
            this.worker = worker;
            for (var row : clickHouse.queryState("""
                    SELECT build, toString(after) AS after, toString(end) AS end, worker, toString(position) AS position
                    FROM %s FINAL WHERE pipe = {pipe:String}
                    """.formatted(TABLE), Map.of("pipe", pipe.uid()))) {
                var build = (String) row.get("build");
                if (!build.equals(NO_BUILD)) {
                    last.put(build, new Manifest(build, (String) row.get("after"), (String) row.get("end")));
                } else if (worker.equals(row.get("worker"))) {
                    position = new BigInteger((String) row.get("position"));
                }
            }
            if (position.signum() == 0) {
                throw overtaken();
            }
        }

        /** What was sent last to a build, all of it, a part, or nothing; null when nothing was ever recorded. */
        public Manifest last(String build) {
            return last.get(build);
        }

        /**
         * Records what is going to be sent.
         *
         * @throws PipeException retryable: another worker sends now, and nothing may be sent
         */
        public void record(List<Manifest> manifests) {
            var rows = new TsvBuffer();
            for (var manifest : manifests) {
                position = position.add(BigInteger.ONE);
                rows.escaped(pipe.uid());
                rows.tab();
                rows.escaped(pipe.toString());
                rows.tab();
                rows.escaped(manifest.build());
                rows.ascii("\t" + manifest.after() + "\t" + manifest.end() + "\t" + worker + "\t" + position);
                rows.newline();
            }
            clickHouse.insert(new ClickHouseClient.Insert(TABLE, COLUMNS, TypeMapping.INSERT_SETTINGS, rows::writeTo));
            var sender = clickHouse
                    .queryState(
                            "SELECT worker FROM " + TABLE + " FINAL WHERE pipe = {pipe:String} AND build = ''",
                            Map.of("pipe", pipe.uid()))
                    .getFirst()
                    .get("worker");
            if (!worker.equals(sender)) {
                throw overtaken();
            }
            manifests.forEach(manifest -> last.put(manifest.build(), manifest));
        }
    }

    private PipeException overtaken() {
        return PipeException.retryable(
                new Problem(
                        "AnotherWorkerRuns",
                        "pipe " + pipe,
                        "another worker of this pipe has taken the change stream over",
                        "This one sends nothing more; if it is not ended, it tries to take the stream over again"),
                null);
    }
}
