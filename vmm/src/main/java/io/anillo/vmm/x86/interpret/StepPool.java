package io.anillo.vmm.x86.interpret;

import org.jspecify.annotations.Nullable;

/**
 * Steps made lately, so that the same instruction at many places is one step. Steps do not change,
 * and most instructions are like many others: of a kernel's, two thousand are the half. What is
 * shared stays in the processor's cache, where code that runs seldom finds it.
 */
final class StepPool {
  private static final int ENTRIES = 1 << 14;
  private static final int LONGEST = 12;

  /** Stands for the place in the block where the step does not depend on it. */
  private static final int ANYWHERE = 0xFF;

  private final long[] firstBytes = new long[ENTRIES];

  /** The other bytes, place, mode and length; 0 in an empty entry. */
  private final long[] others = new long[ENTRIES];

  private final @Nullable Step[] steps = new @Nullable Step[ENTRIES];
  private final @Nullable Fusion[] fusions = new @Nullable Fusion[ENTRIES];

  private record Fusion(Step first, Step second, Step both) {}

  /**
   * The step for an instruction.
   *
   * @param code holds its bytes from {@link Operands#offset} on
   */
  Step step(byte[] code, Operands operands) {
    int length = operands.instruction().length();
    if (length > LONGEST) {
      return StepCompiler.compile(operands);
    }
    int offset = operands.offset();
    long first = bytes(code, offset, Math.min(length, 8));
    long rest =
        (length > 8 ? bytes(code, offset + 8, length - 8) << 32 : 0)
            | (long) operands.codeSize().ordinal() << 12
            | (long) operands.stackBytes() << 8
            | length;
    Step known = find(first, rest | ANYWHERE << 16);
    if (known == null) {
      known = find(first, rest | offset << 16);
    }
    if (known == null) {
      operands.forgetUse();
      known = StepCompiler.compile(operands);
      add(first, rest | (operands.placeUsed() ? offset : ANYWHERE) << 16, known);
    }
    return known;
  }

  /** What {@link Step#fuse} makes of two steps. */
  @Nullable Step fused(Step first, Step second) {
    int slot = slot(System.identityHashCode(first), System.identityHashCode(second));
    Fusion known = fusions[slot];
    if (known != null && known.first == first && known.second == second) {
      return known.both;
    }
    Step both = first.fuse(second);
    if (both != null) {
      fusions[slot] = new Fusion(first, second, both);
    }
    return both;
  }

  private static long bytes(byte[] code, int from, int count) {
    long value = 0;
    for (int i = 0; i < count; i++) {
      value |= (code[from + i] & 0xFFL) << 8 * i;
    }
    return value;
  }

  private static int slot(long a, long b) {
    long mixed = (a ^ b * 0x9E37_79B9_7F4A_7C15L) * 0xD6E8_FEB8_6659_FD93L;
    return (int) (mixed >>> 50);
  }

  private @Nullable Step find(long first, long rest) {
    int slot = slot(first, rest);
    if (others[slot] == rest && firstBytes[slot] == first) {
      return steps[slot];
    }
    slot ^= 1;
    return others[slot] == rest && firstBytes[slot] == first ? steps[slot] : null;
  }

  /** Takes the place of the older of two. */
  private void add(long first, long rest, Step step) {
    int slot = slot(first, rest);
    int older = slot ^ 1;
    firstBytes[older] = firstBytes[slot];
    others[older] = others[slot];
    steps[older] = steps[slot];
    firstBytes[slot] = first;
    others[slot] = rest;
    steps[slot] = step;
  }
}
