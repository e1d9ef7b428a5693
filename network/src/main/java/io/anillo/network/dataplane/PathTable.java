package io.anillo.network.dataplane;

import io.anillo.network.packet.FlowKey;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The learnt paths that share one mask: a hash table with open addressing in one array, in which a
 * path's masked key lies next to its counters, so that a packet of one of many flows touches one
 * place in memory and the operations, which most paths share.
 *
 * <p>What packets did is counted here and credited to flows and tables by {@link #settle}.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class PathTable {
  /** Behind the key: packets, bytes, the time of the last packet, and the program's number. */
  private static final int COUNTERS = 4;

  private static final int FIRST_CAPACITY = 16;

  private final long[] mask;
  private final int[] indexes;
  private final long[] masks;
  private final int stride;

  /** The slots' hashes, 0 where a slot is empty: small enough to stay near the processor. */
  private int[] tags = new int[FIRST_CAPACITY];

  private long[] slots;
  private @Nullable CachedPath[] paths = new CachedPath[FIRST_CAPACITY];
  private Operation[][] programs = new Operation[4][];
  private int programCount;
  private final Map<Operation[], Integer> programNumbers = new IdentityHashMap<>();
  private int size;

  /** Packets served since the cache last put its tables in order. */
  long hits;

  PathTable(long[] mask) {
    this.mask = mask.clone();
    int[] found = new int[mask.length];
    int count = 0;
    for (int i = 0; i < mask.length; i++) {
      if (mask[i] != 0) {
        found[count++] = i;
      }
    }
    indexes = Arrays.copyOf(found, count);
    masks = new long[count];
    for (int i = 0; i < count; i++) {
      masks[i] = mask[indexes[i]];
    }
    stride = count + COUNTERS;
    slots = new long[FIRST_CAPACITY * stride];
  }

  boolean has(long[] examined) {
    return Arrays.equals(mask, examined);
  }

  int size() {
    return size;
  }

  int capacity() {
    return tags.length;
  }

  /** The slot of the path for a key, -1 when none is known. */
  int find(long[] key) {
    int[] hashes = tags;
    int last = hashes.length - 1;
    int hash = hash(key);
    int slot = hash & last;
    int tag;
    search:
    while ((tag = hashes[slot]) != 0) {
      if (tag == hash) {
        int at = slot * stride;
        for (int i = 0; i < indexes.length; i++) {
          if ((key[indexes[i]] & masks[i]) != slots[at + i]) {
            slot = slot + 1 & last;
            continue search;
          }
        }
        return slot;
      }
      slot = slot + 1 & last;
    }
    return -1;
  }

  /** Never 0, which marks an empty slot. */
  private int hash(long[] key) {
    long hash = 0;
    for (int i = 0; i < indexes.length; i++) {
      hash = FlowKey.mix(hash, key[indexes[i]] & masks[i]);
    }
    int tag = FlowKey.finish(hash);
    return tag == 0 ? 1 : tag;
  }

  /** Counts one packet of a slot's path; what is to be done to it. */
  Operation[] count(int slot, int bytes, long nowNanos) {
    int at = slot * stride + indexes.length;
    slots[at]++;
    slots[at + 1] += bytes;
    slots[at + 2] = nowNanos;
    return programs[(int) slots[at + 3]];
  }

  /** Stores a path for a key that has none yet. */
  void put(long[] key, CachedPath path) {
    if ((size + 1) * 5L > tags.length * 4L) {
      grow();
    }
    int hash = hash(key);
    int slot = free(tags, hash);
    int at = slot * stride;
    for (int i = 0; i < indexes.length; i++) {
      slots[at + i] = key[indexes[i]] & masks[i];
    }
    Arrays.fill(slots, at + indexes.length, at + stride, 0);
    slots[at + indexes.length + 3] = number(path.operations());
    tags[slot] = hash;
    paths[slot] = path;
    size++;
  }

  private static int free(int[] hashes, int hash) {
    int slot = hash & hashes.length - 1;
    while (hashes[slot] != 0) {
      slot = slot + 1 & hashes.length - 1;
    }
    return slot;
  }

  private int number(Operation[] program) {
    return programNumbers.computeIfAbsent(
        program,
        added -> {
          if (programCount == programs.length) {
            programs = Arrays.copyOf(programs, programCount * 2);
          }
          programs[programCount] = added;
          return programCount++;
        });
  }

  private void grow() {
    int[] newTags = new int[tags.length * 2];
    long[] newSlots = new long[slots.length * 2];
    @Nullable CachedPath[] newPaths = new CachedPath[newTags.length];
    for (int i = 0; i < tags.length; i++) {
      if (tags[i] != 0) {
        int slot = free(newTags, tags[i]);
        newTags[slot] = tags[i];
        System.arraycopy(slots, i * stride, newSlots, slot * stride, stride);
        newPaths[slot] = paths[i];
      }
    }
    tags = newTags;
    slots = newSlots;
    paths = newPaths;
  }

  /** Credits flows and tables with what was counted since the last call. */
  void settle() {
    for (int slot = 0; slot < paths.length; slot++) {
      int at = slot * stride + indexes.length;
      CachedPath path = paths[slot];
      if (path != null && slots[at] != 0) {
        path.credit(slots[at], slots[at + 1], slots[at + 2]);
        slots[at] = 0;
        slots[at + 1] = 0;
      }
    }
  }
}
