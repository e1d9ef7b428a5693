package io.anillo.network.agent;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Packets kept while a controller decides about them (OpenFlow 1.3.5 §6.1.2). The oldest gives way.
 */
final class PacketBuffers {
  static final int COUNT = 256;

  /** A kept frame and the port it came from. */
  record Kept(int id, byte[] frame, int inPort) {}

  private final @Nullable Kept[] kept = new Kept[COUNT];
  private int next;

  synchronized int keep(byte[] frame, int inPort) {
    int id = next++ & 0x7fffffff;
    kept[id % COUNT] = new Kept(id, frame, inPort);
    return id;
  }

  synchronized Optional<Kept> take(int id) {
    int slot = Math.floorMod(id, COUNT);
    Kept found = kept[slot];
    if (found == null || found.id() != id) {
      return Optional.empty();
    }
    kept[slot] = null;
    return Optional.of(found);
  }
}
