package io.anillo.network.dataplane;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which port an Ethernet address was last seen at, for the NORMAL port. Bounded; the oldest address
 * goes first.
 */
final class AddressTable {
  private static final int MAXIMUM = 8192;
  private static final long AGE_NANOS = 300_000_000_000L;

  private static final class Place {
    int port;
    long seenNanos;
  }

  private final Map<Long, Place> places = new LinkedHashMap<>();

  private static long key(int vlan, long address) {
    return (long) vlan << 48 | address;
  }

  void learn(int vlan, long address, int port, long nowNanos) {
    if ((address >>> 40 & 1) != 0) {
      return;
    }
    Place place = places.get(key(vlan, address));
    if (place == null) {
      if (places.size() >= MAXIMUM) {
        Iterator<Place> oldest = places.values().iterator();
        oldest.next();
        oldest.remove();
      }
      place = new Place();
      places.put(key(vlan, address), place);
    }
    place.port = port;
    place.seenNanos = nowNanos;
  }

  /** The port of an address, -1 when unknown or forgotten. */
  int find(int vlan, long address, long nowNanos) {
    Place place = places.get(key(vlan, address));
    return place == null || nowNanos - place.seenNanos > AGE_NANOS ? -1 : place.port;
  }

  void forgetPort(int port) {
    places.values().removeIf(place -> place.port == port);
  }
}
