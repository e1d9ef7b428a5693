package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.Packet;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.function.Function;

/** All TCP connections of an uplink, their timers and limits. Used by the uplink's thread only. */
final class TcpTable {
  private static final int MAXIMUM_OPENING = 2048;
  private static final int FIRST_PORT = 32_768;
  private static final long RETRY_BLOCKED = 1_000_000L;

  private record Timer(long at, TcpConnection connection) {}

  final MemoryBudget budget;
  private final int maximum;
  private final Selector selector;
  private final GuestLink link;
  private final Function<Endpoint, Optional<Endpoint>> hostAddress;
  private final Map<TcpKey, TcpConnection> connections = new HashMap<>();
  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>((a, b) -> Long.compare(a.at(), b.at()));
  private final ArrayDeque<TcpConnection> touched = new ArrayDeque<>();
  private final ArrayDeque<TcpConnection> waiting = new ArrayDeque<>();
  private final long secret;
  private final OpeningConnections opening = new OpeningConnections(MAXIMUM_OPENING);
  private int nextPort = FIRST_PORT;
  private boolean anyBlocked;
  private long refused;

  TcpTable(
      UserNetworkConfig config,
      Selector selector,
      GuestLink link,
      Function<Endpoint, Optional<Endpoint>> hostAddress,
      long secret) {
    this.budget = new MemoryBudget(config.maximumBufferBytes());
    this.maximum = config.maximumConnections();
    this.selector = selector;
    this.link = link;
    this.hostAddress = hostAddress;
    this.secret = secret;
  }

  int size() {
    return connections.size();
  }

  long refused() {
    return refused;
  }

  /** Initial sequence numbers that outsiders cannot guess and that move on with time (RFC 6528). */
  private int initialSequence(TcpKey key, long now) {
    long mixed = key.hashCode() * 0x9E3779B97F4A7C15L ^ secret;
    mixed = (mixed ^ mixed >>> 31) * 0xBF58476D1CE4E5B9L + secret;
    return (int) (mixed >>> 32) + (int) (now / 4000);
  }

  void segment(Packet packet, Endpoint source, Endpoint destination, long now) {
    byte[] data = packet.data();
    int at = packet.transportOffset();
    int headerBytes = (data[at + 12] >>> 4 & 15) * 4;
    int length = transportBytes(packet);
    TcpKey key =
        new TcpKey(source, Bytes.getShort(data, at), destination, Bytes.getShort(data, at + 2));
    int flags = Bytes.getByte(data, at + 13);
    TcpConnection connection = connections.get(key);
    boolean opens = (flags & 0x17) == 0x02;
    if (connection != null && opens && connection.phase == TcpConnection.Phase.LINGERING) {
      connection.forget();
      connection = null;
    }
    if (connection != null) {
      connection.segment(data, at, headerBytes, length, now);
    } else if (opens) {
      open(key, data, at, headerBytes, now);
    } else if ((flags & 0x04) == 0) {
      resetStray(key, data, at, length - headerBytes, flags);
    }
  }

  private static int transportBytes(Packet packet) {
    byte[] data = packet.data();
    int network = packet.networkOffset();
    int end =
        packet.key.etherType() == 0x0800
            ? network + Bytes.getShort(data, network + 2)
            : network + 40 + Bytes.getShort(data, network + 4);
    return end - packet.transportOffset();
  }

  /** A segment of no connection is answered by a reset (RFC 9293 §3.10.7.1). */
  private void resetStray(TcpKey key, byte[] data, int at, int dataBytes, int flags) {
    int sequence = Bytes.getInt(data, at + 4);
    int acknowledgement = Bytes.getInt(data, at + 8);
    int finish = (flags & 1) + (flags >>> 1 & 1);
    int out = link.begin(key.remote(), key.guest(), 6);
    byte[] frame = link.buffer();
    Bytes.putShort(frame, out, key.remotePort());
    Bytes.putShort(frame, out + 2, key.guestPort());
    boolean acknowledged = (flags & 0x10) != 0;
    Bytes.putInt(frame, out + 4, acknowledged ? acknowledgement : 0);
    Bytes.putInt(frame, out + 8, acknowledged ? 0 : sequence + dataBytes + finish);
    Bytes.putShort(frame, out + 12, 5 << 12 | (acknowledged ? 0x04 : 0x14));
    Bytes.putInt(frame, out + 14, 0);
    Bytes.putShort(frame, out + 18, 0);
    link.sendTcp(20, 0, 536);
  }

  private void open(TcpKey key, byte[] data, int at, int headerBytes, long now) {
    Optional<Endpoint> target = hostAddress.apply(key.remote());
    if (target.isEmpty()) {
      resetStray(key, data, at, 0, 0x02);
      return;
    }
    if (connections.size() >= maximum && !evictIdle(now)) {
      refused++;
      return;
    }
    makeRoomForOpening();
    SocketChannel channel;
    boolean connected;
    try {
      channel = SocketChannel.open();
    } catch (IOException e) {
      refused++;
      return;
    }
    try {
      channel.configureBlocking(false);
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      connected =
          channel.connect(new InetSocketAddress(target.get().toAddress(), key.remotePort()));
    } catch (IOException e) {
      closeQuietly(channel);
      resetStray(key, data, at, 0, 0x02);
      return;
    }
    TcpConnection connection =
        new TcpConnection(
            key, this, link, channel, TcpConnection.Phase.CONNECTING, initialSequence(key, now));
    connection.openedByGuest(data, at, headerBytes, now);
    add(connection, channel, SelectionKey.OP_CONNECT);
    if (connected) {
      connection.hostConnected(now);
    }
  }

