package dev.clickpipe.operator;

import static dev.clickpipe.operator.FakeKubelet.FATAL;
import static dev.clickpipe.operator.FakeKubelet.fails;
import static dev.clickpipe.operator.FakeKubelet.refusal;
import static dev.clickpipe.operator.FakeKubelet.retrying;
import static dev.clickpipe.operator.FakeKubelet.streaming;
import static org.assertj.core.api.Assertions.assertThat;

import dev.clickpipe.api.ClickPipe;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import dev.clickpipe.pipe.WorkerStatus;
import io.fabric8.kubernetes.api.model.Event;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole operator on a real kube-apiserver: what a person and the cluster see of it. */
@ExtendWith(Cluster.Extension.class)
class OperatorIT {
    private static final String ORDERS = "orders";

    @Nested
    class Phases {
        @Test
        void cdcLoadsAndThenStreams(Cluster cluster) {
            var phases = cluster.recordPhases(ORDERS);
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);

            cluster.awaitPhases(phases, Phase.Provisioning, Phase.Setup, Phase.Snapshot, Phase.Running);
            var pipe = cluster.get(ORDERS);
            assertThat(conditions(pipe))
                    .containsExactly(
                            "Ready=True",
                            "Reconciling=False",
                            "Stalled=False",
                            "InitialLoadComplete=True",
                            "SlotAtRisk=False");
            assertThat(pipe.getStatus().observedGeneration()).isEqualTo(1);
            assertThat(pipe.getStatus().conditions()).allMatch(c -> c.getObservedGeneration() == 1);
            assertThat(pipe.getStatus().source()).isEqualTo("postgres.shop.svc:5432/shop");
            assertThat(pipe.getStatus().destination()).isEqualTo("clickhouse.analytics.svc:8123/shop");
            assertThat(pipe.getStatus().initialLoad().tables()).isEqualTo("2/2");
            assertThat(pipe.getStatus().initialLoad().progress()).isEqualTo("100 % 2.0M rows");
            assertThat(pipe.getStatus().initialLoad().completedAt()).isNotNull();
            assertThat(pipe.getStatus().replication().lag()).isEqualTo("0 B");
            assertThat(pipe.getStatus().tables())
                    .extracting(ClickPipeStatus.Table::source)
                    .containsExactly("public.orders", "public.customers");
            assertThat(pipe.getStatus().tables()).allMatch(t -> t.phase() == ClickPipeStatus.TablePhase.Running);
            assertThat(cluster.events(ORDERS))
                    .extracting(Event::getReason)
                    .filteredOn(reason -> !reason.equals("Ready")) // when the stream was slower than the load
                    .containsExactly("Provisioning", "Setup", "Snapshot", "Running");
            assertThat(cluster.events(ORDERS)).allMatch(e -> e.getType().equals("Normal") && e.getCount() == 1);
        }

        @Test
        void snapshotLoadsAndIsDone(Cluster cluster) {
            var phases = cluster.recordPhases(ORDERS);
            cluster.startOperator();
            cluster.create(Pipes.withMode("snapshot"));
            cluster.awaitReady(ORDERS);

            cluster.awaitPhases(phases, Phase.Provisioning, Phase.Setup, Phase.Snapshot, Phase.Completed);
            assertThat(cluster.deployments()).isEmpty();
            assertThat(cluster.get(ORDERS).getStatus().replication()).isNull();
        }

        @Test
        void cdcOnlyStreamsAtOnce(Cluster cluster) {
            var phases = cluster.recordPhases(ORDERS);
            cluster.startOperator();
            cluster.create(Pipes.withMode("cdc_only"));
            cluster.awaitReady(ORDERS);

            cluster.awaitPhases(phases, Phase.Provisioning, Phase.Setup, Phase.Running);
            assertThat(cluster.jobs(Role.SNAPSHOT)).isEmpty();
            assertThat(cluster.get(ORDERS).getStatus().initialLoad()).isNull();
        }

