package io.anillo.network.dataplane;

import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.FlowKey;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The learnt paths that share one mask: a hash table with open addressing. A slot holds only the
 * masked words in which paths differ, and one word of counters with the operations' number: sixteen
 * bytes where one word tells the paths apart, so that a packet of one of very many flows touches
 * one line of memory, mostly. Eight bits of the hash say in that word which slots to look at: what
 * a search does then does not hang on what was not read yet, and the processor goes on meanwhile
 * instead of guessing wrong how far the search goes. They are 0 in empty slots.
 *
 * <p>What packets did is counted here and credited to flows and tables by {@link #settle}.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class PathTable {
  private static final int FIRST_CAPACITY = 16;

  // The word of counters: packets:16 bytes:26 program:14 tag:8.
  private static final int PACKETS_SHIFT = 48;
  private static final int BYTES_SHIFT = 22;
  private static final int PROGRAM_SHIFT = 8;
  private static final long BYTES_MASK = (1L << PACKETS_SHIFT - BYTES_SHIFT) - 1;
  private static final long TAG_MASK = (1 << PROGRAM_SHIFT) - 1;
  private static final long UNCOUNTED_MASK = (1L << BYTES_SHIFT) - 1;

  /** How many slots a search looks at together. */
  private static final int WINDOW = 4;

  /** The top bits of both counters: one more packet could overflow when one of them is set. */
  private static final long FULL = 1L << 63 | 1L << PACKETS_SHIFT - 1;

  /** Which of the cache's tables this is. */
  final int id;

  private final long[] mask;
  private final Programs programs;

  /** The words of the mask in which all paths agree so far, and what they have there. */
  private int[] commonIndexes;

  private long[] commonMasks;
  private long[] commonValues;

  /** The words in which paths differ. */
  private int[] indexes = new int[0];

  private long[] masks = new long[0];
  private int stride = 1;

  private long[] slots = new long[FIRST_CAPACITY];
  private int capacity = FIRST_CAPACITY;
  private @Nullable CachedPath[] paths = new CachedPath[FIRST_CAPACITY];
  private int size;

  /** Packets served since the cache last put its tables in order. */
  long hits;

  /**
   * A table for paths with this mask.
   *
   * @param first the key of the first path to be stored
   */
  PathTable(int id, long[] mask, long[] first, Programs programs) {
    this.id = id;
    this.mask = mask.clone();
    this.programs = programs;
    int[] found = new int[mask.length];
    int count = 0;
    for (int i = 0; i < mask.length; i++) {
      if (mask[i] != 0) {
        found[count++] = i;
      }
    }
    commonIndexes = Arrays.copyOf(found, count);
    commonMasks = new long[count];
    commonValues = new long[count];
    for (int i = 0; i < count; i++) {
      commonMasks[i] = mask[commonIndexes[i]];
      commonValues[i] = first[commonIndexes[i]] & commonMasks[i];
    }
  }

  boolean has(long[] examined) {
    return Arrays.equals(mask, examined);
  }

  long[] mask() {
    return mask;
  }

  int size() {
    return size;
  }

  /** The slot of the path for a key, -1 when none is known. */
  int find(long[] key) {
    return find(key, hash(key));
  }

  /** The same, with the key's {@link #hash}. */
  int find(long[] key, int hash) {
    for (int i = 0; i < commonIndexes.length; i++) {
      if ((key[commonIndexes[i]] & commonMasks[i]) != commonValues[i]) {
        return -1;
      }
    }
    long tag = tag(hash);
    int last = capacity - 1;
    int slot = hash & last;
    while (true) {
      long first = counters(slot);
      long second = counters(slot + 1 & last);
      long third = counters(slot + 2 & last);
      long fourth = counters(slot + 3 & last);
      int candidates =
          same(first, tag)
              | same(second, tag) << 1
              | same(third, tag) << 2
              | same(fourth, tag) << 3;
      while (candidates != 0) {
        int candidate = slot + Integer.numberOfTrailingZeros(candidates) & last;
        if (holds(candidate, key)) {
          return candidate;
        }
        candidates &= candidates - 1;
      }
      if ((same(first, 0) | same(second, 0) | same(third, 0) | same(fourth, 0)) != 0) {
        return -1;
      }
      slot = slot + WINDOW & last;
    }
  }

  /** Reads the lines of memory in which a search for a hash begins. */
  long approach(int hash) {
    int slot = hash & capacity - 1;
    return counters(slot) + counters(slot + WINDOW - 1 & capacity - 1);
  }

  /** 1 when a slot's word of counters has a tag, 0 otherwise. */
  private static int same(long counters, long tag) {
    return (int) (((counters ^ tag) & TAG_MASK) - 1 >>> 63);
  }

  private boolean holds(int slot, long[] key) {
    int at = slot * stride;
    for (int i = 0; i < indexes.length; i++) {
      if ((key[indexes[i]] & masks[i]) != slots[at + i]) {
        return false;
      }
    }
    return true;
  }

  private long counters(int slot) {
    return slots[slot * stride + stride - 1];
  }

  /** What a slot keeps of a hash: bits that do not choose the slot, and one that says occupied. */
  private static long tag(int hash) {
    return hash >>> 24 | 1;
  }

  /** What chooses a key's slot: changes when the words in which paths differ do. */
  int hash(long[] key) {
    long hash = 0;
    for (int i = 0; i < indexes.length; i++) {
      hash = FlowKey.mix(hash, key[indexes[i]] & masks[i]);
    }
    return FlowKey.finish(hash);
  }

  /** The hash of what a slot holds. */
  private int hashAt(int slot) {
    long hash = 0;
    for (int i = 0; i < indexes.length; i++) {
      hash = FlowKey.mix(hash, slots[slot * stride + i]);
    }
    return FlowKey.finish(hash);
  }

  /**
   * Counts one packet of a slot's path; what is to be done to it.
   *
   * @param bytes its length, below 2^25
   */
  Operation[] count(int slot, int bytes, long nowNanos) {
    int at = slot * stride + stride - 1;
    long word = slots[at] + (1L << PACKETS_SHIFT) + ((long) bytes << BYTES_SHIFT);
    slots[at] = word;
    if ((word & FULL) != 0) {
      settle(slot, nowNanos);
    }
    int program = (int) (word & UNCOUNTED_MASK) >>> PROGRAM_SHIFT;
    return program == Programs.UNSHARED ? path(slot).operations() : programs.get(program);
  }

  private CachedPath path(int slot) {
    CachedPath path = paths[slot];
    if (path == null) {
      throw new IllegalStateException("slot " + slot + " is empty");
    }
    return path;
  }

  /** Stores a path for a key that has none yet. */
  void put(long[] key, CachedPath path) {
    split(key);
    if ((size + 1) * 5L > capacity * 4L) {
      rebuild(indexes, masks, capacity * 2);
    }
    int hash = hash(key);
    int slot = free(hash);
    int at = slot * stride;
    for (int i = 0; i < indexes.length; i++) {
      slots[at + i] = key[indexes[i]] & masks[i];
    }
    slots[at + indexes.length] = (long) path.program << PROGRAM_SHIFT | tag(hash);
    paths[slot] = path;
    path.slot = slot;
    size++;
  }

  /** Moves the words in which a key is the first to differ to those that slots hold. */
  private void split(long[] key) {
    int differing = 0;
    for (int i = 0; i < commonIndexes.length; i++) {
      differing += (key[commonIndexes[i]] & commonMasks[i]) == commonValues[i] ? 0 : 1;
    }
    if (differing == 0) {
      return;
    }
    int held = indexes.length;
    int[] moreIndexes = Arrays.copyOf(indexes, held + differing);
    long[] moreMasks = Arrays.copyOf(masks, held + differing);
    int kept = 0;
    int[] keptIndexes = new int[commonIndexes.length - differing];
    long[] keptMasks = new long[keptIndexes.length];
    long[] keptValues = new long[keptIndexes.length];
    for (int i = 0; i < commonIndexes.length; i++) {
      int index = commonIndexes[i];
      if ((key[index] & commonMasks[i]) == commonValues[i]) {
        keptIndexes[kept] = index;
        keptMasks[kept] = commonMasks[i];
        keptValues[kept++] = commonValues[i];
      } else {
        moreIndexes[held] = index;
        moreMasks[held++] = commonMasks[i];
      }
    }
    rebuild(moreIndexes, moreMasks, capacity);
    commonIndexes = keptIndexes;
    commonMasks = keptMasks;
    commonValues = keptValues;
  }

  /** Lays the slots out anew, with these words in each. */
  private void rebuild(int[] newIndexes, long[] newMasks, int newCapacity) {
    @Nullable CachedPath[] oldPaths = paths;
    long[] oldSlots = slots;
    int oldStride = stride;
    long[] key = new long[FlowKey.WORDS];
    for (int i = 0; i < commonIndexes.length; i++) {
      key[commonIndexes[i]] = commonValues[i];
    }
    int[] oldIndexes = indexes;
    indexes = newIndexes;
    masks = newMasks;
    stride = newIndexes.length + 1;
    capacity = newCapacity;
    slots = new long[capacity * stride];
    paths = new CachedPath[capacity];
    for (int old = 0; old < oldPaths.length; old++) {
      CachedPath path = oldPaths[old];
      if (path == null) {
        continue;
      }
      for (int i = 0; i < oldIndexes.length; i++) {
        key[oldIndexes[i]] = oldSlots[old * oldStride + i];
      }
      int hash = hash(key);
      int slot = free(hash);
      int at = slot * stride;
      for (int i = 0; i < indexes.length; i++) {
        slots[at + i] = key[indexes[i]];
      }
      long counters = oldSlots[old * oldStride + oldStride - 1];
      slots[at + indexes.length] = counters & ~TAG_MASK | tag(hash);
      paths[slot] = path;
      path.slot = slot;
    }
  }

  private int free(int hash) {
    int slot = hash & capacity - 1;
    while (occupied(slot)) {
      slot = slot + 1 & capacity - 1;
    }
    return slot;
  }

  private boolean occupied(int slot) {
    return counters(slot) != 0;
  }

  /** Whether some packet of a path may also be one of a flow's, wherever the path looked it up. */
  boolean mayMatch(CachedPath path, Match match) {
    long[] value = match.value();
    long[] bits = match.mask();
    for (int i = 0; i < commonIndexes.length; i++) {
      int word = commonIndexes[i];
      if (path.original(word)
          && ((commonValues[i] ^ value[word]) & commonMasks[i] & bits[word]) != 0) {
        return false;
      }
    }
    int at = path.slot * stride;
    for (int i = 0; i < indexes.length; i++) {
      int word = indexes[i];
      if (path.original(word) && ((slots[at + i] ^ value[word]) & masks[i] & bits[word]) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Forgets a path, which is credited with its packets before. */
  void remove(CachedPath path, long nowNanos) {
    int hole = path.slot;
    settle(hole, nowNanos);
    path.slot = -1;
    size--;
    int last = capacity - 1;
    for (int next = hole + 1 & last; occupied(next); next = next + 1 & last) {
      // What lies beyond the hole may move into it unless its own place is behind the hole.
      if ((next - hashAt(next) & last) >= (next - hole & last)) {
        System.arraycopy(slots, next * stride, slots, hole * stride, stride);
        CachedPath moved = path(next);
        paths[hole] = moved;
        moved.slot = hole;
        hole = next;
      }
    }
    paths[hole] = null;
    slots[hole * stride + stride - 1] = 0;
  }

  /** Forgets all paths, and has their flows forget them. */
  void clear(long nowNanos) {
    for (int slot = 0; slot < paths.length; slot++) {
      CachedPath path = paths[slot];
      if (path != null) {
        settle(slot, nowNanos);
        path.slot = -1;
        for (FlowEntry entry : path.entries()) {
          entry.dependents().clear();
        }
        for (FlowTable table : path.silent()) {
          table.silence().clear();
        }
      }
    }
  }

  /** Credits flows and tables with what was counted since the last call. */
  void settle(long nowNanos) {
    for (int slot = 0; slot < capacity; slot++) {
      if (counters(slot) >>> BYTES_SHIFT != 0) {
        settle(slot, nowNanos);
      }
    }
  }

  private void settle(int slot, long nowNanos) {
    int at = slot * stride + stride - 1;
    long word = slots[at];
    long packets = word >>> PACKETS_SHIFT;
    if (packets != 0) {
      path(slot).credit(packets, word >>> BYTES_SHIFT & BYTES_MASK, nowNanos);
      slots[at] = word & UNCOUNTED_MASK;
    }
  }
}
