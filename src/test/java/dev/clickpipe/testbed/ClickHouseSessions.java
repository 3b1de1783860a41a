package dev.clickpipe.testbed;

import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/** Engine sessions that outlive a request ({@code session_id}); one request at a time holds a session. */
final class ClickHouseSessions implements AutoCloseable {
    private final Supplier<ChdbConnection> connect;
    private final Map<String, Session> sessions = new HashMap<>();

    ClickHouseSessions(Supplier<ChdbConnection> connect) {
        this.connect = connect;
    }

    private static final class Session {
        private final ChdbConnection connection;
        private boolean held;
        private Instant expires = Instant.MAX;

        Session(ChdbConnection connection) {
            this.connection = connection;
        }
    }

    /** @param mustExist whether a session that nobody opened is an error ({@code session_check}) */
    synchronized ChdbConnection hold(String id, boolean mustExist) {
        closeExpired();
        Session session = sessions.get(id);
        if (session == null && mustExist) {
            throw ClickHouseError.of(372, "SESSION_NOT_FOUND", "Session %s not found".formatted(id));
        }
        if (session == null) {
            session = new Session(connect.get());
            sessions.put(id, session);
        }
        if (session.held) {
            throw ClickHouseError.of(
                    373, "SESSION_IS_LOCKED", "Session %s is locked by a concurrent client".formatted(id));
        }
        session.held = true;
        return session.connection;
    }

    synchronized void release(String id, Duration timeout) {
        Session session = sessions.get(id);
        session.held = false;
        session.expires = Instant.now().plus(timeout);
    }

    private void closeExpired() {
        Instant now = Instant.now();
        sessions.values().removeIf(session -> {
            boolean expired = !session.held && session.expires.isBefore(now);
            if (expired) {
                session.connection.close();
            }
            return expired;
        });
    }

    @Override
    public synchronized void close() {
        sessions.values().forEach(session -> session.connection.close());
        sessions.clear();
    }
}
