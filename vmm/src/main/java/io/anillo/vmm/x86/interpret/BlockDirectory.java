package io.anillo.vmm.x86.interpret;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Which block begins at a linear address: the short way from the end of one block to the next, for
 * one processor.
 *
 * <p>An entry can only ever be missing, not wrong. Its tag holds the linear address, the processor
 * mode, and an epoch that ends when translations for fetching are dropped; a block whose code was
 * overwritten stops by itself (see {@link Block#invalidate}).
 *
 * <p>Hot class: {@link #find} is called once for each block that runs; watched by {@code ./anillo
 * bench guest}.
 */
final class BlockDirectory {
  private static final int ENTRIES = 4096;
  private static final int EPOCHS = 1 << 12;

  /** A canonical linear address leaves the top 16 bits of its tag to the mode and the epoch. */
  private static final int USER_SHIFT = 48, KEY_SHIFT = 49, EPOCH_SHIFT = 52;

  private final long[] tags = new long[ENTRIES];
  private final @Nullable Block[] blocks = new @Nullable Block[ENTRIES];

  /** What the tags of the current mode and epoch have above the address. */
  private long mode;

  private int key;
  private boolean user;

  /** Of translations that survive a change of the address space, and of those that do not. */
  private int globalEpoch = 1, localEpoch = 1;

  /** Filters of the pages that have entries, so that most dropped pages cost nothing. */
  private final long[] globalPages = new long[64], localPages = new long[64];

  /** Whether supervisor code from a page that is not global has entries. */
  private boolean supervisorLocal;

  private static int slot(long linear) {
    return (int) (linear ^ linear >>> 11 ^ linear >>> 17) & ENTRIES - 1;
  }

  @Nullable Block find(long linear) {
    int slot = slot(linear);
    return tags[slot] == (linear ^ mode) ? blocks[slot] : null;
  }

  /**
   * Remembers a block of the current mode.
   *
   * @param global whether the translation of its page is global
   */
  void insert(long linear, Block block, boolean global) {
    int slot = slot(linear);
    tags[slot] = linear ^ mode;
    blocks[slot] = block;
    supervisorLocal |= !user && !global;
    mark(user ? localPages : globalPages, linear);
  }

  /** The processor's mode became another. */
  void select(int newKey, boolean newUser) {
    key = newKey;
    user = newUser;
    long epoch = newUser ? localEpoch : globalEpoch;
    mode = epoch << EPOCH_SHIFT | (long) newKey << KEY_SHIFT | (newUser ? 1L << USER_SHIFT : 0);
  }

  /** Forgets all blocks, or those whose translations do not survive a change of address space. */
  void drop(boolean globalToo) {
    localEpoch = following(localEpoch);
    Arrays.fill(localPages, 0);
    if (globalToo || supervisorLocal) {
      globalEpoch = following(globalEpoch);
      Arrays.fill(globalPages, 0);
      supervisorLocal = false;
    }
    select(key, user);
  }

  /** Forgets the blocks of one page, and possibly others. */
  void dropPage(long linear) {
    if (marked(globalPages, linear)) {
      drop(true);
    } else if (marked(localPages, linear)) {
      drop(false);
    }
  }

  private int following(int epoch) {
    if (epoch + 1 < EPOCHS) {
      return epoch + 1;
    }
    // Entries of the first epochs must not come back to life.
    Arrays.fill(tags, 0);
    Arrays.fill(blocks, null);
    return 1;
  }

  private static void mark(long[] filter, long linear) {
    int bit = (int) (linear >>> 12);
    filter[bit >>> 6 & 63] |= 1L << bit;
  }

  private static boolean marked(long[] filter, long linear) {
    int bit = (int) (linear >>> 12);
    return (filter[bit >>> 6 & 63] & 1L << bit) != 0;
  }
}
