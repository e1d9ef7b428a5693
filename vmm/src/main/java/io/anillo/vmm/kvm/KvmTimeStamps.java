package io.anillo.vmm.kvm;

import java.util.function.LongSupplier;

/**
 * Keeps the time stamp counters of a machine's processors to the board's time, and exactly to each
 * other: what all of them are ahead of the host's counter is measured once, by the first processor
 * that goes on after the board's time was moved, and each adds what its guest wrote.
 *
 * <p>Writing the counters themselves would not do: KVM takes a value within a second of what it
 * expects for an attempt to synchronize and keeps its own.
 */
final class KvmTimeStamps {
  private long moves = -1;
  private long offset;

  /**
   * The offset of a counter whose guest wrote nothing.
   *
   * @param movesSoFar how often the board's time was moved, as every processor is told
   * @param measurement gives the offset anew
   */
  synchronized long offset(long movesSoFar, LongSupplier measurement) {
    if (movesSoFar > moves) {
      moves = movesSoFar;
      offset = measurement.getAsLong();
    }
    return offset;
  }
}
