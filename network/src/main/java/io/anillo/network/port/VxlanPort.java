package io.anillo.network.port;

import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.TunnelWire;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.DatagramChannel;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A VXLAN tunnel (RFC 7348) over a UDP socket of the host. The network identifier is the flow key's
 * tunnel_id and the endpoints are its tun_src and tun_dst, so that one port serves all networks and
 * hosts; a port with a fixed remote sends there whatever tun_dst says.
 */
public final class VxlanPort implements TunnelWire {
  /** The port that IANA has assigned. */
  public static final int UDP_PORT = 4789;

  private static final int HEADER = 8;
  private static final int VALID_IDENTIFIER = 0x08000000;
  private static final int BUFFER_BYTES = 1 << 22;

  /** For the reader to leave its call on a closed socket. */
  private static final int LAST_CALL_MILLIS = 2000;

  private final VirtualSwitch owner;
  private final DatagramChannel channel;
  private final Optional<InetSocketAddress> remote;
  private final int remotePort;
  private final ByteBuffer outgoing = ByteBuffer.allocateDirect(HEADER + Packet.MAXIMUM_BYTES);
  private final @Nullable InetSocketAddress[] destinations = new InetSocketAddress[64];
  private final int localAddress;
  private @Nullable Thread reader;

  private VxlanPort(
      VirtualSwitch owner,
      DatagramChannel channel,
      Optional<InetSocketAddress> remote,
      int remotePort,
      int localAddress) {
    this.owner = owner;
    this.channel = channel;
    this.remote = remote;
    this.remotePort = remotePort;
    this.localAddress = localAddress;
  }

  /**
   * Adds a tunnel port to a switch.
   *
   * @param local the UDP address to receive at
   * @param remote the far end for flows that name none
   * @throws IOException with one clear sentence when the UDP port cannot be had
   */
  public static SwitchPort attach(
      VirtualSwitch owner, String name, InetSocketAddress local, Optional<InetSocketAddress> remote)
      throws IOException {
    DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET);
    try {
      channel.setOption(StandardSocketOptions.SO_RCVBUF, BUFFER_BYTES);
      channel.setOption(StandardSocketOptions.SO_SNDBUF, BUFFER_BYTES);
      channel.bind(local);
    } catch (IOException e) {
      channel.close();
      throw new IOException("cannot receive VXLAN at " + local + ": " + e.getMessage(), e);
    }
    // All hosts of a fabric receive at the same UDP port.
    int remotePort = remote.orElse(local).getPort();
    int address = Bytes.getInt(local.getAddress().getAddress(), 0);
    VxlanPort wire = new VxlanPort(owner, channel, remote, remotePort, address);
    SwitchPort port = owner.addPort(name, wire);
    Thread reader = new Thread(() -> wire.receive(port), "vxlan " + name);
    reader.setDaemon(true);
    wire.reader = reader;
    reader.start();
    return port;
  }

  private void receive(SwitchPort port) {
    ByteBuffer buffer = ByteBuffer.allocate(HEADER + Packet.MAXIMUM_BYTES);
    byte[] data = buffer.array();
    while (channel.isOpen()) {
      try {
        buffer.clear();
        InetSocketAddress from = (InetSocketAddress) channel.receive(buffer);
        int length = buffer.position() - HEADER;
        if (from == null || length < 14 || (Bytes.getInt(data, 0) & VALID_IDENTIFIER) == 0) {
          continue;
        }
        int source = Bytes.getInt(from.getAddress().getAddress(), 0);
        NetworkFrame frame =
            new NetworkFrame(data, HEADER, length, -1, 0, NetworkFrame.Segmentation.NONE, 0);
        owner.receive(port, frame, Bytes.getInt(data, 4) >>> 8, source, localAddress);
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        // An ICMP error of an earlier datagram; the tunnel goes on.
        System.getLogger(VxlanPort.class.getName())
            .log(System.Logger.Level.TRACE, "vxlan receive", e);
      }
    }
  }

  @Override
  public boolean transmit(NetworkFrame frame) {
    return send(frame, 0, 0);
  }

  @Override
  public boolean transmit(NetworkFrame frame, FlowKey key) {
    int destination = (int) key.words[FlowKey.TUNNEL_ENDPOINTS];
    return send(frame, key.words[FlowKey.TUNNEL], destination);
  }

  private boolean send(NetworkFrame frame, long identifier, int destination) {
    InetSocketAddress target = remote.orElseGet(() -> resolve(destination));
    if (target.getAddress().isAnyLocalAddress()) {
      return false;
    }
    outgoing.clear();
    outgoing.putInt(VALID_IDENTIFIER).putInt((int) identifier << 8);
    outgoing.put(frame.data(), frame.offset(), frame.length()).flip();
    try {
      return channel.send(outgoing, target) > 0;
    } catch (IOException e) {
      return false;
    }
  }

  private InetSocketAddress resolve(int destination) {
    int slot = (destination ^ destination >>> 16) & destinations.length - 1;
    InetSocketAddress known = destinations[slot];
    if (known == null || Bytes.getInt(known.getAddress().getAddress(), 0) != destination) {
      byte[] bytes = ByteBuffer.allocate(4).putInt(destination).array();
      try {
        known = new InetSocketAddress(InetAddress.getByAddress(bytes), remotePort);
      } catch (java.net.UnknownHostException e) {
        throw new IllegalStateException("four bytes are an address", e);
      }
      destinations[slot] = known;
    }
    return known;
  }

  /** Closes the tunnel; its UDP port is free afterwards. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      System.getLogger(VxlanPort.class.getName())
          .log(System.Logger.Level.DEBUG, "closing a tunnel", e);
    }
    // The host keeps the socket as long as a thread is in a call on it.
    Thread waiting = reader;
    if (waiting != null && waiting != Thread.currentThread()) {
      try {
        waiting.join(LAST_CALL_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