        @Test
        void progressIsShownWhileLoading(Cluster cluster) {
            cluster.kubelet.when(Role.SNAPSHOT, container -> {
                container.start();
                container.says(FakeKubelet.loading(3, 4));
                container.forever();
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.await(
                    "progress",
                    ORDERS,
                    pipe -> pipe.getStatus().initialLoad() != null
                            && "42 % 1.2M rows 310k/s 12s left"
                                    .equals(pipe.getStatus().initialLoad().progress()));
            var status = cluster.get(ORDERS).getStatus();
            assertThat(status.initialLoad().tables()).isEqualTo("1/2");
            assertThat(status.tables())
                    .extracting(ClickPipeStatus.Table::phase)
                    .containsExactly(ClickPipeStatus.TablePhase.Running, ClickPipeStatus.TablePhase.Snapshot);
            assertThat(status.tables().getLast().partitionsDone()).isEqualTo(3);
        }

        @Test
        void severalPodsShareALoadAndOneIsKilled(Cluster cluster) {
            var pods = new AtomicInteger();
            var allLoaded = new CountDownLatch(1);
            cluster.kubelet.when(Role.SNAPSHOT, container -> {
                boolean victim = pods.incrementAndGet() == 1;
                container.start();
                container.says(FakeKubelet.loading(victim ? 1 : 3, 4));
                if (victim) {
                    cluster.await(
                            "the first one's death",
                            ORDERS,
                            pipe -> pipe.getStatus().initialLoad() != null
                                    && "42 % 1.2M rows 620k/s 12s left"
                                            .equals(pipe.getStatus()
                                                    .initialLoad()
                                                    .progress()));
                    container.exit(137, "OOMKilled", null);
                    return;
                }
                allLoaded.await();
                container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
            });
            cluster.startOperator();
            cluster.create(Pipes.edited(Pipes.cdc(), "snapshotParallelism: 1", "snapshotParallelism: 2"));
            cluster.await("its replacement", ORDERS, pipe -> pods.get() == 3);
            cluster.await(
                    "both at work",
                    ORDERS,
                    pipe -> pipe.getStatus().phase() == Phase.Snapshot
                            && "Loading 1 table.".equals(pipe.getStatus().message()));
            allLoaded.countDown();
            cluster.awaitReady(ORDERS);
            assertThat(cluster.jobs(Role.SNAPSHOT)).as("none failed").singleElement();
            assertThat(cluster.get(ORDERS).getStatus().initialLoad().progress()).isEqualTo("100 % 2.0M rows");
        }

        @Test
        void kubectlWaitsForIt(Cluster cluster) throws Exception {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            var pipe = "clickpipe/" + ORDERS;
            var namespace = "--namespace=" + cluster.namespace;
            cluster.api.kubectl("wait", namespace, "--for=condition=Ready", "--timeout=60s", pipe);
            cluster.api.kubectl("wait", namespace, "--for=jsonpath={.status.phase}=Running", "--timeout=60s", pipe);
            assertThat(cluster.api.kubectl("get", namespace, pipe, "--no-headers"))
                    .matches("(?s)orders +Running +True +2/2 +100 % 2.0M rows +0 B +\\S+\\s*");
            assertThat(cluster.api.kubectl("describe", namespace, pipe)).contains("Snapshot", "Loading 2 tables.");
        }
    }

    @Nested
    class Writes {
        @ParameterizedTest
        @EnumSource(names = {"Provisioning", "Setup", "Snapshot", "Running", "Completed", "Failed"})
        void aRoundThatFindsAllAsItShouldBeWritesNothing(Phase phase, Cluster cluster) {
            cluster.startOperator();
            bring(cluster, phase);
            cluster.lookAgain(ORDERS);
            var before = cluster.versions();
            for (int i = 0; i < 5; i++) {
                cluster.clock.advance(Duration.ofSeconds(2));
                cluster.lookAgain(ORDERS);
            }
            assertThat(cluster.versions()).isEqualTo(before);
        }

        @Test
        void numbersAreWrittenEveryFewSecondsAtMost(Cluster cluster) {
            var lag = new AtomicInteger(1);
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                while (true) {
                    container.says(streaming(lag.incrementAndGet()));
                    Thread.sleep(10);
                }
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var before = cluster.get(ORDERS).getStatus().replication().lagBytes();
            for (int i = 0; i < 10; i++) {
                cluster.lookAgain(ORDERS);
            }
            assertThat(cluster.get(ORDERS).getStatus().replication().lagBytes()).isEqualTo(before);
            cluster.clock.advance(Duration.ofSeconds(5));
            cluster.lookAgain(ORDERS);
            assertThat(cluster.get(ORDERS).getStatus().replication().lagBytes()).isGreaterThan(before);
        }

        @Test
        void theSpecIsTheUsersAlone(Cluster cluster) {
            cluster.startOperator();
            var created = cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var pipe = cluster.get(ORDERS);
            assertThat(pipe.getMetadata().getGeneration()).isEqualTo(1);
            assertThat(pipe.getSpec()).isEqualTo(created.getSpec());
            assertThat(pipe.getMetadata().getManagedFields())
                    .filteredOn(entry -> entry.getManager().equals("clickpipe"))
                    .isNotEmpty()
                    .noneMatch(entry ->
                            entry.getFieldsV1().getAdditionalProperties().containsKey("f:spec"));
        }

        @Test
        void editsWhileStatusIsWrittenAreAllSeen(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            for (int i = 1; i <= 20; i++) {
                var size = 1000 + i;
                cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "pullBatchSize", size));
            }
            cluster.await(
                    "the last edit",
                    ORDERS,
                    pipe -> pipe.getStatus().observedGeneration() == 21
                            && Conditions.isTrue(pipe.getStatus(), Conditions.READY));
            cluster.await("its worker", () -> cluster.pods(Role.CDC).size() == 1);
            assertThat(cluster.configMaps())
                    .singleElement()
                    .satisfies(map -> assertThat(map.getData().get("pipe.yaml")).contains("pullBatchSize: 1020"));
        }
    }

    @Nested
    class Trouble {
        @Test
        void setupRefusesAndHealsByItself(Cluster cluster) {
            cluster.kubelet.when(Role.SETUP, fails(FATAL, refusal("WalLevel", "wal_level is replica")));
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, Phase.Failed);
            var pipe = cluster.get(ORDERS);
            assertThat(conditions(pipe))
                    .containsExactly(
                            "Ready=False",
                            "Reconciling=False",
                            "Stalled=True",
                            "InitialLoadComplete=False",
                            "SlotAtRisk=Unknown");
            assertThat(pipe.getStatus().message()).isEqualTo("wal_level is replica");
            assertThat(Cluster.reason(pipe)).isEqualTo("WalLevel");

            // looked at again after 15 s, and it is still so
            cluster.clock.advance(Duration.ofSeconds(16));
            cluster.lookAgain(ORDERS);
            cluster.await(
                    "a second attempt", () -> attempts(cluster, Role.SETUP).equals(List.of(2)));
            cluster.await("its end", () -> !cluster.jobs(Role.SETUP)
                    .getFirst()
                    .getStatus()
                    .getConditions()
                    .isEmpty());
            cluster.lookAgain(ORDERS);
            assertThat(cluster.get(ORDERS).getStatus().phase()).isEqualTo(Phase.Failed);
            assertThat(events(cluster, "Failed")).singleElement().matches(e -> e.getType()
                    .equals("Warning"));

            // and then it is not
            cluster.kubelet.when(Role.SETUP, FakeKubelet::succeed);
            cluster.clock.advance(Duration.ofSeconds(31));
            cluster.lookAgain(ORDERS);
            cluster.awaitReady(ORDERS);
        }

        @Test
        void aChangedSpecIsSetUpAtOnce(Cluster cluster) {
            cluster.kubelet.when(Role.SETUP, fails(FATAL, refusal("NoTable", "no table public.orders")));
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, Phase.Failed);
            cluster.kubelet.when(Role.SETUP, FakeKubelet::succeed);
            cluster.edit(ORDERS, "sourceTable: \"orders\"", "sourceTable: \"orders2\"");
            cluster.awaitReady(ORDERS);
        }

        @ParameterizedTest
        @ValueSource(strings = {"evicted", "killed", "failed without a reason"})
        void aLoadThatWasInterruptedIsRunAgain(String how, Cluster cluster) {
            var runs = new AtomicInteger();
            cluster.kubelet.when(Role.SNAPSHOT, container -> {
                container.start();
                if (runs.incrementAndGet() > 1) {
                    container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
                } else if (how.equals("evicted")) {
                    container.evict();
                } else if (how.equals("killed")) {
                    container.exit(137, "OOMKilled", null);
                } else {
                    container.exit(1, "Error", "java.lang.IllegalStateException\n\tat somewhere");
                }
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReason(
                    ORDERS, how.equals("evicted") ? "Evicted" : how.equals("killed") ? "OOMKilled" : "Error");
            assertThat(cluster.get(ORDERS).getStatus().phase()).isEqualTo(Phase.Snapshot);
            cluster.clock.advance(Duration.ofSeconds(6));
            cluster.lookAgain(ORDERS);
            cluster.awaitReady(ORDERS);
            assertThat(runs).hasValue(2);
        }

        @ParameterizedTest
        @EnumSource(
                value = Role.class,
                names = {"SETUP", "SNAPSHOT"})
        void aJobDeletedByHandIsMadeAgain(Role role, Cluster cluster) {
            var runs = new AtomicInteger();
            var first = new CountDownLatch(1);
            cluster.kubelet.when(role, container -> {
                container.start();
                if (runs.incrementAndGet() == 1) {
                    first.countDown();
                    container.forever();
                }
                container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.await("the first run", () -> first.getCount() == 0);
            cluster.client().resource(cluster.jobs(role).getFirst()).delete();
            cluster.awaitReady(ORDERS);
            assertThat(runs).hasValue(2);
        }

        @Test
        void whatKeepsAPodFromStartingIsSaidInTheKubeletsWords(Cluster cluster) {
            var secret = new CountDownLatch(1);
            var said = "MountVolume.SetUp failed for volume \"credentials\" : secret \"shop-postgres\" not found";
            cluster.kubelet.when(Role.SETUP, container -> {
                container.waitingWithEvent("FailedMount", said);
                secret.await();
                container.start();
                container.exit(0, FakeKubelet.done(null));
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReason(ORDERS, "FailedMount");
            var pipe = cluster.get(ORDERS);
            assertThat(pipe.getStatus().phase()).isEqualTo(Phase.Provisioning);
            assertThat(Cluster.message(pipe)).endsWith(said);
            secret.countDown();
            cluster.awaitReady(ORDERS);
        }

        @Test
        void anImageThatCantBePulledAndANodeThatIsNotThere(Cluster cluster) {
            cluster.kubelet.when(Role.SETUP, container -> container.unschedulable("0/1 nodes are available"));
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReason(ORDERS, "Unschedulable");
            cluster.kubelet.when(
                    Role.SETUP, container -> container.waiting("ErrImagePull", "no such host registry.example"));
            // what the person changes reaches the pod that is stuck
            cluster.edit(ORDERS, pipe -> Pipes.onNodes(pipe, "disk", "ssd"));
            cluster.awaitReason(ORDERS, "ErrImagePull");
            assertThat(Cluster.message(cluster.get(ORDERS))).contains("no such host registry.example");
            cluster.kubelet.when(Role.SETUP, FakeKubelet::succeed);
            // and so does what the operator's administrator changes
            cluster.stopOperator();
            cluster.image("registry.example/clickpipe:1.1").startOperator();
            cluster.awaitReady(ORDERS);
        }

        @Test
        void aDatabaseThatIsDownIsSaidAndPasses(Cluster cluster) {
            var says = new AtomicReference<>(streaming());
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                while (true) {
                    container.says(says.get());
                    Thread.sleep(10);
                }
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            says.set(retrying("cdc", "SourceUnreachable", "connection refused"));
            cluster.awaitReason(ORDERS, "SourceUnreachable");
            var pipe = cluster.get(ORDERS);
            assertThat(pipe.getStatus().phase()).isEqualTo(Phase.Running);
            assertThat(conditions(pipe))
                    .containsExactly(
                            "Ready=False",
                            "Reconciling=False",
                            "Stalled=False",
                            "InitialLoadComplete=True",
                            "SlotAtRisk=Unknown");
            assertThat(Cluster.message(pipe)).contains("connection refused", "start it");
            says.set(streaming());
            cluster.awaitReady(ORDERS);
            assertThat(events(cluster, "SourceUnreachable")).hasSize(1);
            assertThat(events(cluster, "Ready")).hasSize(1);
        }

        @Test
        void aStreamThatRefusesFailsThePipeUntilItWorksAgain(Cluster cluster) {
            var remedy = new CountDownLatch(1);
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                container.says(streaming());
                Thread.sleep(300);
                container.crash(
                        FATAL, "Error", "{\"reason\":\"SlotGone\",\"message\":\"slot x is gone\",\"retryable\":false}");
                remedy.await();
                container.start();
                container.says(new WorkerStatus("cdc", WorkerStatus.State.Starting, null, null, null, null));
                Thread.sleep(300);
                container.says(streaming());
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, Phase.Failed);
            var pipe = cluster.get(ORDERS);
            assertThat(Cluster.reason(pipe)).isEqualTo("SlotGone");
            assertThat(pipe.getStatus().message()).isEqualTo("slot x is gone");
            assertThat(pipe.getStatus().replication().lag()).isNull();
            remedy.countDown();
            cluster.awaitReady(ORDERS);
            assertThat(cluster.get(ORDERS).getStatus().phase()).isEqualTo(Phase.Running);
        }

        @ParameterizedTest
        @ValueSource(strings = {"mute", "hanging"})
        void aWorkerThatDoesNotAnswerIsNotCalledReady(String how, Cluster cluster) {
            var mute = new CountDownLatch(1);
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                container.says(streaming());
                mute.await();
                if (how.equals("hanging")) {
                    container.hangs();
                }
                container.says(null);
                container.forever();
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            mute.countDown();
            // it was heard a moment ago
            cluster.lookAgain(ORDERS);
            assertThat(Conditions.isTrue(cluster.get(ORDERS).getStatus(), Conditions.READY))
                    .isTrue();
            cluster.clock.advance(Duration.ofSeconds(16));
            cluster.awaitReason(ORDERS, "WorkerUnreachable");
        }

        @Test
        void theApiServersRefusalIsSaid(Cluster cluster) {
            cluster.client()
                    .resource(new io.fabric8.kubernetes.api.model.ResourceQuotaBuilder()
                            .withNewMetadata()
                            .withNamespace(cluster.namespace)
                            .withName("none")
                            .endMetadata()
                            .withNewSpec()
                            .addToHard("count/jobs.batch", new io.fabric8.kubernetes.api.model.Quantity("0"))
                            .endSpec()
                            .build())
                    .create();
            cluster.client()
                    .resourceQuotas()
                    .inNamespace(cluster.namespace)
                    .withName("none")
                    .editStatus(q -> {
                        q.setStatus(new io.fabric8.kubernetes.api.model.ResourceQuotaStatusBuilder()
                                .addToHard("count/jobs.batch", new io.fabric8.kubernetes.api.model.Quantity("0"))
                                .addToUsed("count/jobs.batch", new io.fabric8.kubernetes.api.model.Quantity("0"))
                                .build());
                        return q;
                    });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReason(ORDERS, "Forbidden");
            assertThat(Cluster.message(cluster.get(ORDERS))).contains("exceeded quota");
            cluster.client()
                    .resourceQuotas()
                    .inNamespace(cluster.namespace)
                    .withName("none")
                    .delete();
            cluster.await("the quota to be gone", () -> {
                cluster.lookAgain(ORDERS);
                return !cluster.jobs(Role.SETUP).isEmpty();
            });
            cluster.awaitReady(ORDERS);
        }
    }

    @Nested
    class Edits {
        @Test
        void onlyWhatTheWorkerNeedsRestartsIt(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var pod = cluster.pods(Role.CDC).getFirst().getMetadata().getUid();

            cluster.edit(ORDERS, "deletionPolicy: \"Retain\"", "deletionPolicy: \"Delete\"");
            cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "initialLoadParallelism", 7));
            cluster.await("the edits", ORDERS, pipe -> pipe.getStatus().observedGeneration() == 3);
            cluster.lookAgain(ORDERS);
            assertThat(cluster.pods(Role.CDC))
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));

            var phases = cluster.recordPhases(ORDERS);
            cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "syncIntervalSeconds", 9));
            cluster.await("another pod", () -> cluster.pods(Role.CDC).stream()
                    .noneMatch(p -> p.getMetadata().getUid().equals(pod)));
            cluster.awaitReady(ORDERS);
            cluster.awaitPhases(phases, Phase.Running);
            assertThat(cluster.jobs(Role.SETUP)).hasSize(1);
        }

        @Test
        void aTableMoreIsSetUpAndLoadedWhileTheStreamRuns(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var phases = cluster.recordPhases(ORDERS);
            var pod = cluster.pods(Role.CDC).getFirst().getMetadata().getUid();
            cluster.edit(
                    ORDERS,
                    "  tableMappings:\n",
                    "  tableMappings:\n  - {sourceSchemaName: public, sourceTable: items, targetTable: items}\n");
            cluster.await(
                    "three tables",
                    ORDERS,
                    pipe -> pipe.getStatus().observedGeneration() == 2
                            && Conditions.isTrue(pipe.getStatus(), Conditions.READY));
            cluster.awaitPhases(phases, Phase.Running, Phase.Snapshot, Phase.Running);
            assertThat(cluster.get(ORDERS).getStatus().tables()).hasSize(3);
            assertThat(cluster.pods(Role.CDC))
                    .as("the stream is not restarted")
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));
        }

        @Test
        void setupRefusesAnEditAndTheStreamGoesOn(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var pod = cluster.pods(Role.CDC).getFirst().getMetadata().getUid();
            cluster.kubelet.when(Role.SETUP, fails(FATAL, refusal("NoTable", "no table public.orders2")));
            cluster.edit(ORDERS, "sourceTable: \"orders\"", "sourceTable: \"orders2\"");
            cluster.awaitPhase(ORDERS, Phase.Failed);
            assertThat(cluster.pods(Role.CDC))
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));
            assertThat(Conditions.isTrue(cluster.get(ORDERS).getStatus(), Conditions.INITIAL_LOAD_COMPLETE))
                    .isTrue();
            // taken back: Setup makes sure that all is as before
            cluster.kubelet.when(Role.SETUP, FakeKubelet::succeed);
            cluster.edit(ORDERS, "sourceTable: \"orders2\"", "sourceTable: \"orders\"");
            cluster.awaitReady(ORDERS);
            assertThat(cluster.pods(Role.CDC))
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));
        }

        @Test
        void whatOthersChangeOrDeleteIsPutRight(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);

            cluster.client()
                    .apps()
                    .deployments()
                    .inNamespace(cluster.namespace)
                    .withName("orders-cdc")
                    .scale(2);
            cluster.await(
                    "one worker",
                    () -> cluster.deployments().getFirst().getSpec().getReplicas() == 1);

            cluster.client().resource(cluster.configMaps().getFirst()).delete();
            cluster.await("the pipe's file", () -> cluster.configMaps().size() == 1);

            var before = cluster.deployments().getFirst().getMetadata().getUid();
            cluster.client().resource(cluster.deployments().getFirst()).delete();
            cluster.await(
                    "another Deployment",
                    () -> cluster.deployments().size() == 1
                            && !cluster.deployments()
                                    .getFirst()
                                    .getMetadata()
                                    .getUid()
                                    .equals(before));
            cluster.awaitReady(ORDERS);
        }

        @Test
        void aLostStatusIsFoundOutAgain(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var pod = cluster.pods(Role.CDC).getFirst().getMetadata().getUid();
            cluster.stopOperator();
            cluster.client().resource(cluster.jobs(Role.SETUP).getFirst()).delete();
            cluster.client().resource(cluster.jobs(Role.SNAPSHOT).getFirst()).delete();
            cluster.pipe(ORDERS).editStatus(pipe -> {
                pipe.setStatus(null);
                return pipe;
            });
            assertThat(cluster.get(ORDERS).getStatus()).isNull();
            cluster.startOperator();
            cluster.awaitReady(ORDERS);
            assertThat(cluster.get(ORDERS).getStatus().phase()).isEqualTo(Phase.Running);
            assertThat(cluster.pods(Role.CDC))
                    .as("the stream was not disturbed")
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));
        }
    }

    @Nested
    class Restarts {
        @ParameterizedTest
        @EnumSource(names = {"Provisioning", "Setup", "Snapshot", "Running", "Failed"})
        void theOperatorIsAwayWhileThingsGoOn(Phase phase, Cluster cluster) {
            var onward = new CountDownLatch(1);
            hold(cluster, phase, onward);
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, phase);
            if (phase == Phase.Running) {
                cluster.awaitReady(ORDERS);
            }
            cluster.stopOperator();
            onward.countDown();
            if (phase == Phase.Provisioning || phase == Phase.Setup || phase == Phase.Snapshot) {
                var role = phase == Phase.Snapshot ? Role.SNAPSHOT : Role.SETUP;
                cluster.await("the Job's end", () -> !cluster.jobs(role)
                        .getFirst()
                        .getStatus()
                        .getConditions()
                        .isEmpty());
            }
            var stopped = cluster.versions();
            cluster.clock.advance(Duration.ofSeconds(16));
            cluster.startOperator();
            cluster.awaitReady(ORDERS);
            if (phase == Phase.Running) {
                cluster.lookAgain(ORDERS);
                assertThat(cluster.versions())
                        .as("a restart alone writes nothing")
                        .isEqualTo(stopped);
            }
        }

        @Test
        void anEditWhileTheOperatorIsAway(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            cluster.stopOperator();
            cluster.edit(ORDERS, pipe -> Pipes.settings(pipe, "pullBatchSize", 77));
            cluster.startOperator();
            cluster.await(
                    "the edit",
                    ORDERS,
                    pipe -> pipe.getStatus().observedGeneration() == 2
                            && Conditions.isTrue(pipe.getStatus(), Conditions.READY));
        }

        @Test
        void anUpgradeDisturbsNoLoadThatGoesWell(Cluster cluster) {
            var onward = new CountDownLatch(1);
            hold(cluster, Phase.Snapshot, onward);
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitPhase(ORDERS, Phase.Snapshot);
            cluster.await("its pod", () -> cluster.pods(Role.SNAPSHOT).size() == 1);
            var pod = cluster.pods(Role.SNAPSHOT).getFirst().getMetadata().getUid();
            cluster.await("it to run", () -> cluster.pods(Role.SNAPSHOT)
                    .getFirst()
                    .getStatus()
                    .getPhase()
                    .equals("Running"));
            cluster.stopOperator();
            cluster.image("registry.example/clickpipe:2.0").startOperator();
            cluster.lookAgain(ORDERS);
            assertThat(cluster.pods(Role.SNAPSHOT))
                    .singleElement()
                    .matches(p -> p.getMetadata().getUid().equals(pod));
            onward.countDown();
            cluster.awaitReady(ORDERS);
            assertThat(cluster.pods(Role.CDC)
                            .getFirst()
                            .getSpec()
                            .getContainers()
                            .getFirst()
                            .getImage())
                    .isEqualTo("registry.example/clickpipe:2.0");
        }
    }

    @Nested
    class Deletion {
        @Test
        void workersStopThenTheSourceIsCleanedThenItGoes(Cluster cluster) {
            var streams = new AtomicInteger();
            var streamsAtTeardown = new AtomicInteger(-1);
            var stopped = new CountDownLatch(1);
            cluster.kubelet.when(Role.CDC, container -> {
                container.start();
                container.says(streaming());
                streams.incrementAndGet();
                try {
                    container.forever();
                } finally {
                    // it takes its time
                    stopped.await();
                    streams.decrementAndGet();
                }
            });
            cluster.kubelet.when(Role.TEARDOWN, container -> {
                streamsAtTeardown.set(streams.get());
                FakeKubelet.succeed(container);
            });
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            assertThat(cluster.meters
                            .find("clickpipe.phase")
                            .tag("name", ORDERS)
                            .gauges())
                    .isNotEmpty();
            cluster.pipe(ORDERS).delete();
            cluster.await("the wait for the worker", ORDERS, pipe -> Cluster.message(pipe)
                    .contains("to stop"));
            cluster.lookAgain(ORDERS);
            assertThat(cluster.jobs(Role.TEARDOWN)).isEmpty();
            stopped.countDown();
            cluster.awaitGone(ORDERS);
            assertThat(streamsAtTeardown).hasValue(0);
            assertThat(cluster.deployments()).isEmpty();
            assertThat(events(cluster, "TeardownIncomplete")).isEmpty();
            cluster.await("its metrics to go", () -> cluster.meters
                    .find("clickpipe.phase")
                    .tag("name", ORDERS)
                    .gauges()
                    .isEmpty());
            cluster.await(
                    "nothing left",
                    () -> cluster.jobs(Role.TEARDOWN).isEmpty()
                            && cluster.pods(Role.TEARDOWN).isEmpty());
        }

        @ParameterizedTest
        @EnumSource(names = {"Setup", "Snapshot", "Completed", "Failed"})
        void inEveryPhase(Phase phase, Cluster cluster) {
            var torndown = new AtomicInteger();
            cluster.kubelet.when(Role.TEARDOWN, container -> {
                torndown.incrementAndGet();
                FakeKubelet.succeed(container);
            });
            cluster.startOperator();
            bring(cluster, phase);
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            assertThat(torndown).hasValue(1);
        }

        @Test
        void ofAPipeThatNeverRanAnything(Cluster cluster) {
            cluster.startOperator();
            bring(cluster, Phase.Provisioning);
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            assertThat(cluster.jobs(Role.TEARDOWN)).isEmpty();
            assertThat(events(cluster, "TeardownIncomplete")).isEmpty();
        }

        @ParameterizedTest
        @ValueSource(strings = {"unreachable", "refused", "without its Secret"})
        void isNeverStuck(String how, Cluster cluster) {
            cluster.kubelet.when(
                    Role.TEARDOWN,
                    switch (how) {
                        case "unreachable" ->
                            container -> {
                                container.start();
                                container.says(retrying("teardown", "SourceUnreachable", "connection refused"));
                                container.forever();
                            };
                        case "refused" -> fails(FATAL, refusal("Permission", "must be owner of publication"));
                        default ->
                            container -> {
                                container.waitingWithEvent("FailedMount", "secret \"shop-postgres\" not found");
                                container.forever();
                            };
                    });
            cluster.teardownTimeout(Duration.ofSeconds(6)).startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var deleted = Instant.now();
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            assertThat(Instant.now()).isAfter(deleted.plusSeconds(5));
            assertThat(events(cluster, "TeardownIncomplete")).singleElement().satisfies(event -> {
                assertThat(event.getType()).isEqualTo("Warning");
                assertThat(event.getMessage())
                        .contains("SELECT pg_drop_replication_slot('clickpipe_orders_", "DROP PUBLICATION IF EXISTS")
                        .contains(
                                switch (how) {
                                    case "unreachable" -> "connection refused";
                                    case "refused" -> "must be owner of publication";
                                    default -> "secret \"shop-postgres\" not found";
                                });
            });
        }

        @Test
        void withItsNamespace(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            cluster.client().namespaces().withName(cluster.namespace).delete();
            // what the namespace controller does next
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
        }

        @Test
        void andMadeAgainUnderItsName(Cluster cluster) {
            cluster.startOperator();
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            var before = cluster.get(ORDERS).getMetadata().getUid();
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            cluster.create(Pipes.cdc());
            cluster.awaitReady(ORDERS);
            assertThat(cluster.get(ORDERS).getMetadata().getUid()).isNotEqualTo(before);
            assertThat(cluster.jobs(Role.SETUP))
                    .as("set up by a Job of its own")
                    .anyMatch(job -> job.getMetadata()
                            .getOwnerReferences()
                            .getFirst()
                            .getUid()
                            .equals(cluster.get(ORDERS).getMetadata().getUid()));
        }
    }

    @Test
    void manyPipesAtOnce(Cluster cluster) {
        cluster.startOperator();
        var names = IntStream.range(0, 10).mapToObj(i -> "pipe-" + i).toList();
        names.forEach(name -> cluster.create(Pipes.named(Pipes.cdc(), name)));
        names.forEach(cluster::awaitReady);
    }

    // ---- bringing a pipe somewhere, and holding it there ----

    /** A pipe named orders that is in this phase and stays there. */
    private static void bring(Cluster cluster, Phase phase) {
        hold(cluster, phase, new CountDownLatch(1));
        cluster.create(Pipes.withMode(phase == Phase.Completed ? "snapshot" : "cdc"));
        cluster.awaitPhase(ORDERS, phase);
        if (phase == Phase.Running || phase == Phase.Completed) {
            cluster.awaitReady(ORDERS);
        }
        if (phase == Phase.Snapshot) {
            cluster.await("the load", () -> cluster.pods(Role.SNAPSHOT).stream()
                    .anyMatch(pod -> pod.getStatus().getPhase().equals("Running")));
            cluster.await(
                    "the stream beside it", ORDERS, pipe -> pipe.getStatus().replication() != null);
        }
    }

    private static void hold(Cluster cluster, Phase phase, CountDownLatch onward) {
        switch (phase) {
            case Provisioning ->
                cluster.kubelet.when(Role.SETUP, container -> {
                    onward.await();
                    FakeKubelet.succeed(container);
                });
            case Setup ->
                cluster.kubelet.when(Role.SETUP, container -> {
                    container.start();
                    onward.await();
                    container.exit(0, FakeKubelet.done(null));
                });
            case Snapshot ->
                cluster.kubelet.when(Role.SNAPSHOT, container -> {
                    container.start();
                    onward.await();
                    container.exit(0, FakeKubelet.done(FakeKubelet.loaded()));
                });
            case Failed ->
                cluster.kubelet.when(Role.SETUP, container -> {
                    container.start();
                    if (onward.getCount() == 0) {
                        container.exit(0, FakeKubelet.done(null));
                    } else {
                        container.exit(FATAL, refusal("WalLevel", "wal_level is replica"));
                    }
                });
            case Running, Completed -> {}
        }
    }

    private static List<String> conditions(ClickPipe pipe) {
        return pipe.getStatus().conditions().stream()
                .map(c -> c.getType() + "=" + c.getStatus())
                .toList();
    }

    private static List<Integer> attempts(Cluster cluster, Role role) {
        return cluster.jobs(role).stream()
                .map(job -> Integer.valueOf(job.getMetadata().getAnnotations().get(Worker.ATTEMPT)))
                .sorted()
                .toList();
    }

    private static List<Event> events(Cluster cluster, String reason) {
        return cluster.events(ORDERS).stream()
                .filter(event -> event.getReason().equals(reason))
                .toList();
    }
}
