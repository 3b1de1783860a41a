package dev.clickpipe.postgres;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import javax.net.SocketFactory;
import jdk.net.ExtendedSocketOptions;

/**
 * Sockets on which a vanished server is noticed after a minute of silence, instead of the operating system's two hours:
 * long waits for data are normal here, so that a read timeout is no means. pgjdbc makes it by its name.
 *
 * <p>They read ahead: before each message of a stream pgjdbc asks how much there is to read, and where its own buffer does not end
 * with a message that is a system call.
 */
public final class KeepAliveSocketFactory extends SocketFactory {
    private static final int READ_AHEAD = 64 * 1024;

    @Override
    public Socket createSocket() throws IOException {
        var socket = new ReadingAhead();
        socket.setKeepAlive(true);
        var supported = socket.supportedOptions();
        if (supported.contains(ExtendedSocketOptions.TCP_KEEPIDLE)) {
            socket.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, 30);
            socket.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, 10);
            socket.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, 3);
        }
        return socket;
    }

    @Override
    public Socket createSocket(String host, int port) {
        throw new UnsupportedOperationException("pgjdbc connects by itself");
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress localHost, int localPort) {
        throw new UnsupportedOperationException("pgjdbc connects by itself");
    }

    @Override
    public Socket createSocket(InetAddress host, int port) {
        throw new UnsupportedOperationException("pgjdbc connects by itself");
    }

    @Override
    public Socket createSocket(InetAddress address, int port, InetAddress localAddress, int localPort) {
        throw new UnsupportedOperationException("pgjdbc connects by itself");
    }

    private static final class ReadingAhead extends Socket {
        private InputStream input;

        @Override
        public synchronized InputStream getInputStream() throws IOException {
            if (input == null) {
                input = new ReadAhead(super.getInputStream(), READ_AHEAD);
            }
            return input;
        }
    }
}
