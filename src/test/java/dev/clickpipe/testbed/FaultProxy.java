package dev.clickpipe.testbed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A network between a client and a server that fails to order. It listens on a port of its own, which stays the same. Thread-safe.
 *
 * <p>What it can't do is to withhold the acknowledgements of the TCP protocol itself: a peer that relies on keep-alive probes
 * takes a connection that is silent here for alive, as it would behind many a load balancer.
 */
public final class FaultProxy implements AutoCloseable {
    private static final int BUFFER = 16 << 10;

    private volatile InetSocketAddress server;
    private final int port;
    private final Set<Link> links = ConcurrentHashMap.newKeySet();
    private volatile Network network = Network.GOOD;
    private volatile ServerSocket listener;
    private volatile boolean closed;

    /** How it is with the network. */
    public enum Network {
        GOOD,
        /** Everything arrives 150 ms later. */
        SLOW,
        /** 64 KB/s in each direction of each connection. */
        NARROW,
        /** New connections are made and never answered, also not later; those that were there are reset. */
        HALF_OPEN,
        /** What is sent on connections that are there vanishes, and nothing comes: for ever, also when the network is good again. */
        BLACK_HOLE,
        /** Connections are reset, and new ones refused. */
        CUT
    }

    private FaultProxy(InetSocketAddress server, int port) {
        this.server = server;
        this.port = port;
    }

    public static FaultProxy to(String host, int port) {
        var proxy = new FaultProxy(new InetSocketAddress(host, port), FreePort.find());
        proxy.listen();
        return proxy;
    }

    public int port() {
        return port;
    }

    /** From now on it is like that, for connections that are there as well. */
    public void set(Network now) {
        network = now;
        switch (now) {
            case BLACK_HOLE -> links.forEach(link -> link.lost = true);
            case HALF_OPEN -> reset();
            case CUT -> {
                stopListening();
                reset();
            }
            default -> {}
        }
        if (now != Network.CUT) {
            listen();
        }
    }

    /** Another server is behind the same address. */
    public void redirect(String host, int to) {
        server = new InetSocketAddress(host, to);
        reset();
    }

    /** All connections are reset; new ones can be made. */
    public void reset() {
        links.forEach(Link::reset);
    }

    private synchronized void listen() {
        if (listener != null || closed) {
            return;
        }
        try {
            var socket = new ServerSocket();
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            listener = socket;
            Thread.ofVirtual().name("proxy").start(() -> accept(socket));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private synchronized void stopListening() {
        if (listener != null) {
            closeQuietly(listener);
            listener = null;
        }
    }

    private void accept(ServerSocket socket) {
        while (!socket.isClosed()) {
            try {
                var client = socket.accept();
                var link = new Link(client);
                links.add(link);
                link.lost = network == Network.HALF_OPEN || network == Network.BLACK_HOLE;
                Thread.ofVirtual().start(link::open);
            } catch (IOException e) {
                // closed, or a client that went at once
            }
        }
    }

    /** A connection through the proxy. */
    private final class Link {
        private final Socket client;
        private volatile Socket upstream;
        /** Nothing gets through any more. */
        private volatile boolean lost;

        Link(Socket client) {
            this.client = client;
        }

        void open() {
            if (lost) {
                return; // accepted, and that was all
            }
            try {
                var to = new Socket();
                to.setTcpNoDelay(true);
                to.connect(server, 5000);
                client.setTcpNoDelay(true);
                upstream = to;
                Thread.ofVirtual().start(() -> pump(client, to));
                pump(to, client);
            } catch (IOException e) {
                reset();
            }
        }

        private void pump(Socket from, Socket to) {
            var buffer = new byte[BUFFER];
            try {
                var in = from.getInputStream();
                var out = to.getOutputStream();
                for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                    switch (network) {
                        case SLOW -> pause(Duration.ofMillis(150));
                        case NARROW -> pause(Duration.ofMillis(Math.max(1, read * 1000L / 65536)));
                        default -> {}
                    }
                    if (!lost) {
                        out.write(buffer, 0, read);
                    }
                }
                if (!lost) {
                    to.shutdownOutput();
                }
            } catch (IOException e) {
                if (!lost) {
                    reset();
                }
            }
        }

        void reset() {
            links.remove(this);
            for (var socket : new Socket[] {client, upstream}) {
                if (socket != null) {
                    try {
                        socket.setOption(StandardSocketOptions.SO_LINGER, 0);
                    } catch (IOException e) {
                        // closed already
                    }
                    closeQuietly(socket);
                }
            }
        }
    }

    private static void pause(Duration duration) {
        long until = System.nanoTime() + duration.toNanos();
        for (long left = duration.toNanos(); left > 0; left = until - System.nanoTime()) {
            LockSupport.parkNanos(Math.min(left, TimeUnit.MILLISECONDS.toNanos(50)));
        }
    }

    private static void closeQuietly(AutoCloseable closeable) {
        try {
            closeable.close();
        } catch (Exception e) {
            // it was closed
        }
    }

    @Override
    public void close() {
        closed = true;
        stopListening();
        reset();
    }
}
