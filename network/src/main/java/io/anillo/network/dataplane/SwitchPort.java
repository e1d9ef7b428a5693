package io.anillo.network.dataplane;

import io.anillo.network.packet.Offloads;
import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkFrame;
import java.util.Map;
import java.util.TreeMap;

/**
 * A port of the switch with its OpenFlow configuration, state and counters. Guarded by the switch's
 * lock.
 */
public final class SwitchPort {
  /** Bits of {@link #configuration} (OpenFlow 1.3.5 §7.2.1). */
  public static final int DOWN = 1;

  public static final int NO_RECEIVE = 4;
  public static final int NO_FORWARD = 32;
  public static final int NO_PACKET_IN = 64;

  /** Counters of a port; numbers of frames and bytes since the port was added. */
  public static final class Counters {
    public long receivedPackets;
    public long receivedBytes;
    public long receivedDrops;
    public long receivedErrors;
    public long sentPackets;
    public long sentBytes;
    public long sentDrops;
  }

  /** A queue of the port: a limit on its rate, enforced by dropping, and its counters. */
  public static final class Queue {
    final long maximumBitsPerSecond;
    private double tokens;
    private long refilledNanos;
    public long packets;
    public long bytes;
    public long errors;
    final long createdNanos;

    Queue(long maximumBitsPerSecond, long nowNanos) {
      this.maximumBitsPerSecond = maximumBitsPerSecond;
      this.refilledNanos = nowNanos;
      this.createdNanos = nowNanos;
      this.tokens = maximumBitsPerSecond;
    }

    public long maximumBitsPerSecond() {
      return maximumBitsPerSecond;
    }

    public long createdNanos() {
      return createdNanos;
    }

    boolean admit(int size, long nowNanos) {
      if (maximumBitsPerSecond > 0) {
        double seconds = Math.max(0, (nowNanos - refilledNanos) / 1e9);
        tokens = Math.min(maximumBitsPerSecond, tokens + seconds * maximumBitsPerSecond);
        refilledNanos = nowNanos;
        if (tokens < size * 8.0) {
          errors++;
          return false;
        }
        tokens -= size * 8.0;
      }
      packets++;
      bytes += size;
      return true;
    }
  }

  private final int number;
  private final String name;
  private final long address;
  private final PortWire wire;
  private final long createdNanos;
  private final Offloads offloads = new Offloads();
  private final Counters counters = new Counters();
  private final Map<Integer, Queue> queues = new TreeMap<>();
  private int configuration;
  private boolean linkUp = true;

  SwitchPort(int number, String name, long address, PortWire wire, long nowNanos) {
    this.number = number;
    this.name = name;
    this.address = address;
    this.wire = wire;
    this.createdNanos = nowNanos;
  }

  public int number() {
    return number;
  }

  public String name() {
    return name;
  }

  /** The port's Ethernet address in the low 48 bits. */
  public long address() {
    return address;
  }

  public Counters counters() {
    return counters;
  }

  public Map<Integer, Queue> queues() {
    return queues;
  }

  public int configuration() {
    return configuration;
  }

  public boolean linkUp() {
    return linkUp;
  }

  /** Whether fast failover may use the port (OpenFlow 1.3.5 §7.2.1, OFPPS_LIVE). */
  public boolean live() {
    return linkUp && (configuration & DOWN) == 0;
  }

  public long createdNanos() {
    return createdNanos;
  }

  void configure(int bits) {
    configuration = bits;
  }

  void setLink(boolean up) {
    linkUp = up;
  }

  PortWire wire() {
    return wire;
  }

  /** Sends a packet out, doing in software what the wire does not take. */
  void transmit(Packet packet, long nowNanos) {
    if ((configuration & (DOWN | NO_FORWARD)) != 0 || !linkUp) {
      counters.sentDrops++;
      return;
    }
    if (!queues.isEmpty()) {
      Queue queue = queues.get(packet.queue);
      if (queue != null && !queue.admit(packet.length(), nowNanos)) {
        counters.sentDrops++;
        return;
      }
    }
    if (Offloads.acceptable(packet, wire.accepted())) {
      send(packet.frame(), packet);
    } else {
      offloads.complete(packet, frame -> send(frame, packet));
    }
  }

  private void send(NetworkFrame frame, Packet packet) {
    boolean sent =
        wire instanceof TunnelWire tunnel
            ? tunnel.transmit(frame, packet.key)
            : wire.transmit(frame);
    count(sent, frame.length());
  }

  private void count(boolean sent, int size) {
    if (sent) {
      counters.sentPackets++;
      counters.sentBytes += size;
    } else {
      counters.sentDrops++;
    }
  }
}
