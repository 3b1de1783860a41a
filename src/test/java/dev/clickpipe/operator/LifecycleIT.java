package dev.clickpipe.operator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.pipe.Termination;
import io.fabric8.kubernetes.api.model.Event;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What people do with a pipe that lives: on a real kube-apiserver, with workers that keep books as the real ones do. */
@ExtendWith(Cluster.Extension.class)
class LifecycleIT {
    static final String ORDERS = "orders";

    static final String ITEMS = "  - {sourceSchemaName: public, sourceTable: items, targetTable: items}\n";
    static final String RUNNING = "state: \"Running\"";
    static final String PAUSED = "state: \"Paused\"";

    @Nested
    class Pausing {
        @Test
        void stopsTheWorkersAndKeepsAnEyeOnTheSlot(Cluster cluster) {
            var databases = started(cluster);
            var phases = cluster.recordPhases(ORDERS);
            cluster.edit(ORDERS, RUNNING, PAUSED);
            settled(cluster, Phase.Paused);
            cluster.await("a look at the slot", ORDERS, pipe -> "4.0 KiB kept"
                    .equals(pipe.getStatus().replication().lag()));
            cluster.awaitPhases(phases, Phase.Running, Phase.Pausing, Phase.Paused);
            assertThat(cluster.pods(Role.CDC)).isEmpty();
            assertThat(cluster.deployments()).isEmpty();
            var paused = cluster.get(ORDERS).getStatus();
            assertThat(paused.replication().retainedWalBytes()).isEqualTo(4096);
            assertThat(paused.replication().confirmedLsn()).isEqualTo("0/1A");
            assertThat(Conditions.slotAtRisk(paused)).isEmpty();
            assertThat(Conditions.isTrue(paused, Conditions.RECONCILING)).isFalse();

            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Running, Phase.Pausing, Phase.Paused, Phase.Running);
            assertThat(databases.loads()).isEqualTo(2);
            assertThat(databases.mostStreamsAtOnce()).isEqualTo(1);
        }

        @Test
        void warnsBeforeTheSlotIsLost(Cluster cluster) {
            var seen = new AtomicReference<>(FakeKubelet.slot(700, 300L, "extended"));
            started(cluster);
            cluster.kubelet.when(Role.INSPECT, container -> {
                container.start();
                container.exit(0, Termination.seen(seen.get()));
            });
            cluster.edit(ORDERS, RUNNING, PAUSED);
            cluster.await("the first look", ORDERS, pipe -> retained(pipe) == 700);
            assertThat(Conditions.slotAtRisk(cluster.get(ORDERS).getStatus())).isEmpty();

            seen.set(FakeKubelet.slot(760, 240L, "extended"));
            cluster.clock.advance(Lifecycle.INSPECTION.minusSeconds(30));
            cluster.lookAgain(ORDERS);
            assertThat(cluster.jobs(Role.INSPECT)).hasSize(1);
            cluster.clock.advance(Duration.ofSeconds(31));
            cluster.lookAgain(ORDERS);
            cluster.await("the second look", ORDERS, pipe -> retained(pipe) == 760);
            cluster.await(
                    "the first look's Job to go",
                    () -> cluster.jobs(Role.INSPECT).size() == 1);
            assertThat(Conditions.slotAtRisk(cluster.get(ORDERS).getStatus())).isPresent();
            assertThat(events(cluster, "SlotAtRisk")).singleElement().matches(e -> e.getType()
                    .equals("Warning"));
            assertThat(Conditions.isTrue(cluster.get(ORDERS).getStatus(), Conditions.READY))
                    .isTrue();
        }

