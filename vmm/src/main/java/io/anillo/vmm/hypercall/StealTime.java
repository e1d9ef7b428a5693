package io.anillo.vmm.hypercall;

import io.anillo.vmm.memory.GuestMemory;

/**
 * The steal-time record of one processor ({@code kvm_steal_time}): for how long it could not run
 * though it wanted to, and whether it runs now. Other processors of the guest look at the latter:
 * one that does not run needs no interrupt to flush its TLB, but a mark that it has to.
 */
final class StealTime {
  static final int BYTES = 64;
  private static final int VERSION = 8, PREEMPTED = 16;
  private static final int DOES_NOT_RUN = 1, FLUSH_TLB = 2;

  private StealTime() {}

  static void write(GuestMemory memory, long address, long stolenNanos) {
    int version = memory.getInt(address + VERSION) & ~1;
    memory.putInt(address + VERSION, version + 1);
    memory.putLong(address, stolenNanos);
    memory.putInt(address + VERSION, version + 2);
    memory.announceWrite(address, BYTES);
  }

  static void stops(GuestMemory memory, long address) {
    exchange(memory, address + PREEMPTED, DOES_NOT_RUN);
    memory.announceWrite(address, BYTES);
  }

  /** The processor runs again. Tells whether its translations are to be dropped before. */
  static boolean goesOn(GuestMemory memory, long address) {
    int marks = exchange(memory, address + PREEMPTED, 0);
    memory.announceWrite(address, BYTES);
    return (marks & FLUSH_TLB) != 0;
  }

  /** Other processors set marks by LOCKed instructions, so this is one too. */
  private static int exchange(GuestMemory memory, long address, int marks) {
    while (true) {
      int word = memory.getInt(address);
      if (memory.compareAndSetInt(address, word, word & ~0xFF | marks)) {
        return word & 0xFF;
      }
    }
  }
}