  private static void closeQuietly(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      System.getLogger(TcpTable.class.getName())
          .log(System.Logger.Level.TRACE, "closing a socket", e);
    }
  }

  private void add(TcpConnection connection, SocketChannel channel, int interest) {
    connections.put(connection.key, connection);
    opening.add(connection);
    try {
      connection.register(channel.register(selector, interest, connection));
    } catch (IOException e) {
      connection.abortBoth();
      return;
    }
    schedule(connection);
  }

  /** Without a word to the guest: if it means it, it sends its SYN again. */
  private void makeRoomForOpening() {
    opening
        .excess()
        .ifPresent(connection -> {
          refused++;
          connection.abort();
        });
  }

  /**
   * Makes room by giving up the connection that was silent for longest, if that was five minutes at
   * least.
   */
  private boolean evictIdle(long now) {
    TcpConnection oldest = null;
    for (TcpConnection connection : connections.values()) {
      if (oldest == null || connection.lastActivity - oldest.lastActivity < 0) {
        oldest = connection;
      }
    }
    if (oldest == null || now - oldest.lastActivity < 300_000_000_000L) {
      return false;
    }
    oldest.abortBoth();
    return true;
  }

  /** Takes a socket that came in at a forwarded port. */
  void accept(ServerSocketChannel server, Endpoint guest, int guestPort, Endpoint shown, long now) {
    try {
      SocketChannel channel = server.accept();
      if (channel == null) {
        return;
      }
      if (connections.size() >= maximum) {
        refused++;
        channel.setOption(StandardSocketOptions.SO_LINGER, 0);
        channel.close();
        return;
      }
      makeRoomForOpening();
      channel.configureBlocking(false);
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      TcpKey key = new TcpKey(guest, guestPort, shown, nextPort);
      for (int i = 0; i < 28_000 && connections.containsKey(key); i++) {
        nextPort = nextPort >= 60_999 ? FIRST_PORT : nextPort + 1;
        key = new TcpKey(guest, guestPort, shown, nextPort);
      }
      nextPort = nextPort >= 60_999 ? FIRST_PORT : nextPort + 1;
      TcpConnection connection =
          new TcpConnection(
              key, this, link, channel, TcpConnection.Phase.SYN_SENT, initialSequence(key, now));
      add(connection, channel, 0);
      connection.openToGuest(now);
    } catch (IOException e) {
      refused++;
    }
  }

  void ready(TcpConnection connection, int operations, long now) {
    if ((operations & SelectionKey.OP_CONNECT) != 0) {
      connection.hostConnected(now);
      return;
    }
    if ((operations & SelectionKey.OP_READ) != 0) {
      connection.hostReadable();
    }
    if ((operations & SelectionKey.OP_WRITE) != 0) {
      connection.hostWritable();
    }
  }

  // --- What connections ask for ---

  /** Settles the connection before the loop waits again. */
  void touch(TcpConnection connection) {
    if (connection.phase == TcpConnection.Phase.OPEN) {
      opening.remove(connection);
    }
    if (!connection.dirty) {
      connection.dirty = true;
      touched.add(connection);
    }
  }

  void schedule(TcpConnection connection) {
    long deadline = connection.deadline();
    if (deadline < connection.queuedDeadline) {
      connection.queuedDeadline = deadline;
      timers.add(new Timer(deadline, connection));
    }
  }

  /** The guest's card has no room: everything waits a moment. */
  void blocked(TcpConnection connection) {
    anyBlocked = true;
    if (!connection.blockedOnLink) {
      connection.blockedOnLink = true;
      waiting.add(connection);
    }
  }

  void remove(TcpConnection connection) {
    connections.remove(connection.key, connection);
    opening.remove(connection);
  }

  /** Settles what was touched, at most once each. */
  void settle(long now) {
    for (int i = touched.size(); i > 0; i--) {
      TcpConnection connection = touched.poll();
      if (connection != null) {
        connection.dirty = false;
        connection.settle(now);
      }
    }
  }

  boolean hasTouched() {
    return !touched.isEmpty();
  }

  /** Runs timers; returns the nanoseconds until the next one, at most {@code longest}. */
  long expire(long now, long longest) {
    if (anyBlocked) {
      anyBlocked = false;
      for (TcpConnection connection = waiting.poll();
          connection != null;
          connection = waiting.poll()) {
        connection.blockedOnLink = false;
        touch(connection);
      }
      settle(now);
      if (anyBlocked) {
        longest = RETRY_BLOCKED;
      }
    }
    Timer timer = timers.peek();
    while (timer != null && now - timer.at() >= 0) {
      timers.poll();
      TcpConnection connection = timer.connection();
      if (connection.queuedDeadline == timer.at()) {
        connection.queuedDeadline = Long.MAX_VALUE;
        if (connection.deadline() <= now) {
          connection.expire(now);
        }
        schedule(connection);
      }
      timer = timers.peek();
    }
    return timer == null ? longest : Math.min(longest, timer.at() - now);
  }

  void close() {
    List.copyOf(connections.values()).forEach(TcpConnection::abortBoth);
  }
}
