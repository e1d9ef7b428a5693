package io.anillo.vmm.hypercall;

import io.anillo.vmm.memory.GuestMemory;

/**
 * The clock page of one processor ({@code pvclock_vcpu_time_info}): from it a guest computes the
 * board's time out of its time stamp counter. The relation is linear and does not change while the
 * counter is not written, so the page is written once and not at each entry; and again where a
 * machine goes on with a counter of another frequency.
 */
final class SharedClock {
  static final int BYTES = 32;
  private static final int TSC = 8, SYSTEM_TIME = 16, MULTIPLIER = 24, SHIFT = 28, FLAGS = 29;
  private static final byte STABLE = 1;

  private SharedClock() {}

  /**
   * Writes the page, unless it says so already.
   *
   * @param tscAtZero the counter at the board's moment 0, modulo 2^64
   * @param tscHertz ticks of the counter in a second
   */
  static void write(GuestMemory memory, long address, long tscAtZero, long tscHertz) {
    // nanoseconds = (ticks << shift) * multiplier >> 32, multiplier in [2^31, 2^32).
    int shift = 0;
    long nanos = 1_000_000_000;
    long ticks = tscHertz;
    while (ticks > nanos) {
      ticks >>= 1;
      shift--;
    }
    while (ticks << 1 <= nanos) {
      ticks <<= 1;
      shift++;
    }
    // ticks <= nanos < 2 * ticks, so one more doubling keeps the multiplier below 2^32.
    double exact = Math.scalb((double) nanos / tscHertz, 31 - shift);
    int multiplier = (int) Math.round(exact);
    byte pageShift = (byte) (shift + 1);
    if (memory.getLong(address + TSC) == tscAtZero
        && memory.getLong(address + SYSTEM_TIME) == 0
        && memory.getInt(address + MULTIPLIER) == multiplier
        && memory.getByte(address + SHIFT) == pageShift
        && memory.getByte(address + FLAGS) == STABLE) {
      return;
    }
    int version = memory.getInt(address) & ~1;
    memory.putInt(address, version + 1);
    memory.putLong(address + TSC, tscAtZero);
    memory.putLong(address + SYSTEM_TIME, 0);
    memory.putInt(address + MULTIPLIER, multiplier);
    memory.putByte(address + SHIFT, pageShift);
    memory.putByte(address + FLAGS, STABLE);
    memory.putInt(address, version + 2);
    memory.announceWrite(address, BYTES);
  }
}
