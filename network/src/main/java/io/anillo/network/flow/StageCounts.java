package io.anillo.network.flow;

/**
 * How many entries of a tuple have the same hash over the first words of their keys: a multiset of
 * integers with open addressing. A hash that is not in it proves that no entry agrees in those
 * words.
 */
final class StageCounts {
  private int[] hashes = new int[16];
  private int[] counts = new int[16];
  private int distinct;

  boolean contains(int hash) {
    int slot = hash & hashes.length - 1;
    while (counts[slot] != 0) {
      if (hashes[slot] == hash) {
        return true;
      }
      slot = slot + 1 & hashes.length - 1;
    }
    return false;
  }

  void add(int hash) {
    if ((distinct + 1) * 4 > hashes.length * 3) {
      grow();
    }
    int slot = slot(hash);
    if (counts[slot]++ == 0) {
      hashes[slot] = hash;
      distinct++;
    }
  }

  void remove(int hash) {
    int slot = slot(hash);
    if (counts[slot] == 0 || --counts[slot] > 0) {
      return;
    }
    distinct--;
    int last = hashes.length - 1;
    int hole = slot;
    for (int next = slot + 1 & last; counts[next] != 0; next = next + 1 & last) {
      // What lies beyond the hole may move into it unless its own place is behind the hole.
      if ((next - hashes[next] & last) >= (next - hole & last)) {
        hashes[hole] = hashes[next];
        counts[hole] = counts[next];
        counts[next] = 0;
        hole = next;
      }
    }
  }

  private int slot(int hash) {
    int slot = hash & hashes.length - 1;
    while (counts[slot] != 0 && hashes[slot] != hash) {
      slot = slot + 1 & hashes.length - 1;
    }
    return slot;
  }

  private void grow() {
    int[] oldHashes = hashes;
    int[] oldCounts = counts;
    hashes = new int[oldHashes.length * 2];
    counts = new int[oldHashes.length * 2];
    for (int i = 0; i < oldHashes.length; i++) {
      if (oldCounts[i] != 0) {
        int slot = slot(oldHashes[i]);
        hashes[slot] = oldHashes[i];
        counts[slot] = oldCounts[i];
      }
    }
  }
}
