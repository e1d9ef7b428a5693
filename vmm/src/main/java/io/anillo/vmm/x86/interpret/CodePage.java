package io.anillo.vmm.x86.interpret;

import java.lang.invoke.VarHandle;
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

  /** Replaced, not changed in place, when it grows. */
  private volatile Slots slots = new Slots(INITIAL_SLOTS);

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

  /**
   * Blocks in the order of their places, or nearly: code that runs one after the other is looked up
   * in the same lines of the processor's cache. What names a block stands beside it, so that
   * looking for one touches no other.
   */
  private static final class Slots {
    final char[] names;
    final @Nullable Block[] blocks;

    Slots(int count) {
      names = new char[count];
      blocks = new @Nullable Block[count];
    }

    /** Never 0, which stands for none: no key is 15. */
    static char name(int pageOffset, int key) {
      return (char) ((key << 12 | pageOffset) + 1);
    }

    /** Where to begin to look. */
    private static int first(int pageOffset, int slots) {
      return pageOffset * slots >>> 12;
    }

    @Nullable Block find(int pageOffset, int key) {
      char wanted = name(pageOffset, key);
      int mask = names.length - 1;
      for (int at = first(pageOffset, names.length); ; at = at + 1 & mask) {
        char name = names[at];
        if (name == wanted) {
          return blocks[at];
        }
        if (name == 0) {
          return null;
        }
      }
    }

    /** Returns false when it took the place of a block for the same address. */
    boolean place(Block block) {
      char wanted = name(block.pageOffset, block.key());
      int mask = names.length - 1;
      int at = first(block.pageOffset, names.length);
      while (names[at] != 0 && names[at] != wanted) {
        at = at + 1 & mask;
      }
      boolean added = names[at] == 0;
      // Readers have no lock: where they see the name, the block has to be there.
      blocks[at] = block;
      VarHandle.storeStoreFence();
      names[at] = wanted;
      return added;
    }
  }

  @Nullable Block find(int pageOffset, int key) {
    return slots.find(pageOffset, key);
  }

  void insert(Block block) {
    Slots table = slots;
    if ((count + 1) * 2 > table.names.length) {
      Slots grown = new Slots(table.names.length * 2);
      for (Block each : table.blocks) {
        if (each != null) {
          grown.place(each);
        }
      }
      table = grown;
      slots = grown;
    }
    if (table.place(block)) {
      count++;
    }
    int first = block.pageOffset >>> 6;
    int last = Math.min(block.pageOffset + Math.max(block.length(), 1) - 1, 4095) >>> 6;
    chunks |= (-1L >>> 63 - (last - first)) << first;
  }

  /** Remembers code that was made of some of the page's chunks of 64 bytes. */
  void depend(CompiledCode code, long madeOf) {
    dependents.removeIf(each -> !each.valid);
    dependents.add(code);
    chunks |= madeOf;
  }

  /**
   * Drops all blocks and makes processors inside them leave. Returns how many instructions were
   * dropped.
   */
  int clear() {
    int dropped = 0;
    Slots old = slots;
    slots = new Slots(INITIAL_SLOTS);
    chunks = 0;
    count = 0;
    for (Block each : old.blocks) {
      if (each != null) {
        dropped += each.instructions();
        each.invalidate();
      }
    }
    // Uninstalling changes blocks, not this list.
    dependents.forEach(CompiledCode::invalidate);
    dependents.clear();
    return dropped;
  }
}
