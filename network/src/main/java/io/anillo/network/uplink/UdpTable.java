package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * UDP through sockets of the host: one for each port a guest sends from, whatever it sends to (RFC
 * 4787, REQ-1); only those it has sent to may answer (REQ-8). Used by the uplink's thread only.
 */
final class UdpTable {
  private static final int MAXIMUM_FLOWS = 2048;
  private static final int MAXIMUM_PEERS = 64;
  private static final long IDLE = 120_000_000_000L;
  private static final int BURST = 64;

  private record Port(Endpoint guest, int port) {}

  /** Someone at the far end, as the host names them. */
  private record Peer(Endpoint address, int port) {}

  /** A guest's port and the host's socket for it. */
  final class Flow {
    final Endpoint guest;
    final int guestPort;
    final DatagramChannel channel;
    final boolean forwarded;
    long lastActivity;

    /** What the guest calls a peer, by the peer. */
    final Map<Peer, Peer> names = new LinkedHashMap<>();

    Flow(Endpoint guest, int guestPort, DatagramChannel channel, boolean forwarded) {
      this.guest = guest;
      this.guestPort = guestPort;
      this.channel = channel;
      this.forwarded = forwarded;
    }
  }

  private final Selector selector;
  private final GuestLink link;
  private final Function<Endpoint, Optional<Endpoint>> hostAddress;
  private final Map<Port, Flow> flows = new LinkedHashMap<>(16, 0.75f, true);
  private final Map<Peer, Flow> forwardNames = new LinkedHashMap<>();
  private final ByteBuffer buffer = ByteBuffer.allocate(65_536);
  private int nextName = 40_000;

  UdpTable(Selector selector, GuestLink link, Function<Endpoint, Optional<Endpoint>> hostAddress) {
    this.selector = selector;
    this.link = link;
    this.hostAddress = hostAddress;
  }

  int size() {
    return flows.size();
  }

  /** A datagram of a guest, its UDP header at {@code at}. */
  void datagram(byte[] data, int at, int length, Endpoint source, Endpoint destination, long now) {
    int sourcePort = Bytes.getShort(data, at);
    int destinationPort = Bytes.getShort(data, at + 2);
    Flow forward = forwardNames.get(new Peer(destination, destinationPort));
    if (forward != null && forward.guest.equals(source) && forward.guestPort == sourcePort) {
      answerForward(forward, destination, destinationPort, data, at, length, now);
      return;
    }
    Optional<Endpoint> target = hostAddress.apply(destination);
    if (target.isEmpty()) {
      return;
    }
    Flow flow = flow(source, sourcePort, target.get().isIpv4(), now);
    if (flow == null) {
      return;
    }
    flow.lastActivity = now;
    Peer peer = new Peer(target.get(), destinationPort);
    if (!flow.names.containsKey(peer)) {
      if (flow.names.size() >= MAXIMUM_PEERS) {
        Iterator<Peer> oldest = flow.names.keySet().iterator();
        oldest.next();
        oldest.remove();
      }
      flow.names.put(peer, new Peer(destination, destinationPort));
    }
    send(flow, data, at, length, peer);
  }

  private static void send(Flow flow, byte[] data, int at, int length, Peer peer) {
    try {
      flow.channel.send(
          ByteBuffer.wrap(data, at + 8, length - 8),
          new InetSocketAddress(peer.address().toAddress(), peer.port()));
    } catch (IOException e) {
      System.getLogger(UdpTable.class.getName())
          .log(System.Logger.Level.TRACE, "datagram not sent", e);
    }
  }

  private @Nullable Flow flow(Endpoint guest, int port, boolean ipv4, long now) {
    Port key = new Port(guest, port);
    Flow flow = flows.get(key);
    if (flow != null) {
      return flow;
    }
    if (flows.size() >= MAXIMUM_FLOWS) {
      Iterator<Flow> oldest = flows.values().iterator();
      close(oldest.next());
      oldest.remove();
    }
    try {
      DatagramChannel channel =
          DatagramChannel.open(ipv4 ? StandardProtocolFamily.INET : StandardProtocolFamily.INET6);
      channel.configureBlocking(false);
      Flow opened = new Flow(guest, port, channel, false);
      opened.lastActivity = now;
      channel.register(selector, SelectionKey.OP_READ, opened);
      flows.put(key, opened);
      return opened;
    } catch (IOException e) {
      return null;
    }
  }

  /** Makes a host port lead to a guest's. */
  void forward(InetSocketAddress host, Endpoint guest, int guestPort) throws IOException {
    DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET);
    channel.configureBlocking(false);
    channel.bind(host);
    channel.register(selector, SelectionKey.OP_READ, new Flow(guest, guestPort, channel, true));
  }

  private void answerForward(
      Flow flow, Endpoint name, int port, byte[] data, int at, int length, long now) {
    flow.lastActivity = now;
    for (Map.Entry<Peer, Peer> known : flow.names.entrySet()) {
      if (known.getValue().equals(new Peer(name, port))) {
        send(flow, data, at, length, known.getKey());
        return;
      }
    }
  }

  /** Passes on what a socket has received. */
  void ready(Flow flow, Endpoint gateway, long now) {
    for (int i = 0; i < BURST; i++) {
      buffer.clear();
      InetSocketAddress from;
      try {
        from = (InetSocketAddress) flow.channel.receive(buffer);
      } catch (IOException e) {
        // An ICMP error of the network: datagrams may get lost.
        continue;
      }
      if (from == null) {
        return;
      }
      buffer.flip();
      Peer peer = new Peer(Endpoint.of(from.getAddress()), from.getPort());
      Peer name = flow.names.get(peer);
      if (name == null && flow.forwarded) {
        name = nameForward(flow, peer, gateway);
      }
      if (name != null) {
        flow.lastActivity = now;
        deliver(flow, name);
      }
    }
  }

  private Peer nameForward(Flow flow, Peer peer, Endpoint gateway) {
    if (flow.names.size() >= 4 * MAXIMUM_PEERS) {
      Iterator<Peer> oldest = flow.names.values().iterator();
      forwardNames.remove(oldest.next());
      oldest.remove();
    }
    Peer name = new Peer(gateway, nextName);
    nextName = nextName >= 59_999 ? 40_000 : nextName + 1;
    flow.names.put(peer, name);
    forwardNames.put(name, flow);
    return name;
  }

  private void deliver(Flow flow, Peer from) {
    int count = buffer.remaining();
    if (count > 65_507) {
      return;
    }
    int at = link.begin(from.address(), flow.guest, 17);
    byte[] frame = link.buffer();
    Bytes.putShort(frame, at, from.port());
    Bytes.putShort(frame, at + 2, flow.guestPort);
    Bytes.putShort(frame, at + 4, 8 + count);
    buffer.get(frame, at + 8, count);
    link.send(17, 8 + count, 6);
  }

  /** Closes sockets that were silent for two minutes (RFC 4787, REQ-5). */
  void expire(long now) {
    flows
        .values()
        .removeIf(flow -> {
          boolean idle = now - flow.lastActivity > IDLE;
          if (idle) {
            close(flow);
          }
          return idle;
        });
  }

  private static void close(Flow flow) {
    try {
      flow.channel.close();
    } catch (IOException e) {
      System.getLogger(UdpTable.class.getName())
          .log(System.Logger.Level.TRACE, "closing a datagram socket", e);
    }
  }

  void close() {
    flows.values().forEach(UdpTable::close);
    flows.clear();
  }
}
