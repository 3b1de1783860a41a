package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.ClickPipeStatus.InitialLoad;
import dev.clickpipe.api.ClickPipeStatus.Replication;
import dev.clickpipe.api.ClickPipeStatus.Table;
import dev.clickpipe.api.ClickPipeStatus.TablePhase;
import dev.clickpipe.api.Phase;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The status of a pipe, made anew from plan and observation; of the old one only what is past is kept. */
final class Status {
    private final ClickPipe pipe;
    private final Plan plan;
    private final Observed observed;
    private final Instant now;
    private final ClickPipeStatus old;

    private Status(ClickPipe pipe, Plan plan, Observed observed, Instant now) {
        this.pipe = pipe;
        this.plan = plan;
        this.observed = observed;
        this.now = now;
        this.old = Optional.ofNullable(pipe.getStatus())
                .orElseGet(() ->
                        new ClickPipeStatus(null, null, null, null, null, null, null, null, null, null, null, null));
    }

    static ClickPipeStatus of(ClickPipe pipe, Plan plan, Observed observed, Instant now) {
        return new Status(pipe, plan, observed, now).build();
    }

    /** RFC 3339, whole seconds, as Kubernetes writes times. */
    static String time(Instant instant) {
        return instant.truncatedTo(ChronoUnit.SECONDS).toString();
    }

    /** True when the two differ in nothing but how far things have got. */
    static boolean onlyProgress(ClickPipeStatus before, ClickPipeStatus after) {
        return before != null && withoutProgress(before).equals(withoutProgress(after));
    }

    private ClickPipeStatus build() {
        var postgres = pipe.getSpec().source().postgres();
        var clickHouse = pipe.getSpec().destination().clickhouse();
        var generation = pipe.getMetadata().getGeneration();
        var load = initialLoad();
        return new ClickPipeStatus(
                plan.phase(),
                plan.phase() == old.phase() && old.phaseSince() != null ? old.phaseSince() : time(now),
                plan.cause().message(),
                generation,
                plan.observedSetup(),
                old.observedResync(),
                Conditions.of(plan, pipe.getStatus(), generation == null ? 0 : generation, now),
                postgres.host() + ":" + postgres.port() + "/" + postgres.database(),
                clickHouse.host() + ":" + clickHouse.port() + "/" + clickHouse.database(),
                load,
                tables(load),
                replication());
    }

    private InitialLoad initialLoad() {
        if (plan.load() == Plan.Load.NONE_WANTED) {
            return null;
        }
        var complete = plan.load() == Plan.Load.COMPLETE;
        // A load that is complete and due again, after an edit, starts from nothing.
        var before = Optional.ofNullable(old.initialLoad())
                .filter(load -> complete || load.completedAt() == null)
                .orElseGet(() -> new InitialLoad(null, null, null, null, null, null, null, null, null));
        var run =
                observed.latest(Role.SNAPSHOT, Manifest.of(pipe, Role.SNAPSHOT).key());
        var said = run.flatMap(this::said).orElse(null);
        var total = said != null
                ? said.tablesTotal()
                : pipe.getSpec().tableMappings().size();
        var done = said != null ? said.tablesDone() : complete ? total : or(before.tablesDone(), 0);
        var rows = said != null ? Long.valueOf(said.rows()) : before.rows();
        var percent = complete ? 100 : said != null ? said.percent() : or(before.percent(), 0);
        var loading = plan.phase() == Phase.Snapshot && said != null && !complete;
        return new InitialLoad(
                total,
                done,
                done + "/" + total,
                rows,
                said != null ? Long.valueOf(said.bytes()) : before.bytes(),
                percent,
                percent + " %"
                        + (rows == null ? "" : " " + count(rows) + " rows")
                        + (!loading || said.rowsPerSecond() == 0 ? "" : " " + count(said.rowsPerSecond()) + "/s")
                        + (!loading || said.secondsLeft() == null ? "" : " " + duration(said.secondsLeft()) + " left"),
                before.startedAt() != null
                        ? before.startedAt()
                        : run.map(Run::startedAt).map(Status::time).orElse(null),
                !complete
                        ? null
                        : before.completedAt() != null
                                ? before.completedAt()
                                : run.map(Run::finishedAt).map(Status::time).orElseGet(() -> time(now)));
    }

    /** What the load says of itself: the last words of a finished one, else its latest answer. */
    private Optional<WorkerStatus.Load> said(Run run) {
        var pod = observed.podOf(run);
        var lastWords = run.outcome() == Outcome.SUCCEEDED
                ? pod.map(Pod::end).map(Observed.End::termination).map(Termination::load)
                : Optional.<WorkerStatus.Load>empty();
        return lastWords.or(() -> pod.map(p -> p.report().status()).map(WorkerStatus::load));
    }

    private List<Table> tables(InitialLoad load) {
        var role = plan.phase() == Phase.Running || plan.phase() == Phase.Failed ? Role.CDC : Role.SNAPSHOT;
        var said = observed.worker(role).map(WorkerStatus::tables).orElse(List.of()).stream()
                .collect(Collectors.toMap(WorkerStatus.Table::source, Function.identity(), (a, b) -> b));
        Map<String, Table> before = old.tables() == null
                ? Map.of()
                : old.tables().stream().collect(Collectors.toMap(Table::source, Function.identity(), (a, b) -> b));
        return pipe.getSpec().tableMappings().stream()
                .map(mapping -> table(mapping, said.get(mapping.source()), before.get(mapping.source()), load))
                .toList();
    }

