package io.anillo.vmm.x86.mmu;

import java.util.Arrays;

/**
 * The memory of all TLBs of a machine: one array, so that it is a constant to translated code,
 * whatever processor runs it. Each TLB is a part of it.
 *
 * <p>{@code linear >>> SHIFT & ENTRY_MASK}, added to where a TLB begins, is inside that TLB
 * whatever the address, with the places behind it that belong to the entry.
 */
public final class TlbArray {
  /** {@code linear >>> SHIFT & ENTRY_MASK} is where a page's entry begins in its TLB. */
  public static final int SHIFT = 10, ENTRY_MASK = Tlb.INDEX_MASK;

  private static final int MODES = 4;

  private final long[] entries;

  /**
   * @param processors how many there are, 1 or more
   */
  public TlbArray(int processors) {
    this.entries = new long[processors * MODES * Tlb.LONGS];
    Arrays.fill(entries, Tlb.INVALID);
  }

  /** The array: all TLBs, one behind the other. */
  public long[] entries() {
    return entries;
  }

  /** The TLB of a processor for one kind of access. */
  Tlb tlb(int processor, int mode) {
    return new Tlb(entries, (processor * MODES + mode) * Tlb.LONGS);
  }
}