        @Test
        void createdPausedItMakesNothing(Cluster cluster) {
            var databases = new FakeDatabases(cluster.kubelet);
            cluster.startOperator();
            cluster.create(Pipes.edited(Pipes.cdc(), RUNNING, PAUSED));
            settled(cluster, Phase.Paused);
            cluster.edit(ORDERS, "sourceTable: \"orders\"", "sourceTable: \"orders2\"");
            settled(cluster, Phase.Paused);
            assertThat(cluster.configMaps()).isEmpty();
            assertThat(cluster.versions().keySet()).noneMatch(name -> name.startsWith("Job"));

            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), "public.orders2 orders null null");
        }

        @Test
        void createdPausedItGoesWithoutATeardown(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.edited(Pipes.cdc(), RUNNING, PAUSED));
            settled(cluster, Phase.Paused);
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            assertThat(cluster.jobs(Role.TEARDOWN)).isEmpty();
        }

        @ParameterizedTest
        @EnumSource(names = {"Setup", "Snapshot", "Failed"})
        void inEveryPhase(Phase phase, Cluster cluster) {
            var databases = new FakeDatabases(cluster.kubelet);
            var role = phase == Phase.Snapshot ? Role.SNAPSHOT : Role.SETUP;
            cluster.kubelet.when(role, container -> {
                container.start();
                if (phase == Phase.Failed) {
                    container.exit(FakeKubelet.FATAL, FakeKubelet.refusal("WalLevel", "wal_level is replica"));
                }
                container.forever();
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, phase);
            cluster.edit(ORDERS, RUNNING, PAUSED);
            settled(cluster, Phase.Paused);
            assertThat(cluster.pods(role))
                    .allMatch(pod -> pod.getStatus().getPhase().equals("Failed"));
            assertThat(cluster.deployments()).isEmpty();

            databases.work(cluster.kubelet);
            cluster.clock.advance(Duration.ofSeconds(20));
            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));
            assertThat(databases.loads()).isEqualTo(2);
        }

        @Test
        void editsWaitUntilItRuns(Cluster cluster) {
            var databases = started(cluster);
            cluster.edit(ORDERS, RUNNING, PAUSED);
            settled(cluster, Phase.Paused);
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            settled(cluster, Phase.Paused);
            cluster.edit(ORDERS, "sourceTable: \"orders\"", "sourceTable: \"orders2\"");
            settled(cluster, Phase.Paused);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));
            assertThat(cluster.get(ORDERS).getStatus().tables())
                    .extracting(ClickPipeStatus.Table::source)
                    .containsExactlyInAnyOrder("public.items", "public.orders2", "public.customers", "public.orders");

            var phases = cluster.recordPhases(ORDERS);
            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Paused, Phase.Modifying, Phase.Snapshot, Phase.Running);
            assertThat(databases.builds())
                    .containsExactly(live("customers"), live("items"), "public.orders2 orders null null");
            assertThat(cluster.get(ORDERS).getStatus().tables()).hasSize(3);
        }
    }

    @Nested
    class Tables {
        @Test
        void oneIsAdded(Cluster cluster) {
            var databases = started(cluster);
            var phases = cluster.recordPhases(ORDERS);
            var stream = uid(cluster);
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Running, Phase.Snapshot, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("items"), live("orders"));
            assertThat(databases.loads()).isEqualTo(3);
            assertThat(uid(cluster)).isEqualTo(stream);
            assertThat(events(cluster, "Snapshot")).hasSize(2);
        }

        @Test
        void oneIsRemovedAndComesBack(Cluster cluster) {
            var databases = started(cluster);
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            settled(cluster, Phase.Running);
            var phases = cluster.recordPhases(ORDERS);
            var stream = uid(cluster);
            cluster.edit(ORDERS, pipe -> without(pipe, "items"));
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Running, Phase.Modifying, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));
            assertThat(databases.loads()).isEqualTo(3);
            assertThat(cluster.get(ORDERS).getStatus().tables()).hasSize(2);

            // The Jobs of the first time are still there, and have no say in it.
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("items"), live("orders"));
            assertThat(databases.loads()).isEqualTo(4);
            assertThat(uid(cluster)).isEqualTo(stream);
        }

        @Test
        void aTableIsRemovedWhileItIsLoaded(Cluster cluster) {
            var databases = started(cluster);
            cluster.kubelet.when(Role.SNAPSHOT, container -> {
                container.start();
                container.forever();
            });
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            cluster.awaitPhase(ORDERS, Phase.Snapshot);
            cluster.await("the load", () -> !cluster.pods(Role.SNAPSHOT).isEmpty());
            cluster.edit(ORDERS, pipe -> without(pipe, "items"));
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));
            assertThat(databases.loads()).isEqualTo(2);
        }

        @Test
        void tablesOfASnapshotAreAddedAndRemoved(Cluster cluster) {
            var databases = new FakeDatabases(cluster.kubelet);
            cluster.startOperator();
            cluster.create(Pipes.withMode("snapshot"));
            settled(cluster, Phase.Completed);
            var phases = cluster.recordPhases(ORDERS);
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            settled(cluster, Phase.Completed);
            assertThat(databases.loads()).isEqualTo(3);
            cluster.edit(ORDERS, pipe -> without(pipe, "orders"));
            settled(cluster, Phase.Completed);
            cluster.awaitPhases(
                    phases, Phase.Completed, Phase.Snapshot, Phase.Completed, Phase.Modifying, Phase.Completed);
            assertThat(databases.builds()).containsExactly(live("customers"), live("items"));
        }

        @Test
        void anEditThatSetupRefusesLeavesTheRestRunning(Cluster cluster) {
            var databases = started(cluster);
            var stream = uid(cluster);
            cluster.kubelet.when(
                    Role.SETUP, FakeKubelet.fails(FakeKubelet.FATAL, FakeKubelet.refusal("NoTable", "no table items")));
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            cluster.awaitPhase(ORDERS, Phase.Failed);
            // what the stream minds reaches it nevertheless
            cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "pullBatchSize", 7));
            cluster.await("another stream", () -> {
                var uids = uids(cluster);
                return uids.size() == 1 && !uids.contains(stream);
            });
            cluster.await(
                    "the refusal and the stream's position",
                    ORDERS,
                    pipe -> pipe.getStatus().phase() == Phase.Failed
                            && pipe.getStatus().replication().lag() != null);
            databases.work(cluster.kubelet);
            cluster.edit(ORDERS, pipe -> without(pipe, "items"));
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));
        }
    }

    @Nested
    class Resyncs {
        @Test
        void ofAPipe(Cluster cluster) {
            var databases = started(cluster);
            var phases = cluster.recordPhases(ORDERS);
            var stream = uid(cluster);
            token(cluster, "1");
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Running, Phase.Snapshot, Phase.Resync, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("orders", "1"));
            assertThat(databases.loads()).isEqualTo(4);
            assertThat(cluster.get(ORDERS).getStatus().observedResync()).isEqualTo("1");
            assertThat(uid(cluster)).isEqualTo(stream);

            // the same token, whatever restarts
            cluster.stopOperator();
            cluster.client().resource(cluster.jobs(Role.SETUP).getFirst()).delete();
            cluster.client().resource(cluster.jobs(Role.SNAPSHOT).getFirst()).delete();
            cluster.pipe(ORDERS).editStatus(pipe -> {
                pipe.setStatus(null);
                return pipe;
            });
            cluster.startOperator();
            settled(cluster, Phase.Running);
            assertThat(cluster.get(ORDERS).getStatus().observedResync()).isEqualTo("1");
            // and without it, and with it again
            cluster.edit(ORDERS, "  resync: \"1\"\n", "");
            settled(cluster, Phase.Running);
            assertThat(cluster.get(ORDERS).getStatus().observedResync()).isEqualTo("1");
            token(cluster, "1");
            settled(cluster, Phase.Running);
            assertThat(databases.loads()).isEqualTo(4);
        }

        @Test
        void ofOneTable(Cluster cluster) {
            var databases = started(cluster);
            var phases = cluster.recordPhases(ORDERS);
            cluster.edit(ORDERS, "targetTable: \"customers\"", "targetTable: \"customers\"\n    resync: \"7\"");
            settled(cluster, Phase.Running);
            cluster.awaitPhases(phases, Phase.Running, Phase.Setup, Phase.Snapshot, Phase.Resync, Phase.Running);
            assertThat(databases.builds()).containsExactly("public.customers customers null 7", live("orders"));
            assertThat(databases.loads()).isEqualTo(3);
        }

        @Test
        void ofASnapshot(Cluster cluster) {
            var databases = new FakeDatabases(cluster.kubelet);
            cluster.startOperator();
            cluster.create(Pipes.withMode("snapshot"));
            settled(cluster, Phase.Completed);
            var phases = cluster.recordPhases(ORDERS);
            token(cluster, "1");
            settled(cluster, Phase.Completed);
            cluster.awaitPhases(phases, Phase.Completed, Phase.Snapshot, Phase.Resync, Phase.Completed);
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("orders", "1"));
            token(cluster, "2");
            settled(cluster, Phase.Completed);
            assertThat(databases.builds()).containsExactly(live("customers", "2"), live("orders", "2"));
            assertThat(databases.loads()).isEqualTo(6);
        }

        @Test
        void ofAPausedPipe(Cluster cluster) {
            var databases = started(cluster);
            cluster.edit(ORDERS, RUNNING, PAUSED);
            settled(cluster, Phase.Paused);
            token(cluster, "1");
            settled(cluster, Phase.Paused);
            assertThat(databases.loads()).isEqualTo(2);
            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("orders", "1"));
        }

        @Test
        void ofAFailedPipe(Cluster cluster) {
            var databases = started(cluster);
            // as the real one does: it says so, stays, and goes on when Setup has made another slot
            var mended = new CountDownLatch(1);
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                while (mended.getCount() > 0) {
                    container.says(FakeKubelet.failed("SlotLost", "this slot has been invalidated"));
                    Thread.sleep(20);
                }
                databases.stream(container);
            });
            cluster.client().resource(cluster.pods(Role.CDC).getFirst()).delete();
            cluster.awaitPhase(ORDERS, Phase.Failed);
            assertThat(Cluster.message(cluster.get(ORDERS)))
                    .contains("this slot has been invalidated", "Set a new spec.resync");
            assertThat(Cluster.reason(cluster.get(ORDERS))).isEqualTo("SlotLost");
            var stream = uid(cluster);
            var phases = cluster.recordPhases(ORDERS);
            token(cluster, "1");
            cluster.await(
                    "the swap to wait for the stream",
                    ORDERS,
                    pipe -> pipe.getStatus().phase() != Phase.Failed && databases.loads() == 4);
            mended.countDown();
            settled(cluster, Phase.Running);
            cluster.await("the watch to see it, too", () -> phases.getLast() == Phase.Running);
            assertThat(phases).startsWith(Phase.Failed, Phase.Snapshot).endsWith(Phase.Resync, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("orders", "1"));
            assertThat(uid(cluster)).isEqualTo(stream);
        }

        @Test
        void anotherTokenInTheMidstOfOne(Cluster cluster) {
            var databases = started(cluster);
            cluster.kubelet.when(Role.SNAPSHOT, container -> {
                container.start();
                container.forever();
            });
            token(cluster, "1");
            cluster.await("the load", () -> cluster.pods(Role.SNAPSHOT).stream()
                    .anyMatch(pod -> pod.getStatus().getPhase().equals("Running")));
            databases.work(cluster.kubelet);
            token(cluster, "2");
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers", "2"), live("orders", "2"));
            assertThat(databases.loads()).isEqualTo(4);
        }

        /** Taken back before it was carried out: Setup, which had begun, sees to it that all is as before. */
        @Test
        void aTokenThatIsTakenBackAtOnce(Cluster cluster) {
            var databases = started(cluster);
            for (int i = 0; i < 5; i++) {
                token(cluster, "" + i);
                cluster.edit(ORDERS, "  resync: \"" + i + "\"\n", "");
            }
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).hasSize(2).noneMatch(build -> build.contains("_resync"));
        }
    }

    @Nested
    class Gitops {
        @TempDir
        private Path directory;

        @Test
        void nothingDiffersInAnyPhase(Cluster cluster) throws Exception {
            var databases = new FakeDatabases(cluster.kubelet);
            cluster.startOperator();
            var manifest = directory.resolve("pipe.yaml");
            var text = Files.readString(Path.of("examples/minimal.yaml"));
            var name = Pipes.name(text);
            apply(cluster, manifest, text);
            for (int i = 0; i < 3; i++) {
                diff(cluster, manifest);
            }
            cluster.awaitReady(name);
            diff(cluster, manifest);
            apply(cluster, manifest, text.replace("\nspec:\n", "\nspec:\n  state: Paused\n"));
            cluster.awaitPhase(name, Phase.Pausing, Phase.Paused);
            diff(cluster, manifest);
            cluster.awaitPhase(name, Phase.Paused);
            diff(cluster, manifest);
            apply(cluster, manifest, text.replace("\nspec:\n", "\nspec:\n  resync: again\n"));
            diff(cluster, manifest);
            cluster.await(
                    "the resync",
                    name,
                    pipe -> "again".equals(pipe.getStatus().observedResync())
                            && Conditions.isTrue(pipe.getStatus(), Conditions.READY));
            diff(cluster, manifest);
            cluster.api.kubectl(
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "--namespace=" + cluster.namespace,
                    "-f",
                    manifest.toString());
            var generation = cluster.get(name).getMetadata().getGeneration();
            cluster.api.kubectl(
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "--namespace=" + cluster.namespace,
                    "-f",
                    manifest.toString());
            assertThat(cluster.get(name).getMetadata().getGeneration()).isEqualTo(generation);
            assertThat(databases.builds()).isNotEmpty();
        }

        private void apply(Cluster cluster, Path file, String text) throws Exception {
            Files.writeString(file, text);
            cluster.api.kubectl("apply", "--namespace=" + cluster.namespace, "-f", file.toString());
        }

        private void diff(Cluster cluster, Path file) throws Exception {
            assertThat(cluster.api.kubectl("diff", "--namespace=" + cluster.namespace, "-f", file.toString()))
                    .isEmpty();
        }

        @ParameterizedTest
        @EnumSource(names = {"Provisioning", "Setup", "Snapshot", "Running", "Resync", "Pausing", "Paused"})
        void anEditInEveryPhase(Phase phase, Cluster cluster) {
            var databases = new FakeDatabases(cluster.kubelet);
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            if (phase == Phase.Resync) {
                settled(cluster, Phase.Running);
                token(cluster, "1");
            } else if (phase == Phase.Pausing || phase == Phase.Paused) {
                settled(cluster, Phase.Running);
                cluster.edit(ORDERS, RUNNING, PAUSED);
            }
            cluster.awaitPhase(ORDERS, phase, Phase.Running, Phase.Paused);
            cluster.edit(ORDERS, pipe -> without(pipe, "orders"));
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            if (phase == Phase.Pausing || phase == Phase.Paused) {
                cluster.edit(ORDERS, PAUSED, RUNNING);
            }
            settled(cluster, Phase.Running);
            var token = phase == Phase.Resync ? "1" : "null";
            assertThat(databases.builds()).containsExactly(live("customers", token), live("items", token));
            assertThat(cluster.get(ORDERS).getStatus().tables())
                    .extracting(ClickPipeStatus.Table::target)
                    .containsExactlyInAnyOrder("customers", "items");
        }

        @Test
        void anEditWhileTheOperatorIsAway(Cluster cluster) {
            var databases = started(cluster);
            cluster.stopOperator();
            cluster.edit(ORDERS, pipe -> without(pipe, "orders"));
            cluster.edit(ORDERS, pipe -> mapping(pipe, ITEMS));
            token(cluster, "1");
            cluster.startOperator();
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("items", "1"));
        }

        @Test
        void deletedAndMadeAgainAtOnce(Cluster cluster) {
            started(cluster);
            for (int i = 0; i < 3; i++) {
                var uid = cluster.get(ORDERS).getMetadata().getUid();
                cluster.pipe(ORDERS).delete();
                cluster.awaitGone(ORDERS);
                cluster.create(Pipes.cdc());
                assertThat(cluster.get(ORDERS).getMetadata().getUid()).isNotEqualTo(uid);
            }
            settled(cluster, Phase.Running);
        }
    }

    // ---- words ----

    private static FakeDatabases started(Cluster cluster) {
        var databases = new FakeDatabases(cluster.kubelet);
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        settled(cluster, Phase.Running);
        return databases;
    }

    /** It has seen the last edit, is there, and is well. */
    static void settled(Cluster cluster, Phase phase) {
        cluster.await(
                ORDERS + " to be settled in " + phase,
                ORDERS,
                pipe -> pipe.getMetadata()
                                .getGeneration()
                                .equals(pipe.getStatus().observedGeneration())
                        && pipe.getStatus().phase() == phase
                        && Conditions.isTrue(pipe.getStatus(), Conditions.READY));
    }

    static ClickPipe mapping(ClickPipe pipe, String mapping) {
        return Pipes.edited(pipe, "  tableMappings:\n", "  tableMappings:\n" + mapping);
    }

    static ClickPipe without(ClickPipe pipe, String target) {
        return Pipes.without(pipe, target);
    }

    static void token(Cluster cluster, String token) {
        cluster.edit(ORDERS, pipe -> Pipes.resync(pipe, token));
    }

    static String live(String table) {
        return live(table, "null");
    }

    static String live(String table, String token) {
        return "public." + table + " " + table + " " + token + " null";
    }

    private static String uid(Cluster cluster) {
        return uids(cluster).getFirst();
    }

    private static List<String> uids(Cluster cluster) {
        return cluster.pods(Role.CDC).stream()
                .map(pod -> pod.getMetadata().getUid())
                .toList();
    }

    private static long retained(ClickPipe pipe) {
        var replication = pipe.getStatus().replication();
        return replication == null || replication.retainedWalBytes() == null ? -1 : replication.retainedWalBytes();
    }

    private static List<Event> events(Cluster cluster, String reason) {
        return cluster.events(ORDERS).stream()
                .filter(event -> event.getReason().equals(reason))
                .toList();
    }
}
