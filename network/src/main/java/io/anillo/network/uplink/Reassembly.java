package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Puts a guest's IPv4 fragments together (RFC 815's idea of holes, by eight-byte blocks). Bounded
 * in number and time.
 */
final class Reassembly {
  private static final int MAXIMUM = 32;
  private static final long PATIENCE = 15_000_000_000L;
  private static final int MAXIMUM_BYTES = 65_515;

  private record Key(long addresses, int identification, int protocol) {}

  /** One datagram in the making. */
  private static final class Partial {
    final byte[] data = new byte[MAXIMUM_BYTES + 8];
    final java.util.BitSet blocks = new java.util.BitSet();
    final long startedNanos;
    int total = -1;

    Partial(long now) {
      startedNanos = now;
    }
  }

  private final Map<Key, Partial> partials = new LinkedHashMap<>();

  /** Takes a fragment, its IPv4 header at {@code at}; the whole payload once nothing is missing. */
  Optional<byte[]> fragment(byte[] packet, int at, long now) {
    int headerBytes = (packet[at] & 15) * 4;
    int count = Bytes.getShort(packet, at + 2) - headerBytes;
    int flags = Bytes.getShort(packet, at + 6);
    int offset = (flags & 0x1fff) * 8;
    boolean more = (flags & 0x2000) != 0;
    if (count <= 0 || offset + count > MAXIMUM_BYTES || more && count % 8 != 0) {
      return Optional.empty();
    }
    partials.values().removeIf(partial -> now - partial.startedNanos > PATIENCE);
    Key key =
        new Key(
            Bytes.getLong(packet, at + 12),
            Bytes.getShort(packet, at + 4),
            Bytes.getByte(packet, at + 9));
    Partial partial = partials.get(key);
    if (partial == null) {
      if (partials.size() >= MAXIMUM) {
        Iterator<Key> oldest = partials.keySet().iterator();
        oldest.next();
        oldest.remove();
      }
      partial = new Partial(now);
      partials.put(key, partial);
    }
    System.arraycopy(packet, at + headerBytes, partial.data, offset, count);
    partial.blocks.set(offset / 8, (offset + count + 7) / 8);
    if (!more) {
      partial.total = offset + count;
    }
    int blocks = (partial.total + 7) / 8;
    if (partial.total < 0 || partial.blocks.nextClearBit(0) < blocks) {
      return Optional.empty();
    }
    partials.remove(key);
    return Optional.of(java.util.Arrays.copyOf(partial.data, partial.total));
  }
}
