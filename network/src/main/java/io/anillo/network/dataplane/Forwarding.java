package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.packet.Packet;
import org.jspecify.annotations.Nullable;

/** What a path's operations ask of the switch. Guarded by the switch's lock. */
abstract class Forwarding {
  private static final int MAXIMUM_DEPTH = 12;

  private final @Nullable Packet[] copies = new Packet[MAXIMUM_DEPTH];
  private int depth;

  /** The time of the packet being forwarded. */
  long nowNanos;

  /**
   * A spare packet, null when packets are nested too deeply; to be given back by {@link #release}.
   */
  @Nullable Packet borrow() {
    if (depth == MAXIMUM_DEPTH) {
      return null;
    }
    Packet packet = copies[depth];
    if (packet == null) {
      packet = new Packet();
      copies[depth] = packet;
    }
    depth++;
    return packet;
  }

  void release() {
    depth--;
  }

  abstract void output(Packet packet, SwitchPort port);

  abstract void outputNumber(Packet packet, int port);

  abstract void flood(Packet packet);

  abstract void normal(Packet packet);

  abstract void toController(
      Packet packet, int maximumLength, SwitchObserver.Reason reason, int table, long cookie);

  abstract void recirculate(Packet packet, int resumePoint);

  abstract void track(Packet packet, Action.Track action, int resumePoint);
}
