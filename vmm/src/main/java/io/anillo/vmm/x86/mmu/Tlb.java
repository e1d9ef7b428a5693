package io.anillo.vmm.x86.mmu;

import java.util.Arrays;

/**
 * Translations of one kind of access (user, supervisor, supervisor under SMAP): direct-mapped, a
 * part of the machine's {@link TlbArray}, so that a lookup touches one cache line.
 *
 * <p>An entry is four longs: the page's linear address if it may be read (else {@link #INVALID}),
 * the same if it may be written without anyone being told, what to add to a linear address to get
 * an offset into guest memory, and unused. A write tag can only ever be missing, not wrong: pages
 * that hold code or are logged have none.
 *
 * <p>Hot class: read by the fast paths of {@link PagedProcessor}.
 */
final class Tlb {
  static final int ENTRIES = 2048;
  static final int STRIDE = 4;

  /** ANDed with {@code linear >>> 10}, the index of an address's entry. */
  static final int INDEX_MASK = (ENTRIES - 1) * STRIDE;

  /** Equals no page address. */
  static final long INVALID = 1;

  /** How much of the array one TLB takes. */
  static final int LONGS = ENTRIES * STRIDE;

  private static final int LIST_LIMIT = ENTRIES;

  private final long[] entries;

  /** Where this TLB begins in the array. */
  final int base;

  /**
   * Indexes of entries filled with non-global translations since the last flush of such; -1 counts
   * as too many.
   */
  private final int[] nonGlobal = new int[LIST_LIMIT];

  private int nonGlobalCount;

  Tlb(long[] entries, int base) {
    this.entries = entries;
    this.base = base;
    flushAll();
  }

  static int index(long linear) {
    return (int) (linear >>> 10) & INDEX_MASK;
  }

  void insert(long page, boolean readable, boolean writable, long addend, boolean global) {
    int at = base | index(page);
    entries[at] = readable ? page : INVALID;
    entries[at + 1] = writable ? page : INVALID;
    entries[at + 2] = addend;
    if (!global) {
      if (nonGlobalCount < LIST_LIMIT) {
        nonGlobal[nonGlobalCount] = at;
      }
      nonGlobalCount++;
    }
  }

  void flushPage(long page) {
    int at = base | index(page);
    entries[at] = INVALID;
    entries[at + 1] = INVALID;
  }

  void flushAll() {
    Arrays.fill(entries, base, base + LONGS, INVALID);
    nonGlobalCount = 0;
  }

  void flushNonGlobal() {
    if (nonGlobalCount > LIST_LIMIT) {
      flushAll();
      return;
    }
    for (int i = 0; i < nonGlobalCount; i++) {
      int at = nonGlobal[i];
      entries[at] = INVALID;
      entries[at + 1] = INVALID;
    }
    nonGlobalCount = 0;
  }

  /**
   * Takes away the right to write a page of guest memory unnoticed, under whatever linear address.
   */
  void removeWrite(long physicalPage) {
    for (int at = base; at < base + LONGS; at += STRIDE) {
      long tag = entries[at + 1];
      if (tag != INVALID && tag + entries[at + 2] == physicalPage) {
        entries[at + 1] = INVALID;
      }
    }
  }
}
