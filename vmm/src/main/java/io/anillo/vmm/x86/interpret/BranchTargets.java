package io.anillo.vmm.x86.interpret;

/**
 * Where indirect jumps and calls of one processor led lately. Written by the processor's thread,
 * read by others without a lock: what they read may be out of date or torn, and is a guess.
 */
final class BranchTargets {
  private static final int ENTRIES = 1024;

  /** An entry: where the instruction is, and its last targets, the latest first. */
  private static final int TARGETS = 3, STRIDE = TARGETS + 1;

  private final long[] entries = new long[ENTRIES * STRIDE];

  private static int index(long place) {
    return (int) (place ^ place >>> 12) * STRIDE & ENTRIES * STRIDE - STRIDE;
  }

  /** Takes note of a transfer. */
  void note(long place, long target) {
    int at = index(place);
    if (entries[at] != place) {
      entries[at] = place;
      entries[at + 1] = target;
      entries[at + 2] = 0;
      entries[at + 3] = 0;
      return;
    }
    long previous = target;
    for (int i = at + 1; i < at + STRIDE; i++) {
      long there = entries[i];
      entries[i] = previous;
      if (there == target) {
        return;
      }
      previous = there;
    }
  }

  /** The last targets of an instruction, without those that are not known. */
  long[] of(long place) {
    int at = index(place);
    long[] found = new long[TARGETS];
    int count = 0;
    if (entries[at] == place) {
      for (int i = 1; i <= TARGETS; i++) {
        if (entries[at + i] != 0) {
          found[count++] = entries[at + i];
        }
      }
    }
    return java.util.Arrays.copyOf(found, count);
  }
}
