package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.RingObserver;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * What one processor's thread did: how often the guest was left and why, and, once asked for, how
 * long it was where. Written by the processor's thread alone; read when it has ended.
 *
 * <p>Hot class: {@link #ringChanged} is called at each change of privilege, {@link #enter} at each
 * access to a device; they do nothing unless times are measured. Looking at the clock would take a
 * tenth of the time of a short system call. So it is not looked at for each change of privilege,
 * and the time between two looks goes to the rings by the instructions that ran in each.
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

  /** Instructions between two looks at the clock, about, where the privilege changes often. */
  private static final long LOOK_INSTRUCTIONS = 10_000;

  private final long[] exits = new long[Reason.values().length];
  private final long[] nanos = new long[Place.values().length];

  private boolean measured;
  private LongSupplier instructions = () -> 0;

  /** The instructions that had run at the last change of privilege, or look at the clock. */
  private long ran;

  /** Instructions since the last look at the clock, by ring, up to the last change. */
  private long ranInRing0, ranInRing3;

  private Place place = Place.MONITOR;
  private long since;
  private long firstRing3;

  /**
   * Measures times from the beginning of the processor's thread on; before that.
   *
   * @param retired tells how many instructions the processor ran; may stand still
   */
  void measure(LongSupplier retired) {
    measured = true;
    instructions = retired;
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
        spent(before, now - since);
      }
      since = now;
      place = next;
      if (next == Place.RING_3 && firstRing3 == 0) {
        firstRing3 = now;
      }
    }
    return before;
  }

  private void spent(Place before, long time) {
    if (before != Place.RING_0 && before != Place.RING_3) {
      nanos[before.ordinal()] += time;
      ran = instructions.getAsLong();
      return;
    }
    countInstructions();
    long all = ranInRing0 + ranInRing3;
    long inRing3 = before == Place.RING_3 ? time : 0;
    if (all > 0) {
      inRing3 = (long) ((double) time * ranInRing3 / all);
    }
    nanos[Place.RING_3.ordinal()] += inRing3;
    nanos[Place.RING_0.ordinal()] += time - inRing3;
    ranInRing0 = 0;
    ranInRing3 = 0;
  }

  /** Counts the instructions since the last change of privilege for the ring that they ran in. */
  private void countInstructions() {
    long now = instructions.getAsLong();
    if (place == Place.RING_3) {
      ranInRing3 += now - ran;
    } else {
      ranInRing0 += now - ran;
    }
    ran = now;
  }

  @Override
  public void ringChanged(boolean user) {
    if (!measured || place == Place.MONITOR) {
      return;
    }
    countInstructions();
    Place next = user ? Place.RING_3 : Place.RING_0;
    if (ranInRing0 + ranInRing3 > LOOK_INSTRUCTIONS || user && firstRing3 == 0) {
      enter(next);
    } else {
      place = next;
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
