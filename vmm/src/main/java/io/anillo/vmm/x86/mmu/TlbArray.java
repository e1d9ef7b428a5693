package io.anillo.vmm.x86.mmu;

import java.util.Arrays;

/**
 * The memory of all TLBs of a machine: one array, so that it is a constant to translated code,
 * whatever processor runs it. Each TLB is a part of it.
 *
 * <p>An index is made with {@code (linear >>> SHIFT & ENTRY_MASK | base) & mask()}; the last step
 * changes nothing, but shows HotSpot that the index and the two places behind it are inside.
 */
public final class TlbArray {
  /** {@code linear >>> SHIFT & ENTRY_MASK} is where a page's entry begins in its TLB. */
  public static final int SHIFT = 10, ENTRY_MASK = Tlb.INDEX_MASK;

  private static final int MODES = 4;

  private final long[] entries;
  private final int mask;

  /**
   * @param processors how many there are, 1 or more
   */
  public TlbArray(int processors) {
    int wanted = processors * MODES * Tlb.LONGS;
    int size = Integer.highestOneBit(wanted * 2 - 1);
    this.mask = size - 1;
    this.entries = new long[size + Tlb.STRIDE];
    Arrays.fill(entries, Tlb.INVALID);
  }

  /** The array, of {@code mask() + 1} longs and a few more. */
  public long[] entries() {
    return entries;
  }

  public int mask() {
    return mask;
  }

  /** The TLB of a processor for one kind of access. */
  Tlb tlb(int processor, int mode) {
    return new Tlb(entries, (processor * MODES + mode) * Tlb.LONGS);
  }
}
