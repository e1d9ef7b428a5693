package io.anillo.storage.nbd;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Serves devices over NBD, on TCP or a Unix-domain socket. */
public final class NbdServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(NbdServer.class.getName());
  private static final int MAX_CONNECTIONS = 1024;
  private static final int HANDSHAKE_SECONDS = 30;
  private static final int CLOSE_SECONDS = 10;

  private final ServerSocketChannel listener;
  private final NbdExports exports;
  private final @Nullable NbdServerTls tls;
  private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
  private final Semaphore places = new Semaphore(MAX_CONNECTIONS);
  private final ExecutorService workers =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().name("nbd-worker-", 0).factory());
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("nbd-watch").factory());
  private final Thread acceptor;

  private NbdServer(ServerSocketChannel listener, NbdExports exports, @Nullable NbdServerTls tls) {
    this.listener = listener;
    this.exports = exports;
    this.tls = tls;
    this.acceptor = Thread.ofPlatform().name("nbd-accept").unstarted(this::accept);
  }

  /**
   * Listens and serves until closed.
   *
   * @param address a TCP address (port 0 takes a free one) or a {@link UnixDomainSocketAddress}
   */
  public static NbdServer start(
      SocketAddress address, NbdExports exports, Optional<NbdServerTls> tls) throws IOException {
    if (address instanceof InetSocketAddress named && named.isUnresolved()) {
      throw new IOException("cannot listen on " + named.getHostString() + ": no such host");
    }
    ServerSocketChannel listener;
    if (address instanceof UnixDomainSocketAddress unix) {
      removeLeftOver(unix);
      listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    } else {
      listener = ServerSocketChannel.open();
      listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
    }
    try {
      listener.bind(address, 128);
    } catch (IOException failure) {
      listener.close();
      throw new IOException("cannot listen on " + address + ": " + failure.getMessage(), failure);
    }
    NbdServer server = new NbdServer(listener, exports, tls.orElse(null));
    server.acceptor.start();
    return server;
  }

  /** Removes the socket of a server that was killed: one that nobody listens at. */
  private static void removeLeftOver(UnixDomainSocketAddress address) throws IOException {
    Path path = address.getPath();
    if (!Files.exists(path) || !Files.readAttributes(path, BasicFileAttributes.class).isOther()) {
      return;
    }
    try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      probe.connect(address);
    } catch (ConnectException nobody) {
      Files.deleteIfExists(path);
    } catch (IOException other) {
      // somebody may be there: to listen there fails, and says why
      LOG.log(System.Logger.Level.DEBUG, "{0} was not removed: {1}", address, other.getMessage());
    }
  }

  /** The port, for TCP. */
  public int port() throws IOException {
    return ((InetSocketAddress) listener.getLocalAddress()).getPort();
  }

  public int connectionCount() {
    return connections.size();
  }

  private void accept() {
    while (listener.isOpen()) {
      try {
        places.acquireUninterruptibly();
        SocketChannel channel = listener.accept();
        connections.add(channel);
        Thread.ofPlatform().daemon().name("nbd-connection").start(() -> serve(channel));
      } catch (ClosedChannelException closed) {
        places.release();
        return;
      } catch (IOException failure) {
        places.release();
        LOG.log(System.Logger.Level.WARNING, "a connection could not be accepted", failure);
      }
    }
  }

  private void serve(SocketChannel channel) {
    ScheduledFuture<?> deadline;
    try {
      deadline = watch.schedule(() -> closeQuietly(channel), HANDSHAKE_SECONDS, TimeUnit.SECONDS);
    } catch (RejectedExecutionException closing) {
      // the server is being closed, and this connection came too late
      closeQuietly(channel);
      connections.remove(channel);
      places.release();
      return;
    }
    try (channel) {
      if (channel.getLocalAddress() instanceof InetSocketAddress) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      }
      Optional<ServerHandshake.Agreement> agreement =
          new ServerHandshake(channel, exports, tls).negotiate();
      deadline.cancel(false);
      if (agreement.isPresent()) {
        NbdExport export = agreement.get().export();
        exports.entered(export);
        try {
          new ServerSession(agreement.get(), workers).serve();
        } finally {
          exports.left(export);
        }
      }
    } catch (IOException failure) {
      LOG.log(System.Logger.Level.DEBUG, "a connection ended: {0}", failure.getMessage());
    } finally {
      deadline.cancel(false);
      connections.remove(channel);
      places.release();
    }
  }

  private static void closeQuietly(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException alreadyGone) {
      LOG.log(System.Logger.Level.TRACE, "closing failed", alreadyGone);
    }
  }

  /**
   * Ends all connections; the devices stay open. Waits up to ten seconds for requests under way:
   * those of a volume that waits for space would take longer.
   */
  @Override
  public void close() throws IOException {
    SocketAddress address = listener.getLocalAddress();
    listener.close();
    if (address instanceof UnixDomainSocketAddress unix) {
      Files.deleteIfExists(unix.getPath());
    }
    connections.forEach(NbdServer::closeQuietly);
    watch.shutdownNow();
    try {
      acceptor.join();
      // one may have come in meanwhile
      connections.forEach(NbdServer::closeQuietly);
      workers.shutdown();
      if (!places.tryAcquire(MAX_CONNECTIONS, CLOSE_SECONDS, TimeUnit.SECONDS)) {
        LOG.log(System.Logger.Level.WARNING, "{0} connections do not end", connections.size());
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
