package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.RingObserver;
import java.util.EnumMap;
import java.util.Map;

/**
 * What one processor's thread did: how often the guest was left and why, and, once asked for, how
 * long it was where. Written by the processor's thread alone; read when it has ended.
 *
 * <p>Hot class: {@link #enter} is called at each change of privilege and each access to a device
 * when times are measured, and does nothing otherwise.
 */
public final class ProcessorActivity implements RingObserver {

  /** Where a processor's thread spends its time. */
  public enum Place {
    /** Guest code in rings 0 to 2, with the decoding and translating that it needs at once. */
    RING_0,
    /** Guest code in ring 3, likewise. */
    RING_3,
    /** Devices, the board, waiting for other processors. */
    MONITOR,
    /** The guest has halted and waits. */
    IDLE
  }

  /** Why guest code was left. */
  public enum Reason {
    PORT_READ,
    PORT_WRITE,
    MMIO_READ,
    MMIO_WRITE,
    LOCAL_APIC,
    HALTED,
    /** Somebody had something for the board, or wanted the processor to stop. */
    INTERRUPTED,
    DEADLINE,
    SHUTDOWN
  }

  private final long[] exits = new long[Reason.values().length];
  private final long[] nanos = new long[Place.values().length];
  private boolean measured;
  private Place place = Place.MONITOR;
  private long since;
  private long firstRing3;

  /** Measures times from the beginning of the processor's thread on; before that. */
  void measure() {
    measured = true;
  }

  void count(Reason reason) {
    exits[reason.ordinal()]++;
  }

  /**
   * Goes to another place.
   *
   * @return the place before
   */
  Place enter(Place next) {
    Place before = place;
    if (measured) {
      long now = System.nanoTime();
      if (since != 0) {
        nanos[before.ordinal()] += now - since;
      }
      since = now;
      place = next;
      if (next == Place.RING_3 && firstRing3 == 0) {
        firstRing3 = now;
      }
    }
    return before;
  }

  @Override
  public void ringChanged(boolean user) {
    if (place != Place.MONITOR) {
      enter(user ? Place.RING_3 : Place.RING_0);
    }
  }

  @Override
  public void ranIn(boolean user) {
    if (place != Place.MONITOR) {
      place = user ? Place.RING_3 : Place.RING_0;
      if (user && firstRing3 == 0) {
        firstRing3 = System.nanoTime();
      }
    }
  }

  /** Whether times are measured. */
  public boolean measured() {
    return measured;
  }

  /** Nanoseconds of host time in each place; all 0 where nothing is measured. */
  public Map<Place, Long> nanos() {
    Map<Place, Long> result = new EnumMap<>(Place.class);
    for (Place each : Place.values()) {
      result.put(each, nanos[each.ordinal()]);
    }
    return result;
  }

  /** How often guest code was left for each reason. */
  public Map<Reason, Long> exits() {
    Map<Reason, Long> result = new EnumMap<>(Reason.class);
    for (Reason each : Reason.values()) {
      result.put(each, exits[each.ordinal()]);
    }
    return result;
  }

  /** {@link System#nanoTime} when ring 3 was first entered; 0 when it was not, or not measured. */
  public long firstRing3() {
    return firstRing3;
  }
}
