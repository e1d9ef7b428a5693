package io.anillo.network.dataplane;

import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkFrame;
import org.jspecify.annotations.Nullable;

/**
 * Frames that arrived at a port together, up to {@value #PACKETS}, parsed and looked for together.
 * With very many flows in use each lookup reads memory that is near to no processor; here those
 * reads overlap. What is done to the packets, and in which order, is the same as one by one.
 *
 * <p>Hot: allocates nothing; watched by {@code anillo bench network}.
 */
final class PacketBurst {
  /** The most packets of a burst. */
  static final int PACKETS = 16;

  private final Packet[] packets = new Packet[PACKETS];
  private int count;
  private boolean approached;

  PacketBurst() {
    for (int i = 0; i < PACKETS; i++) {
      packets[i] = new Packet();
    }
  }

  int count() {
    return count;
  }

  Packet packet(int index) {
    return packets[index];
  }

  /** Begins a burst without packets. */
  void clear() {
    count = 0;
    approached = false;
  }

  /**
   * Adds a frame of a port, parsed, unless it is damaged or the port takes none.
   *
   * @param tunnel the identifier under which a tunnel carried it from {@code source} to {@code
   *     destination}, all 0 for none
   */
  void add(SwitchPort port, NetworkFrame frame, long tunnel, int source, int destination) {
    Packet packet = packets[count];
    SwitchPort.Counters counters = port.counters();
    if (!packet.reset(frame)) {
      counters.receivedErrors++;
      return;
    }
    counters.receivedPackets++;
    counters.receivedBytes += frame.length();
    if ((port.configuration() & (SwitchPort.DOWN | SwitchPort.NO_RECEIVE)) != 0 || !port.linkUp()) {
      counters.receivedDrops++;
      return;
    }
    FlowKey key = packet.key;
    key.clear();
    key.setInPort(port.number());
    key.words[FlowKey.TUNNEL] = tunnel;
    key.words[FlowKey.TUNNEL_ENDPOINTS] = (long) source << 32 | destination & 0xffffffffL;
    packet.parse();
    count++;
  }

  /** Has the flow cache read what it will need, where something is gained by it. */
  void approach(FlowCache cache) {
    approached = count > 1 && cache.approach(packets, count);
  }

  /** What the flow cache says of a packet; see {@link FlowCache#find}. */
  Operation @Nullable [] find(int index, FlowCache cache, long generation, long nowNanos) {
    return approached
        ? cache.findApproached(index, packets[index], generation, nowNanos)
        : cache.find(packets[index], generation, nowNanos);
  }
}