    /** @param said what its worker says of the table; null: nothing. {@code before}: its last status; null: none */
    private Table table(TableMapping mapping, WorkerStatus.Table said, Table before, InitialLoad load) {
        var ill = said != null && said.problem() != null;
        var chunks = said != null && said.chunksTotal() > 0;
        var phase = ill ? TablePhase.Failed : tablePhase(said, before);
        var loaded = load != null && plan.load() == Plan.Load.COMPLETE;
        var total = chunks ? Integer.valueOf(said.chunksTotal()) : before == null ? null : before.partitionsTotal();
        return new Table(
                mapping.source(),
                mapping.targetTable(),
                phase,
                loaded
                        ? total
                        : chunks ? Integer.valueOf(said.chunksDone()) : before == null ? null : before.partitionsDone(),
                total,
                chunks ? Long.valueOf(said.rows()) : before == null ? null : before.rows(),
                ill ? Cause.of(said.problem()).message() : null);
    }

    private TablePhase tablePhase(WorkerStatus.Table said, Table before) {
        return switch (plan.phase()) {
            case Snapshot ->
                said == null
                        ? before == null || before.phase() == null ? TablePhase.Pending : before.phase()
                        : said.loaded()
                                ? TablePhase.Completed
                                : said.chunksDone() > 0 ? TablePhase.Snapshot : TablePhase.Pending;
            case Running, Resync -> TablePhase.Running;
            case Completed -> TablePhase.Completed;
            // Each is where it was.
            case Provisioning, Setup, Failed, Pausing, Paused, Modifying ->
                before == null || before.phase() == null ? TablePhase.Pending : before.phase();
        };
    }

    private Replication replication() {
        if (!pipe.getSpec().settings().replicationMode().streams()) {
            return null;
        }
        var said = observed.streamPod().flatMap(pod -> pod.heard(now)).map(WorkerStatus::replication);
        if (said.isPresent()) {
            var r = said.get();
            return new Replication(
                    r.slot(),
                    r.publication(),
                    r.confirmedLsn(),
                    r.lagBytes(),
                    r.lagSeconds(),
                    bytes(r.lagBytes()) + (r.lagSeconds() == 0 ? "" : " " + duration(r.lagSeconds())),
                    r.retainedWalBytes(),
                    r.safeWalBytes(),
                    r.walStatus(),
                    r.lastCommitAt() == null ? null : time(r.lastCommitAt()),
                    r.changes());
        }
        var r = old.replication();
        if (observed.streamPod().map(Pod::unasked).orElse(false)) {
            return r;
        }
        // Nobody knows how far behind it is now; where it was stays true.
        return r == null
                ? null
                : new Replication(
                        r.slot(),
                        r.publication(),
                        r.confirmedLsn(),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        r.lastCommitAt(),
                        null);
    }

    private static ClickPipeStatus withoutProgress(ClickPipeStatus s) {
        var load = s.initialLoad();
        return new ClickPipeStatus(
                s.phase(),
                s.phaseSince(),
                s.message(),
                s.observedGeneration(),
                s.observedSetup(),
                s.observedResync(),
                s.conditions(),
                s.source(),
                s.destination(),
                load == null
                        ? null
                        : new InitialLoad(
                                load.tablesTotal(),
                                null,
                                null,
                                null,
                                null,
                                null,
                                null,
                                load.startedAt(),
                                load.completedAt()),
                s.tables() == null
                        ? null
                        : s.tables().stream()
                                .map(t -> new Table(t.source(), t.target(), t.phase(), null, null, null, t.message()))
                                .toList(),
                s.replication() == null
                        ? null
                        : new Replication(
                                s.replication().slot(),
                                s.replication().publication(),
                                null,
                                null,
                                null,
                                null,
                                null,
                                null,
                                null,
                                null,
                                null));
    }

    private static int or(Integer value, int otherwise) {
        return value == null ? otherwise : value;
    }

    /** {@code 950}, {@code 12k}, {@code 1.2M}. */
    static String count(long n) {
        return scaled(n, 1000, List.of("", "k", "M", "G", "T"), "");
    }

    /** {@code 0 B}, {@code 1.2 MiB}. */
    static String bytes(long n) {
        return scaled(n, 1024, List.of("B", "KiB", "MiB", "GiB", "TiB", "PiB"), " ");
    }

    /** {@code 12s}, {@code 5m10s}, {@code 3h5m}, {@code 2d4h}: the two largest units, as kubectl shows ages. */
    static String duration(long seconds) {
        var d = Duration.ofSeconds(seconds);
        if (d.toDays() > 0) {
            return d.toDays() + "d" + (d.toHoursPart() == 0 ? "" : d.toHoursPart() + "h");
        }
        if (d.toHours() > 0) {
            return d.toHours() + "h" + (d.toMinutesPart() == 0 ? "" : d.toMinutesPart() + "m");
        }
        if (d.toMinutes() > 0) {
            return d.toMinutes() + "m" + (d.toSecondsPart() == 0 ? "" : d.toSecondsPart() + "s");
        }
        return d.toSeconds() + "s";
    }

    private static String scaled(long n, int base, List<String> units, String space) {
        double value = n;
        int unit = 0;
        while (Math.round(value) >= base && unit < units.size() - 1) {
            value /= base;
            unit++;
        }
        var number = unit == 0 || value >= 10
                ? String.format(Locale.ROOT, "%.0f", value)
                : String.format(Locale.ROOT, "%.1f", value);
        return number + space + units.get(unit);
    }
}
