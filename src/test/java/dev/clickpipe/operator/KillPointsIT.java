package dev.clickpipe.operator;

import static dev.clickpipe.operator.LifecycleIT.ITEMS;
import static dev.clickpipe.operator.LifecycleIT.ORDERS;
import static dev.clickpipe.operator.LifecycleIT.PAUSED;
import static dev.clickpipe.operator.LifecycleIT.RUNNING;
import static dev.clickpipe.operator.LifecycleIT.live;
import static dev.clickpipe.operator.LifecycleIT.settled;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.clickpipe.api.ClickPipeStatus;
import dev.clickpipe.api.Phase;
import io.fabric8.kubernetes.client.http.AsyncBody;
import io.fabric8.kubernetes.client.http.BasicBuilder;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.fabric8.kubernetes.client.http.HttpResponse;
import io.fabric8.kubernetes.client.http.Interceptor;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A pipe's whole life, once with operators that are left alone, and then so often that for each of its writes to the API server
 * an operator was killed right before it, and another right after it. The next one starts then, and each life has to come to
 * the same. {@code CLICKPIPE_KILLS_PER_LIFE=1} has one life for each kill.
 */
@ExtendWith(Cluster.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class KillPointsIT {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int AT_ONCE = 4;
    private static final int KILLS_PER_LIFE =
            Integer.parseInt(System.getenv().getOrDefault("CLICKPIPE_KILLS_PER_LIFE", "12"));

    private final ExecutorService lives = Executors.newFixedThreadPool(AT_ONCE);

    enum When {
        BEFORE,
        AFTER
    }

    record Kill(When when, String write) {
        @Override
        public String toString() {
            return when.name().toLowerCase(Locale.ROOT) + " " + write;
        }
    }

    @TestFactory
    Stream<DynamicTest> whereverItIsKilled(Cluster cluster) {
        var undisturbed = new Life(Set.of(), cluster);
        undisturbed.run();
        undisturbed.end();
        var writes = undisturbed.writes();
        System.out.println(writes.size() + " write points:\n  " + String.join("\n  ", writes));
        assertThat(writes).hasSizeGreaterThan(40);

        var kills = writes.stream()
                .flatMap(write -> Stream.of(When.values()).map(when -> new Kill(when, write)))
                .toList();
        var count = Math.ceilDiv(kills.size(), KILLS_PER_LIFE);
        // All at work now, so that none waits for the ones before it to be asked for.
        var results = IntStream.range(0, count)
                .mapToObj(i -> start(everyNth(kills, count, i), cluster.api))
                .toList();
        var tests = IntStream.range(0, count)
                .mapToObj(i -> DynamicTest.dynamicTest("killed " + everyNth(kills, count, i), () -> results.get(i)
                        .get()));
        return Stream.concat(
                tests, Stream.of(DynamicTest.dynamicTest("nearly every write was made in each life", () -> {
                    var survived = 0;
                    for (var result : results) {
                        survived += result.get().size();
                    }
                    assertThat(survived).isLessThan(kills.size() / 5);
                })));
    }

    @AfterAll
    void end() {
        lives.shutdownNow();
    }

    /** So that the kills of one life are far from each other. */
    private static Set<Kill> everyNth(List<Kill> kills, int n, int first) {
        return IntStream.range(0, kills.size())
                .filter(i -> i % n == first)
                .mapToObj(kills::get)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** @return the kills that did not come about, because the write was not made this time */
    private Future<Set<Kill>> start(Set<Kill> kills, KubeApi api) {
        return lives.submit(() -> {
            var cluster = Cluster.on(api);
            var life = new Life(kills, cluster);
            try {
                life.run();
                return life.left();
            } finally {
                life.end();
                cluster.close();
            }
        });
    }

    /** One life of a pipe, and of the operators that look after it. */
    private static final class Life {
        private final Set<Kill> kills;
        private final Cluster cluster;
        private final FakeDatabases databases;
        private final Set<String> writes = new LinkedHashSet<>();
        private final List<Guard> guards = new CopyOnWriteArrayList<>();
        private volatile String step = "create";
        private volatile boolean over;

        Life(Set<Kill> kills, Cluster cluster) {
            this.kills = new LinkedHashSet<>(kills);
            this.cluster = cluster;
            databases = new FakeDatabases(cluster.kubelet);
        }

        synchronized Set<Kill> left() {
            return kills;
        }

        synchronized List<String> writes() {
            return new ArrayList<>(writes);
        }

        void run() {
            startOperator();
            step("create");
            cluster.create(Pipes.cdc());
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("orders"));

            step("pause");
            cluster.edit(ORDERS, RUNNING, PAUSED);
            settled(cluster, Phase.Paused);
            cluster.await("a look at the slot", ORDERS, pipe -> "4.0 KiB kept"
                    .equals(pipe.getStatus().replication().lag()));
            assertThat(cluster.pods(Role.CDC)).isEmpty();

            step("resume");
            cluster.edit(ORDERS, PAUSED, RUNNING);
            settled(cluster, Phase.Running);

            step("add");
            cluster.edit(ORDERS, pipe -> LifecycleIT.mapping(pipe, ITEMS));
            settled(cluster, Phase.Running);
            assertThat(databases.builds()).containsExactly(live("customers"), live("items"), live("orders"));

            step("resync");
            LifecycleIT.token(cluster, "1");
            settled(cluster, Phase.Running);
            assertThat(databases.builds())
                    .containsExactly(live("customers", "1"), live("items", "1"), live("orders", "1"));

            step("remove");
            cluster.edit(ORDERS, pipe -> LifecycleIT.without(pipe, "orders"));
            settled(cluster, Phase.Running);
            check();

            step("delete");
            cluster.pipe(ORDERS).delete();
            cluster.awaitGone(ORDERS);
            assertThat(databases.builds()).isEmpty();
            assertThat(databases.hasSlot()).isFalse();
            assertThat(cluster.events(ORDERS))
                    .noneMatch(event -> event.getReason().equals("TeardownIncomplete"));
        }

        /** What each life has come to, before it ends. */
        private void check() {
            assertThat(databases.builds()).containsExactly(live("customers", "1"), live("items", "1"));
            assertThat(databases.loads()).as("each table, once for each reason").isEqualTo(6);
            assertThat(databases.mostStreamsAtOnce()).isEqualTo(1);
            var status = cluster.get(ORDERS).getStatus();
            assertThat(status.observedResync()).isEqualTo("1");
            assertThat(status.tables())
                    .extracting(ClickPipeStatus.Table::target)
                    .containsExactlyInAnyOrder("customers", "items");
            assertThat(status.tables()).allMatch(table -> table.phase() == ClickPipeStatus.TablePhase.Running);
            assertThat(Conditions.load(status)).isEqualTo(Plan.Load.COMPLETE);
            assertThat(cluster.events(ORDERS).stream()
                            .filter(event -> event.getMessage().contains(" -> "))
                            .map(event -> event.getReason())
                            .distinct())
                    .as("what went on while no operator was there is not told")
                    .contains("Snapshot", "Running", "Paused", "Resync");
            assertThat(cluster.events(ORDERS).stream()
                            .filter(event -> event.getMessage().contains(" -> ")))
                    .allMatch(event -> event.getCount() == 1);
            cluster.await(
                    "one Deployment with one pod",
                    () -> cluster.deployments().size() == 1
                            && cluster.pods(Role.CDC).size() == 1);
        }

        private void step(String name) {
            step = name;
        }

        private void startOperator() {
            var guard = new Guard();
            guards.add(guard);
            var client = cluster.api.client(guard);
            try {
                var operator = cluster.startOperator(client);
                guard.death.thenRunAsync(() -> {
                    cluster.stop(operator);
                    client.close();
                });
            } catch (RuntimeException e) {
                client.close();
                if (!guard.death.isDone()) {
                    throw e;
                }
                // killed before it was quite there
            }
            if (over) {
                guard.death.complete(null);
            }
        }

        /** No operator is left, not even one whose predecessor was killed by its last write. */
        void end() {
            over = true;
            guards.forEach(guard -> guard.death.complete(null));
        }

        /** Sees every request of one operator, and refuses all of them from its death on: it can neither read nor write. */
        private final class Guard implements Interceptor {
            private final CompletableFuture<Void> death = new CompletableFuture<>();

            @Override
            public void before(BasicBuilder builder, HttpRequest request, RequestTags tags) {
                refuseTheDead();
                if (isWrite(request) && met(request, When.BEFORE)) {
                    die();
                }
            }

            @Override
            public void after(
                    HttpRequest request, HttpResponse<?> response, AsyncBody.Consumer<List<ByteBuffer>> consumer) {
                refuseTheDead();
                if (isWrite(request) && met(request, When.AFTER)) {
                    die();
                }
            }

            private void refuseTheDead() {
                if (death.isDone()) {
                    throw new IllegalStateException("this operator was killed");
                }
            }

            private void die() {
                if (!over) {
                    Thread.ofVirtual().start(Life.this::startOperator);
                }
                death.complete(null);
                refuseTheDead();
            }
        }

        private synchronized boolean met(HttpRequest request, When when) {
            var write = step + ": " + describe(request);
            if (when == When.BEFORE) {
                writes.add(write);
            }
            return kills.remove(new Kill(when, write));
        }
    }

    private static boolean isWrite(HttpRequest request) {
        return !request.method().equals("GET");
    }

    /** Such as {@code POST jobs snapshot} or {@code PATCH clickpipes status Running}, the same in every life. */
    private static String describe(HttpRequest request) {
        var path =
                request.uri().getPath().replaceFirst(".*/namespaces/[^/]+/", "").split("/");
        var body = body(request);
        var what = path[0].equals("clickpipes")
                ? path.length > 2 ? "status " + body.at("/status/phase").asText() : "finalizer"
                : path[0].equals("events")
                        ? (body.isMissingNode() ? "" : body.path("reason").asText())
                        : component(path, body);
        return request.method() + " " + path[0] + " " + what;
    }

    private static String component(String[] path, JsonNode body) {
        return path.length > 1
                ? path[1].replaceFirst(ORDERS + "-([a-z]+).*", "$1")
                : body.at("/metadata/labels").path(Worker.COMPONENT).asText();
    }

    private static JsonNode body(HttpRequest request) {
        try {
            var text = request.bodyString();
            return text == null || text.isEmpty() || !text.startsWith("{") ? JSON.missingNode() : JSON.readTree(text);
        } catch (JsonProcessingException e) {
            return JSON.missingNode();
        }
    }
}
