package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * A network without privileges: a gateway that gives the guest its addresses and ends its
 * connections in sockets of the host. One thread does everything; {@link #send} only copies the
 * frame for it.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
public final class UserNetwork implements NetworkBackend {
  private static final int RING_BYTES = 1 << 22;
  private static final int BATCH = 256;
  private static final long SECOND = 1_000_000_000L;
  private static final int DHCP_SERVER = 67;
  private static final System.Logger LOG = System.getLogger(UserNetwork.class.getName());

  /** A forwarded TCP port. */
  private record Listener(ServerSocketChannel channel, int guestAddress, int guestPort) {}

  private final UserNetworkConfig config;
  private final FrameRing ring = new FrameRing(RING_BYTES);
  private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  private final Selector selector;
  private final List<Listener> listeners = new ArrayList<>();
  private final List<ServerSocketChannel> servers = new ArrayList<>();
  private final HostResolver resolver = new HostResolver();
  private final Reassembly reassembly = new Reassembly();
  private final Packet packet = new Packet();
  private final DhcpServer dhcp;
  private volatile boolean sleeping;
  private volatile boolean closed;
  private volatile int connections;
  private volatile long bufferBytes;
  private @Nullable Thread thread;
  private @Nullable Wiring wiring;
  private long now;

  /** What exists once a guest is there. */
  private record Wiring(
      GuestLink link, NeighbourService neighbours, EchoService echo, TcpTable tcp, UdpTable udp) {}

  /**
   * Opens the forwarded ports.
   *
   * @throws UncheckedIOException when a forwarded port cannot be opened, with a sentence that names
   *     it
   */
  public UserNetwork(UserNetworkConfig config) {
    this.config = config;
    this.dhcp =
        new DhcpServer(
            new DhcpServer.Scope(
                config.gateway(),
                0xffffff00,
                config.restricted() ? 0 : config.gateway(),
                config.nameServer(),
                config.firstGuest(),
                200,
                GuestLink.MTU,
                ""));
    try {
      selector = Selector.open();
      for (UserNetworkConfig.Forward forward : config.forwards()) {
        if (forward.tcp()) {
          listen(forward);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private void listen(UserNetworkConfig.Forward forward) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open();
    try {
      server.configureBlocking(false);
      server.bind(forward.host(), 1024);
    } catch (IOException e) {
      server.close();
      throw new IOException(
          "cannot forward port " + forward.host().getPort() + " of the host: " + e.getMessage(), e);
    }
    servers.add(server);
    Listener listener = new Listener(server, forward.guestAddress(), forward.guestPort());
    listeners.add(listener);
    server.register(selector, SelectionKey.OP_ACCEPT, listener);
  }

  /** The host ports of the forwards of TCP, in their order; useful when they were given as 0. */
  public List<Integer> forwardedPorts() {
    return servers.stream().map(server -> server.socket().getLocalPort()).toList();
  }

  @Override
  public void start(Receiver receiver) {
    GuestLink link = new GuestLink(receiver);
    NeighbourService neighbours = new NeighbourService(config, link);
    TcpTable tcp =
        new TcpTable(config, selector, link, this::hostAddress, new SecureRandom().nextLong());
    UdpTable udp = new UdpTable(selector, link, this::hostAddress);
    EchoService echo = new EchoService(link, this::hostAddress, this::run);
    Wiring started = new Wiring(link, neighbours, echo, tcp, udp);
    wiring = started;
    try {
      for (UserNetworkConfig.Forward forward : config.forwards()) {
        if (!forward.tcp()) {
          udp.forward(forward.host(), guestAddress(forward.guestAddress()), forward.guestPort());
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot forward a UDP port: " + e.getMessage(), e);
    }
    Thread loop = new Thread(() -> loop(started), "user network");
    loop.setDaemon(true);
    thread = loop;
    loop.start();
  }

  @Override
  public Offloads offloads() {
    return new Offloads(true, true, true);
  }

  @Override
  public void send(NetworkFrame frame) {
    ring.put(frame);
    if (sleeping) {
      sleeping = false;
      selector.wakeup();
    }
  }

  /** Runs a task on the uplink's thread. */
  private void run(Runnable task) {
    tasks.add(task);
    selector.wakeup();
  }

  /** Open TCP connections. */
  public int connections() {
    return connections;
  }

  /** Bytes that all connections hold in buffers. */
  public long bufferBytes() {
    return bufferBytes;
  }

  private Endpoint guestAddress(int configured) {
    return Endpoint.ipv4(configured != 0 ? configured : config.firstGuest());
  }

  // --- The loop ---

  private void loop(Wiring wired) {
    long nextSecond = System.nanoTime();
    long wait = 0;
    try {
      while (!closed) {
        if (wait > 0 && ring.isEmpty() && !wired.tcp().hasTouched()) {
          sleeping = true;
          if (ring.isEmpty() && tasks.isEmpty()) {
            selector.select(Math.max(1, wait / 1_000_000));
          }
          sleeping = false;
        } else {
          selector.selectNow();
        }
        now = System.nanoTime();
        selector.selectedKeys().forEach(key -> ready(wired, key));
        selector.selectedKeys().clear();
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
          task.run();
        }
        for (int i = 0; i < BATCH && !ring.isEmpty(); i++) {
          if (ring.peek(packet)) {
            packet.key.clear();
            packet.parse();
            frame(wired, packet);
          }
          ring.release();
        }
        wired.tcp().settle(now);
        wait = wired.tcp().expire(now, SECOND);
        if (now - nextSecond >= 0) {
          nextSecond = now + SECOND;
          wired.udp().expire(now);
          connections = wired.tcp().size();
          bufferBytes = wired.tcp().budget.used();
        }
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.ERROR, "the user network has stopped", e);
    } finally {
      wired.tcp().close();
      wired.udp().close();
      closeSelector();
    }
  }

  private void closeSelector() {
    try {
      for (ServerSocketChannel server : servers) {
        server.close();
      }
      for (SelectionKey key : selector.keys()) {
        key.channel().close();
      }
      selector.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "closing the user network", e);
    }
  }

  private void ready(Wiring wired, SelectionKey key) {
    if (!key.isValid()) {
      return;
    }
    switch (key.attachment()) {
      case TcpConnection connection -> wired.tcp().ready(connection, key.readyOps(), now);
      case UdpTable.Flow flow -> wired.udp().ready(flow, Endpoint.ipv4(config.gateway()), now);
      case Listener listener -> {
        Endpoint guest = guestAddress(listener.guestAddress());
        if (!wired.link().knows(guest)) {
          wired.link().sendArp(1, config.gateway(), 0, guest.ipv4());
        }
        wired
            .tcp()
            .accept(
                listener.channel(),
                guest,
                listener.guestPort(),
                Endpoint.ipv4(config.gateway()),
                now);
      }
      default -> throw new IllegalStateException("key of " + key.attachment());
    }
  }

  /** Where the host finds what a guest calls {@code address}; empty where the guest may not go. */
  private Optional<Endpoint> hostAddress(Endpoint address) {
    if (address.isIpv4()) {
      int ip = address.ipv4();
      if (ip == config.nameServer()) {
        return resolver.find(now);
      }
      if (ip == config.gateway()) {
        return config.hostReachable() ? Optional.of(Endpoint.ipv4(0x7f000001)) : Optional.empty();
      }
      boolean special = ip >>> 24 == 127 || ip >>> 28 >= 14 || ip >>> 24 == 0;
      boolean own = (ip & 0xffffff00) == config.network();
      return special || own || config.restricted() ? Optional.empty() : Optional.of(address);
    }
    if (address.high() == config.prefixHigh()) {
      if (address.low() == 3) {
        return resolver.find(now);
      }
      boolean host = address.low() == 2 && config.hostReachable();
      return host ? Optional.of(new Endpoint(0, 1)) : Optional.empty();
    }
    long top = address.high() >>> 48;
    boolean special = top >= 0xff00 || (top & 0xffc0) == 0xfe80 || address.high() == 0;
    return special || config.restricted() ? Optional.empty() : Optional.of(address);
  }

  // --- Frames of the guest ---

  private void frame(Wiring wired, Packet guestPacket) {
    int at = guestPacket.networkOffset();
    if (at < 0 || guestPacket.key.tags() != 0) {
      return;
    }
    long[] words = guestPacket.key.words;
    switch (guestPacket.key.etherType()) {
      case 0x0806 -> wired.neighbours().arp(guestPacket);
      case 0x0800 -> {
        Endpoint source = Endpoint.ipv4(guestPacket.key.ipv4Source());
        Endpoint destination = Endpoint.ipv4(guestPacket.key.ipv4Destination());
        if ((source.ipv4() & 0xffffff00) == config.network() && !wired.neighbours().owns(source)) {
          wired.link().learn(source, guestPacket.key.source());
        }
        if ((words[5] & 0xff) != 0) {
          fragment(wired, guestPacket, source, destination);
        } else if (guestPacket.transportOffset() >= 0) {
          transport(wired, guestPacket, source, destination);
        }
      }
      case 0x86dd -> {
        Endpoint source = new Endpoint(words[7], words[8]);
        Endpoint destination = new Endpoint(words[9], words[10]);
        if (source.high() != 0 && !wired.neighbours().owns(source)) {
          wired.link().learn(source, guestPacket.key.source());
        }
        if ((words[5] & 0xff) == 0 && guestPacket.transportOffset() >= 0) {
          transport(wired, guestPacket, source, destination);
        }
      }
      default -> {}
    }
  }

  private static int networkEnd(Packet guestPacket) {
    byte[] data = guestPacket.data();
    int at = guestPacket.networkOffset();
    return guestPacket.key.etherType() == 0x0800
        ? at + Bytes.getShort(data, at + 2)
        : at + 40 + Bytes.getShort(data, at + 4);
  }

  private void transport(Wiring wired, Packet guestPacket, Endpoint source, Endpoint destination) {
    byte[] data = guestPacket.data();
    int at = guestPacket.transportOffset();
    int length = networkEnd(guestPacket) - at;
    int protocol = guestPacket.key.protocol();
    if (!guestPacket.needsChecksum() && !checksumRight(guestPacket, protocol, at, length)) {
      return;
    }
    switch (protocol) {
      case 6 -> wired.tcp().segment(guestPacket, source, destination, now);
      case 17 -> {
        int claimed = Bytes.getShort(data, at + 4);
        if (claimed >= 8 && claimed <= length) {
          datagram(wired, data, at, claimed, source, destination, guestPacket.key.source());
        }
      }
      case 1 -> {
        if (data[at] == 8) {
          boolean own = wired.neighbours().owns(destination);
          wired.echo().request(data, at, length, source, destination, own);
        }
      }
      case 58 -> {
        if (!wired.neighbours().icmpv6(guestPacket, source) && data[at] == (byte) 128) {
          boolean own = wired.neighbours().owns(destination);
          wired.echo().request(data, at, length, source, destination, own);
        }
      }
      default -> {}
    }
  }

  private static boolean checksumRight(Packet guestPacket, int protocol, int at, int length) {
    byte[] data = guestPacket.data();
    if (protocol == 17 && Bytes.getShort(data, at + 6) == 0) {
      return guestPacket.key.etherType() == 0x0800;
    }
    if (protocol == 17) {
      length = Math.min(length, Math.max(8, Bytes.getShort(data, at + 4)));
    }
    long sum = 0;
    if (guestPacket.key.etherType() == 0x86dd) {
      sum = InternetChecksum.pseudo6(data, guestPacket.networkOffset(), protocol, length);
    } else if (protocol != 1) {
      sum = InternetChecksum.pseudo4(data, guestPacket.networkOffset(), protocol, length);
    }
    return InternetChecksum.fold(InternetChecksum.add(sum, data, at, length)) == 0xffff;
  }

  private void fragment(Wiring wired, Packet guestPacket, Endpoint source, Endpoint destination) {
    if (guestPacket.key.protocol() != 17) {
      return;
    }
    byte[] data = guestPacket.data();
    long ethernet = guestPacket.key.source();
    reassembly
        .fragment(data, guestPacket.networkOffset(), now)
        .ifPresent(whole -> {
          if (whole.length >= 8 && Bytes.getShort(whole, 4) == whole.length) {
            datagram(wired, whole, 0, whole.length, source, destination, ethernet);
          }
        });
  }

  private void datagram(
      Wiring wired,
      byte[] data,
      int at,
      int length,
      Endpoint source,
      Endpoint destination,
      long ethernet) {
    if (destination.isIpv4() && Bytes.getShort(data, at + 2) == DHCP_SERVER) {
      boolean here =
          destination.ipv4() == -1
              || destination.ipv4() == config.gateway()
              || destination.ipv4() == (config.network() | 255);
      if (here) {
        answerDhcp(wired, data, at, length, ethernet);
      }
      return;
    }
    wired.udp().datagram(data, at, length, source, destination, now);
  }

  private void answerDhcp(Wiring wired, byte[] data, int at, int length, long ethernet) {
    Optional<byte[]> answer = dhcp.answer(data, at + 8, length - 8);
    if (answer.isEmpty()) {
      return;
    }
    byte[] message = answer.get();
    int address = Bytes.getInt(message, 16);
    boolean broadcast = (message[10] & 0x80) != 0 || address == 0;
    GuestLink link = wired.link();
    int out =
        link.begin(
            Endpoint.ipv4(config.gateway()),
            Endpoint.ipv4(broadcast ? -1 : address),
            17,
            broadcast ? 0xffffffffffffL : ethernet);
    byte[] frame = link.buffer();
    Bytes.putShort(frame, out, 67);
    Bytes.putShort(frame, out + 2, 68);
    Bytes.putShort(frame, out + 4, 8 + message.length);
    System.arraycopy(message, 0, frame, out + 8, message.length);
    link.send(17, 8 + message.length, 6);
  }

  @Override
  public void close() {
    closed = true;
    selector.wakeup();
    Thread loop = thread;
    if (loop == null) {
      closeSelector();
      return;
    }
    try {
      loop.join(2000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
