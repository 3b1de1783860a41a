package dev.clickpipe.operator;

import dev.clickpipe.api.ClickPipeSpec;
import dev.clickpipe.api.TableMapping;
import dev.clickpipe.pipe.WorkerStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeSet;

/**
 * What a pipe's workers record and make on both sides, without the databases: as much of it as the operator can tell. Workers
 * that are given to it behave as the real ones, only faster. Thread-safe.
 */
final class FakeDatabases {

    /** @param replaces the target whose place it takes when it is loaded; null: it is the live one */
    record Build(String source, String target, String replaces, Wanted wanted, boolean loaded) {}

    /** What of the spec it was made for. */
    private record Wanted(TableMapping layout, String resync, String tableResync) {
        /** Tokens that are absent now count as those before. */
        Wanted or(Wanted before) {
            return new Wanted(
                    layout,
                    resync == null ? before.resync : resync,
                    tableResync == null ? before.tableResync : tableResync);
        }
    }

    private final List<Build> builds = new ArrayList<>();
    private boolean slot;
    private int loads;
    private int streams;
    private int mostStreams;

    FakeDatabases(FakeKubelet kubelet) {
        work(kubelet);
    }

    /** Has all workers of this cluster work here from now on. */
    void work(FakeKubelet kubelet) {
        kubelet.when(Role.SETUP, container -> {
            container.start();
            setUp(container.pipe().getSpec());
            container.exit(0, FakeKubelet.done(load()));
        });
        kubelet.when(Role.SNAPSHOT, container -> {
            container.start();
            for (var next = unloaded(); next.isPresent(); next = unloaded()) {
                container.says(new WorkerStatus("snapshot", WorkerStatus.State.Working, null, load(), null, tables()));
                loaded(next.get());
            }
            container.exit(0, FakeKubelet.done(load()));
        });
        kubelet.when(Role.RESYNC, container -> {
            container.start();
            swap();
            container.exit(0, FakeKubelet.done(load()));
        });
        kubelet.when(Role.CDC, container -> {
            container.start();
            stream(container);
        });
        kubelet.when(Role.TEARDOWN, container -> {
            container.start();
            tearDown();
            container.exit(0, FakeKubelet.done(null));
        });
    }

    /** What the stream does until it is stopped. */
    void stream(FakeKubelet.Container container) throws InterruptedException {
        stream(1);
        try {
            while (true) {
                swap();
                container.says(FakeKubelet.streaming(tables().toArray(WorkerStatus.Table[]::new)));
                Thread.sleep(20);
            }
        } finally {
            stream(-1);
        }
    }

    /** Its tables as source, target and tokens; replacements with the target that they are to replace. */
    synchronized TreeSet<String> builds() {
        var tables = new TreeSet<String>();
        for (var build : builds) {
            tables.add(
                    build.source() + " " + build.target() + " " + build.wanted().resync() + " "
                            + build.wanted().tableResync() + (build.loaded() ? "" : " not loaded")
                            + (build.replaces() == null ? "" : " replaces " + build.replaces()));
        }
        return tables;
    }

    synchronized boolean hasSlot() {
        return slot;
    }

    /** Loads of a table, from the beginning on. */
    synchronized int loads() {
        return loads;
    }

    synchronized int mostStreamsAtOnce() {
        return mostStreams;
    }

    private synchronized void setUp(ClickPipeSpec spec) {
        slot = spec.settings().replicationMode().streams();
        builds.removeIf(build -> spec.tableMappings().stream().noneMatch(mapping -> isOf(build, mapping)));
        for (var mapping : spec.tableMappings()) {
            var wanted = new Wanted(layout(mapping), spec.resync(), mapping.resync());
            var live = builds.stream()
                    .filter(build -> isOf(build, mapping) && build.replaces() == null)
                    .findFirst()
                    .orElse(null);
            if (live == null) {
                builds.add(new Build(mapping.source(), mapping.targetTable(), null, wanted, false));
                continue;
            }
            var beside = builds.stream()
                    .filter(build -> isOf(build, mapping) && build.replaces() != null)
                    .findFirst()
                    .orElse(null);
            var now = wanted.or(live.wanted());
            if (beside != null && (now.equals(live.wanted()) || !beside.wanted().equals(wanted.or(beside.wanted())))) {
                builds.remove(beside);
                beside = null;
            }
            if (!live.loaded()) {
                builds.set(builds.indexOf(live), new Build(live.source(), live.target(), null, now, false));
            } else if (beside == null && !now.equals(live.wanted())) {
                builds.add(new Build(live.source(), live.target() + "_resync", live.target(), now, false));
            }
        }
    }

    private static TableMapping layout(TableMapping m) {
        return new TableMapping(
                m.sourceSchemaName(),
                m.sourceTable(),
                m.targetTable(),
                m.excludedColumns(),
                m.useCustomSortingKey(),
                m.sortingKeys(),
                m.tableEngine(),
                m.partitionByExpr(),
                m.partitionKey(),
                m.columns(),
                m.ignoreDeletes(),
                m.ignoreTruncates(),
                null);
    }

    private static boolean isOf(Build build, TableMapping mapping) {
        return build.source().equals(mapping.source())
                && mapping.targetTable().equals(build.replaces() == null ? build.target() : build.replaces());
    }

    private synchronized Optional<Build> unloaded() {
        return builds.stream().filter(build -> !build.loaded()).findFirst();
    }

    private synchronized void loaded(Build build) {
        var at = builds.indexOf(build);
        if (at >= 0) {
            loads++;
            builds.set(at, new Build(build.source(), build.target(), build.replaces(), build.wanted(), true));
        }
    }

    private synchronized void swap() {
        var replacements =
                builds.stream().filter(build -> build.replaces() != null).toList();
        if (!replacements.stream().allMatch(Build::loaded)) {
            return;
        }
        for (var replacement : replacements) {
            builds.removeIf(build -> build.replaces() == null && build.target().equals(replacement.replaces()));
            builds.set(
                    builds.indexOf(replacement),
                    new Build(replacement.source(), replacement.replaces(), null, replacement.wanted(), true));
        }
    }

    private synchronized void stream(int more) {
        streams += more;
        mostStreams = Math.max(mostStreams, streams);
    }

    private synchronized void tearDown() {
        builds.clear();
        slot = false;
    }

    private synchronized WorkerStatus.Load load() {
        var done = (int) builds.stream().filter(Build::loaded).count();
        var replacements = (int)
                builds.stream().map(Build::replaces).filter(Objects::nonNull).count();
        var percent = builds.isEmpty() ? 100 : 100 * done / builds.size();
        return new WorkerStatus.Load(
                done,
                builds.size(),
                replacements,
                done * 1_000_000L,
                done * 500L,
                builds.size() * 500L,
                percent,
                0,
                0L);
    }

    private synchronized List<WorkerStatus.Table> tables() {
        return builds.stream()
                .map(build -> new WorkerStatus.Table(
                        build.source(),
                        build.target(),
                        build.loaded() ? 4 : 0,
                        4,
                        1_000_000,
                        build.loaded(),
                        build.replaces(),
                        null))
                .toList();
    }
}
