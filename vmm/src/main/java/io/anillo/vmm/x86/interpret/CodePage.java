package io.anillo.vmm.x86.interpret;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The blocks decoded from one page of guest memory. Read without a lock by every processor; changed
 * under the lock of the {@link CodeCache}.
 */
final class CodePage {
  private static final int INITIAL_SLOTS = 16;

  final long physical;

  /** Open-addressed by {@link #hash}; replaced, not changed in place, when it grows. */
  private volatile @Nullable Block[] slots = new @Nullable Block[INITIAL_SLOTS];

  private int count;

  /**
   * Grows with every write to the page while it is watched, so that a decoder can tell that bytes
   * changed.
   */
  volatile int writes;

  /** A bit for each 64 bytes of the page that hold decoded code. */
  volatile long chunks;

  /** Compiled code that was made of this page, among others. */
  private final List<CompiledCode> dependents = new ArrayList<>();

  CodePage(long physical) {
    this.physical = physical;
  }

  /** Under the lock of the {@link CodeCache} where there are several processors. */
  @SuppressWarnings("NonAtomicVolatileUpdate")
  void countWrite() {
    writes++;
  }

  private static int hash(int pageOffset, int key) {
    return pageOffset * 0x9E37 + key * 0x85EB >>> 4;
  }

  @Nullable Block find(int pageOffset, int key) {
    @Nullable Block[] table = slots;
    int mask = table.length - 1;
    for (int at = hash(pageOffset, key) & mask; ; at = at + 1 & mask) {
      Block block = table[at];
      if (block == null || (block.pageOffset == pageOffset && block.key == key)) {
        return block;
      }
    }
  }

  void insert(Block block) {
    if ((count + 1) * 2 > slots.length) {
      @Nullable Block[] old = slots;
      @Nullable Block[] grown = new @Nullable Block[old.length * 2];
      for (Block each : old) {
        if (each != null) {
          place(grown, each);
        }
      }
      slots = grown;
    }
    if (place(slots, block)) {
      count++;
    }
    int first = block.pageOffset >>> 6;
    int last = Math.min(block.pageOffset + Math.max(block.length, 1) - 1, 4095) >>> 6;
    chunks |= (-1L >>> 63 - (last - first)) << first;
  }

  /** Remembers code that was made of some of the page's chunks of 64 bytes. */
  void depend(CompiledCode code, long madeOf) {
    dependents.removeIf(each -> !each.valid);
    dependents.add(code);
    chunks |= madeOf;
  }

  /** Returns false when it took the place of a block for the same address. */
  private static boolean place(@Nullable Block[] table, Block block) {
    int mask = table.length - 1;
    int at = hash(block.pageOffset, block.key) & mask;
    while (true) {
      Block there = table[at];
      if (there == null) {
        table[at] = block;
        return true;
      }
      if (there.pageOffset == block.pageOffset && there.key == block.key) {
        table[at] = block;
        return false;
      }
      at = at + 1 & mask;
    }
  }

  /**
   * Drops all blocks and makes processors inside them leave. Returns how many instructions were
   * dropped.
   */
  int clear() {
    int dropped = 0;
    @Nullable Block[] old = slots;
    slots = new @Nullable Block[INITIAL_SLOTS];
    chunks = 0;
    count = 0;
    for (Block each : old) {
      if (each != null) {
        dropped += each.instructions;
        each.invalidate();
      }
    }
    // Uninstalling changes blocks, not this list.
    dependents.forEach(CompiledCode::invalidate);
    dependents.clear();
    return dropped;
  }
}
