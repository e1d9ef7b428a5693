package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.HashSet;
import java.util.Set;

/**
 * Which frames are for this card: its address, the modes and the address tables that the driver
 * sets (virtio 1.2 §5.1.6.5.1, §5.1.6.5.2). Until a driver says otherwise everything is received.
 */
final class ReceiveFilter {
  /** Most addresses per table; a longer table lets all of its kind pass. */
  static final int TABLE_SIZE = 64;

  /** Modes in the order of their commands. */
  static final int PROMISCUOUS = 0,
      ALL_MULTICAST = 1,
      ALL_UNICAST = 2,
      NO_MULTICAST = 3,
      NO_UNICAST = 4,
      NO_BROADCAST = 5;

  private static final int MODES = 6;
  private static final long BROADCAST = 0xFFFF_FFFF_FFFFL;

  private final boolean[] modes = new boolean[MODES];
  private final Set<Long> unicast = new HashSet<>();
  private final Set<Long> multicast = new HashSet<>();
  private boolean everyUnicast;
  private boolean everyMulticast;
  private long address;

  ReceiveFilter(long address) {
    reset(address);
  }

  void reset(long newAddress) {
    address = newAddress;
    java.util.Arrays.fill(modes, false);
    modes[PROMISCUOUS] = true;
    unicast.clear();
    multicast.clear();
    everyUnicast = false;
    everyMulticast = false;
  }

  long address() {
    return address;
  }

  void setAddress(long newAddress) {
    address = newAddress;
  }

  boolean setMode(int mode, boolean on) {
    if (mode < 0 || mode >= MODES) {
      return false;
    }
    modes[mode] = on;
    return true;
  }

  /**
   * Replaces both tables.
   *
   * @param data for each table a little-endian 32-bit count and as many addresses of six bytes
   * @return false, with nothing changed, when the counts do not fit the data
   */
  boolean setTables(byte[] data, int length) {
    long unicastCount = count(data, 0, length);
    long second = 4 + unicastCount * 6;
    if (unicastCount < 0 || second + 4 > length) {
      return false;
    }
    long multicastCount = count(data, (int) second, length);
    if (multicastCount < 0 || second + 4 + multicastCount * 6 > length) {
      return false;
    }
    everyUnicast = fill(unicast, data, 4, unicastCount);
    everyMulticast = fill(multicast, data, (int) second + 4, multicastCount);
    return true;
  }

  private static long count(byte[] data, int at, int length) {
    if (at + 4 > length) {
      return -1;
    }
    return (data[at] & 0xFFL)
        | (data[at + 1] & 0xFFL) << 8
        | (data[at + 2] & 0xFFL) << 16
        | (data[at + 3] & 0xFFL) << 24;
  }

  private static boolean fill(Set<Long> table, byte[] data, int from, long count) {
    table.clear();
    if (count > TABLE_SIZE) {
      return true;
    }
    for (int i = 0; i < count; i++) {
      table.add(address(data, from + 6 * i));
    }
    return false;
  }

  /** Six bytes as a number, the first in the highest place. */
  static long address(byte[] data, int at) {
    long value = 0;
    for (int i = 0; i < 6; i++) {
      value = value << 8 | data[at + i] & 0xFF;
    }
    return value;
  }

  /** Whether a frame to this destination is for the guest. */
  boolean accepts(long destination) {
    if (modes[PROMISCUOUS]) {
      return true;
    }
    if (destination == BROADCAST) {
      return !modes[NO_BROADCAST];
    }
    if ((destination >>> 40 & 1) != 0) {
      return !modes[NO_MULTICAST]
          && (modes[ALL_MULTICAST] || everyMulticast || multicast.contains(destination));
    }
    return !modes[NO_UNICAST]
        && (destination == address
            || modes[ALL_UNICAST]
            || everyUnicast
            || unicast.contains(destination));
  }

  void save(StateWriter out) {
    int bits = (everyUnicast ? 1 << 30 : 0) | (everyMulticast ? 1 << 29 : 0);
    for (int i = 0; i < MODES; i++) {
      bits |= modes[i] ? 1 << i : 0;
    }
    out.putLong(address).putInt(bits);
    out.putLongs(unicast.stream().mapToLong(Long::longValue).sorted().toArray());
    out.putLongs(multicast.stream().mapToLong(Long::longValue).sorted().toArray());
  }

  void restore(StateReader in) {
    reset(in.getLong());
    int bits = in.getInt();
    everyUnicast = (bits & 1 << 30) != 0;
    everyMulticast = (bits & 1 << 29) != 0;
    for (int i = 0; i < MODES; i++) {
      modes[i] = (bits & 1 << i) != 0;
    }
    restoreTable(in, unicast);
    restoreTable(in, multicast);
  }

  private static void restoreTable(StateReader in, Set<Long> table) {
    long[] addresses = in.getLongs();
    if (addresses.length > TABLE_SIZE) {
      throw new StateException("a receive filter of " + addresses.length + " addresses");
    }
    for (long value : addresses) {
      table.add(value);
    }
  }
}
