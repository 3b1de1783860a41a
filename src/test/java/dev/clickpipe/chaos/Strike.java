package dev.clickpipe.chaos;

import dev.clickpipe.testbed.FaultProxy.Network;
import dev.clickpipe.testbed.PostgresServer.StopMode;
import dev.clickpipe.testbed.WallClock;
import java.time.Duration;
import java.util.List;
import java.util.Random;

/** What may happen to a pipe, while it is loaded and while it follows. */
enum Strike {
    SOURCE_SLOW(world -> network(world, true, Network.SLOW)),
    SOURCE_NARROW(world -> network(world, true, Network.NARROW)),
    SOURCE_RESET(world -> world.toPostgres().reset()),
    SOURCE_HALF_OPEN(world -> network(world, true, Network.HALF_OPEN)),
    SOURCE_BLACK_HOLE(world -> network(world, true, Network.BLACK_HOLE)),
    SOURCE_CUT(world -> network(world, true, Network.CUT)),
    SOURCE_RESTARTS(world -> restart(world, StopMode.FAST)),
    SOURCE_CRASHES(world -> restart(world, StopMode.IMMEDIATE)),
    DESTINATION_SLOW(world -> network(world, false, Network.SLOW)),
    DESTINATION_NARROW(world -> network(world, false, Network.NARROW)),
    DESTINATION_RESET(world -> world.toClickHouse().reset()),
    DESTINATION_HALF_OPEN(world -> network(world, false, Network.HALF_OPEN)),
    DESTINATION_BLACK_HOLE(world -> network(world, false, Network.BLACK_HOLE)),
    DESTINATION_CUT(world -> network(world, false, Network.CUT)),
    DESTINATION_KILLED(world -> {
        world.clickHouseServer().kill();
        world.clickHouseServer().start();
    }),
    DESTINATION_FULL(world -> {
        world.clickHouseServer().fillDisk();
        pause(world.random(), 4000);
        world.clickHouseServer().freeDisk();
    }),
    /** A worker that gets the processor by fits and starts, as in a container at its limit. */
    STREAM_STUTTERS(world -> world.stream().stutter(world.random())),
    LOAD_STUTTERS(world -> world.load().stutter(world.random())),
    STREAM_KILLED(world -> world.stream().kill()),
    /** Also while a Setup or a load of tables that are built anew is under way; otherwise no effect. */
    LOAD_KILLED(world -> world.load().kill()),
    /** A worker that stops for a while, another one that takes over, and the first one wakes up. */
    STREAM_DOUBLED(world -> doubled(world, world.stream(), List.of("stream"))),
    LOAD_DOUBLED(world -> doubled(world, world.load(), List.of("initial load", "snapshot"))),
    /** The time of day is set back while workers run, and those that start meanwhile know no other. */
    CLOCK_BACK(world -> {
        goBy(world, world.clock());
        pause(world.random(), 6000);
        world.clock().set(Duration.ofHours(-1));
        pause(world.random(), 4000);
        world.stream().kill();
        pause(world.random(), 4000);
        world.clock().set(Duration.ZERO);
        goBy(world, null);
    });

    private final Act act;

    private interface Act {
        void on(Chaos world) throws Exception;
    }

    Strike(Act act) {
        this.act = act;
    }

    /** Returns when the cause is gone. */
    void strike(Chaos world) throws Exception {
        act.on(world);
    }

    private static void network(Chaos world, boolean source, Network network) throws InterruptedException {
        var proxy = source ? world.toPostgres() : world.toClickHouse();
        proxy.set(network);
        pause(world.random(), 4000);
        proxy.set(Network.GOOD);
    }

    /** @param purposes of its connections, which the server takes for dead, as it does when it has not heard of a client for long */
    private static void doubled(Chaos world, WorkerRun worker, List<String> purposes) throws InterruptedException {
        var old = worker.freeze();
        try {
            world.endConnections(purposes);
            pause(world.random(), 2000);
        } finally {
            old.thaw();
        }
        pause(world.random(), 2000);
        old.kill();
    }

    private static void goBy(Chaos world, WallClock clock) {
        for (var worker : List.of(world.stream(), world.load())) {
            worker.goBy(clock);
            worker.kill();
        }
    }

    private static void restart(Chaos world, StopMode mode) throws InterruptedException {
        world.postgresServer().stop(mode);
        pause(world.random(), 1000);
        world.postgresServer().start();
    }

    private static void pause(Random random, int upToMillis) throws InterruptedException {
        Thread.sleep(Duration.ofMillis(upToMillis / 4 + random.nextInt(upToMillis)));
    }
}
