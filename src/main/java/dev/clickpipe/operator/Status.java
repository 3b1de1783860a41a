package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.ClickPipeStatus.InitialLoad;
import dev.clickpipe.api.ClickPipeStatus.Replication;
import dev.clickpipe.api.ClickPipeStatus.Table;
import dev.clickpipe.api.ClickPipeStatus.TablePhase;
import dev.clickpipe.api.Phase;
import dev.clickpipe.api.ReplicationMode;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.operator.Observed.Outcome;
import dev.clickpipe.operator.Observed.Pod;
import dev.clickpipe.operator.Observed.Run;
import dev.clickpipe.operator.Plan.Load;
import dev.clickpipe.pipe.Termination;
import dev.clickpipe.pipe.WorkerStatus;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

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
        var replication = replication();
        var setup = plan.reached().setup();
        return new ClickPipeStatus(
                plan.phase(),
                plan.phase() == old.phase() && old.phaseSince() != null ? old.phaseSince() : time(now),
                plan.cause().message(),
                generation,
                setup == null ? null : setup.text(),
                plan.reached().resync(),
                Conditions.of(plan, replication, pipe.getStatus(), Worker.generation(pipe), now),
                postgres.host() + ":" + postgres.port() + "/" + postgres.database(),
                clickHouse.host() + ":" + clickHouse.port() + "/" + clickHouse.database(),
                initialLoad(),
                tables(),
                replication);
    }

    private InitialLoad initialLoad() {
        if (plan.reached().load() == Load.NONE_WANTED) {
            return null;
        }
        if (plan.phase() == Phase.Snapshot && !plan.reached().setup().accepted() && old.initialLoad() != null) {
            return loadToCome(old.initialLoad());
        }
        var complete = !plan.reached().load().due();
        // A load that is complete and due again, after an edit, starts from nothing.
        var before = Optional.ofNullable(old.initialLoad())
                .filter(load -> complete || load.completedAt() == null)
                .orElseGet(() -> new InitialLoad(null, null, null, null, null, null, null, null, null));
        var run = currentLoad();
        var said = run.flatMap(this::said).orElse(null);
        // A live table that is built anew counts as loaded when its replacement is.
        var total = said != null
                ? said.tablesTotal() - said.replacements()
                : pipe.getSpec().tableMappings().size();
        var done = said != null
                ? Math.max(0, said.tablesDone() - said.replacements())
                : complete ? total : or(before.tablesDone(), 0);
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

    /** Setup is about to say what an edit makes due. What the load before took stays, for Setup may refuse the edit. */
    private InitialLoad loadToCome(InitialLoad before) {
        var resync = pipe.getSpec().resync();
        var everything = resync != null && !resync.equals(plan.reached().resync());
        int total = pipe.getSpec().tableMappings().size();
        int done = everything ? 0 : Math.min(or(before.tablesDone(), 0), total);
        return new InitialLoad(
                total,
                done,
                done + "/" + total,
                before.rows(),
                before.bytes(),
                0,
                "0 %",
                before.startedAt(),
                before.completedAt());
    }

    /** The load that Setup's last success made due; not one before it. */
    private Optional<Run> currentLoad() {
        var setup = plan.reached().setup();
        return observed.latest(Role.SNAPSHOT, Manifest.of(pipe, Role.SNAPSHOT).key())
                .filter(run -> setup != null && setup.accepted() && run.generation() >= setup.since());
    }

    /** What the load says of itself: the last words of a finished one, else its pods' latest answers. */
    private Optional<WorkerStatus.Load> said(Run run) {
        var pods = observed.podsOf(run);
        var lastWords = run.outcome() == Outcome.SUCCEEDED
                ? pods.stream()
                        .map(Pod::end)
                        .filter(Objects::nonNull)
                        .map(Observed.End::termination)
                        .filter(Objects::nonNull)
                        .map(Termination::load)
                        .filter(Objects::nonNull)
                        .reduce((earlier, later) -> later)
                : Optional.<WorkerStatus.Load>empty();
        return lastWords
                .or(() -> together(pods.stream().filter(Pod::live)))
                .or(() -> together(observed.podOf(run).stream()));
    }

    private static Optional<WorkerStatus.Load> together(Stream<Pod> pods) {
        return pods.map(pod -> pod.report().status())
                .filter(Objects::nonNull)
                .map(WorkerStatus::load)
                .filter(Objects::nonNull)
                .reduce(Status::together);
    }

    /** All of them go by one ledger, so whoever says most looked last; only the rates are each one's own. */
    private static WorkerStatus.Load together(WorkerStatus.Load a, WorkerStatus.Load b) {
        return new WorkerStatus.Load(
                Math.max(a.tablesDone(), b.tablesDone()),
                Math.max(a.tablesTotal(), b.tablesTotal()),
                Math.max(a.replacements(), b.replacements()),
                Math.max(a.rows(), b.rows()),
                Math.max(a.bytes(), b.bytes()),
                Math.max(a.bytesTotal(), b.bytesTotal()),
                Math.max(a.percent(), b.percent()),
                a.rowsPerSecond() + b.rowsPerSecond(),
                Stream.of(a, b)
                        .map(WorkerStatus.Load::secondsLeft)
                        .filter(Objects::nonNull)
                        .min(Comparator.naturalOrder())
                        .orElse(null));
    }

    private List<Table> tables() {
        var removed = plan.reached().setup() != null
                                && plan.reached().setup().acceptedOnce()
                                && !plan.reached().setup().accepted()
                        || plan.phase() == Phase.Paused
                        || plan.phase() == Phase.Pausing
                ? TableChanges.of(pipe).removed()
                : List.<Table>of();
        return Stream.concat(
                        pipe.getSpec().tableMappings().stream().map(this::table),
                        removed.stream().map(this::goingTable))
                .toList();
    }

    private Table goingTable(Table table) {
        return new Table(
                table.source(),
                table.target(),
                table.phase(),
                table.partitionsDone(),
                table.partitionsTotal(),
                table.rows(),
                plan.phase() == Phase.Modifying ? "It is being removed." : "It is removed when the pipe gets on.");
    }

    private Table table(TableMapping mapping) {
        var before = TableChanges.known(pipe).stream()
                .filter(table -> TableChanges.same(table, mapping))
                .findFirst()
                .orElse(new Table(mapping.source(), mapping.targetTable(), TablePhase.Pending, null, null, null, null));
        var live =
                said(table -> table.replaces() == null && mapping.targetTable().equals(table.target()), mapping);
        var replacement = said(table -> mapping.targetTable().equals(table.replaces()), mapping);
        var built = replacement.isEmpty() ? live : replacement;
        var chunks = built.stream()
                .filter(table -> table.chunksTotal() > 0)
                .max(Comparator.comparingInt(WorkerStatus.Table::chunksDone).thenComparing(WorkerStatus.Table::rows))
                .orElse(null);
        var problem = problem(live);
        var total = chunks != null ? Integer.valueOf(chunks.chunksTotal()) : before.partitionsTotal();
        var done = chunks != null ? Integer.valueOf(chunks.chunksDone()) : before.partitionsDone();
        return new Table(
                mapping.source(),
                mapping.targetTable(),
                problem != null ? TablePhase.Failed : tablePhase(live, before),
                plan.reached().load().due() ? done : total,
                total,
                chunks != null ? Long.valueOf(chunks.rows()) : before.rows(),
                problem != null ? problem : message(live, replacement, before));
    }

    /** What the workers that are at it say of a table, the one that loads last. */
    private List<WorkerStatus.Table> said(Predicate<WorkerStatus.Table> which, TableMapping mapping) {
        return Stream.of(Role.CDC, Role.SNAPSHOT)
                .flatMap(role -> observed.workers(role).stream())
                .flatMap(said -> Attempts.tables(said).stream())
                .filter(table -> mapping.source().equals(table.source()))
                .filter(which)
                .toList();
    }

    private static String problem(List<WorkerStatus.Table> said) {
        return said.stream()
                .map(WorkerStatus.Table::problem)
                .filter(Objects::nonNull)
                .findFirst()
                .map(problem -> Cause.of(problem).message())
                .orElse(null);
    }

    /** Of a table whose own state is well. */
    private String message(List<WorkerStatus.Table> live, List<WorkerStatus.Table> replacement, Table before) {
        if (!replacement.isEmpty()) {
            var beside = replacement.getLast().target();
            var problem = problem(replacement);
            return problem != null
                    ? "Its replacement " + beside + " fails: " + problem
                    : "It is being built anew beside, as " + beside + ", and goes on until that takes its place.";
        }
        var notes = live.stream()
                .map(WorkerStatus.Table::note)
                .filter(Objects::nonNull)
                .distinct()
                .collect(Collectors.joining(" "));
        if (!notes.isEmpty()) {
            return notes;
        }
        // What was wrong stays so until somebody says otherwise.
        return before.phase() == TablePhase.Failed && unheard() ? before.message() : null;
    }

    private boolean unheard() {
        return observed.workers(Role.CDC).isEmpty()
                && observed.workers(Role.SNAPSHOT).isEmpty();
    }

    private TablePhase tablePhase(List<WorkerStatus.Table> said, Table before) {
        var loaded = before.phase() == TablePhase.Running
                || before.phase() == TablePhase.Completed
                || said.stream().anyMatch(WorkerStatus.Table::loaded)
                || plan.reached().load() != Load.INCOMPLETE && settledFor(before);
        if (before.phase() == TablePhase.Failed && unheard()) {
            return TablePhase.Failed;
        }
        if (loaded) {
            return mode().streams() ? TablePhase.Running : TablePhase.Completed;
        }
        var begun = said.stream().anyMatch(table -> table.chunksDone() > 0);
        return begun || before.phase() == TablePhase.Snapshot ? TablePhase.Snapshot : TablePhase.Pending;
    }

    /** Setup has accepted this table, so that what is said of the load is said of it, too. */
    private boolean settledFor(Table table) {
        var setup = plan.reached().setup();
        return setup != null && (setup.accepted() || table.phase() == TablePhase.Failed);
    }

    private ReplicationMode mode() {
        return pipe.getSpec().settings().replicationMode();
    }

    private Replication replication() {
        if (!mode().streams()) {
            return null;
        }
        var r = old.replication();
        if (plan.phase() == Phase.Paused) {
            return inspected()
                    .map(seen -> replication(seen, kept(seen)))
                    .orElseGet(() -> old.phase() == Phase.Paused ? r : whatStaysTrue());
        }
        var said = observed.streamPod().flatMap(pod -> pod.heard(now)).map(WorkerStatus::replication);
        if (said.isPresent()) {
            var lag = bytes(said.get().lagBytes())
                    + (said.get().lagSeconds() == 0
                            ? ""
                            : " " + duration(said.get().lagSeconds()));
            return replication(said.get(), lag);
        }
        return observed.streamPod().map(Pod::unasked).orElse(false) ? r : whatStaysTrue();
    }

    /** What the last look at the slot of a paused pipe has shown. */
    private Optional<WorkerStatus.Replication> inspected() {
        return observed.runs().stream()
                .filter(run -> run.ref().role() == Role.INSPECT && plan.jobs().contains(run.ref()))
                .flatMap(run -> observed.podOf(run).stream())
                .flatMap(pod -> Optional.ofNullable(pod.end()).map(Observed.End::termination).stream())
                .map(Termination::replication)
                .filter(Objects::nonNull)
                .findFirst();
    }

    private static String kept(WorkerStatus.Replication seen) {
        return seen.retainedWalBytes() == null ? null : bytes(seen.retainedWalBytes()) + " kept";
    }

    private static Replication replication(WorkerStatus.Replication r, String lag) {
        return new Replication(
                r.slot(),
                r.publication(),
                r.confirmedLsn(),
                r.lagBytes(),
                r.lagSeconds(),
                lag,
                r.retainedWalBytes(),
                r.safeWalBytes(),
                r.walStatus(),
                r.lastCommitAt() == null ? null : time(r.lastCommitAt()),
                r.changes());
    }

    /** Nobody knows how far behind it is now; where it was stays true. */
    private Replication whatStaysTrue() {
        var r = old.replication();
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
