package io.anillo.network.dataplane;

import io.anillo.network.dataplane.Connection.Tuple;
import io.anillo.network.flow.Action;
import io.anillo.network.packet.Bytes;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Picks the addresses and ports that a translated connection shows to its far side. */
final class AddressTranslation {
  private static final int TRIES = 512;
  private static final int FIRST_FREE_PORT = 1024;

  private AddressTranslation() {}

  /** The reply tuple under a translation, null when the range has no free place left. */
  static @Nullable Tuple chooseReply(Tuple tuple, Action.Nat nat, Predicate<Tuple> taken) {
    boolean source = (nat.flags() & Action.Nat.SOURCE) != 0;
    boolean destination = (nat.flags() & Action.Nat.DESTINATION) != 0;
    if (!source && !destination) {
      return tuple.reversed();
    }
    long high = source ? tuple.sourceHigh() : tuple.destinationHigh();
    long low = source ? tuple.sourceLow() : tuple.destinationLow();
    int port = source ? tuple.sourcePort() : tuple.destinationPort();
    byte[] minimum = nat.addressMinimum();
    int spread = (tuple.hashCode() * 0x9E3779B9) >>> 1;
    if (minimum.length == 4) {
      long first = Bytes.getUnsignedInt(minimum, 0);
      long last =
          nat.addressMaximum().length == 4 ? Bytes.getUnsignedInt(nat.addressMaximum(), 0) : first;
      low = first + spread % Math.max(1, last - first + 1);
    } else if (minimum.length == 16) {
      high = Bytes.getLong(minimum, 0);
      long first = Bytes.getLong(minimum, 8);
      long last =
          nat.addressMaximum().length == 16 ? Bytes.getLong(nat.addressMaximum(), 8) : first;
      low = first + Math.floorMod((long) spread, Math.max(1, last - first + 1));
    }
    // Ports of a range are not meant for identifiers of echoes (ovs-actions(7)).
    int firstPort = tuple.isIcmp() ? 0 : nat.portMinimum();
    int lastPort = Math.max(firstPort, nat.portMaximum());
    if (firstPort > 0) {
      int range = lastPort - firstPort + 1;
      int begin = port >= firstPort && port <= lastPort ? port - firstPort : spread % range;
      for (int i = 0; i < Math.min(range, TRIES); i++) {
        Tuple reply = reply(tuple, source, high, low, firstPort + (begin + i) % range);
        if (!taken.test(reply)) {
          return reply;
        }
      }
      return null;
    }
    Tuple unchanged = reply(tuple, source, high, low, port);
    if (!taken.test(unchanged)) {
      return unchanged;
    }
    if (!source) {
      return null;
    }
    int range = 65536 - FIRST_FREE_PORT;
    for (int i = 0; i < TRIES; i++) {
      Tuple reply = reply(tuple, true, high, low, FIRST_FREE_PORT + (spread + i) % range);
      if (!taken.test(reply)) {
        return reply;
      }
    }
    return null;
  }

  private static Tuple reply(Tuple tuple, boolean source, long high, long low, int port) {
    Tuple back = tuple.reversed();
    if (source) {
      // An echo's identifier is one for both directions.
      return new Tuple(
          back.zone(),
          back.protocol(),
          back.ipv6(),
          back.sourceHigh(),
          back.sourceLow(),
          high,
          low,
          tuple.isIcmp() ? port : back.sourcePort(),
          port);
    }
    return new Tuple(
        back.zone(),
        back.protocol(),
        back.ipv6(),
        high,
        low,
        back.destinationHigh(),
        back.destinationLow(),
        port,
        back.destinationPort());
  }
}
