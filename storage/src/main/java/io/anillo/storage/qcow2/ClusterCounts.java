package io.anillo.storage.qcow2;

/** A count for every cluster of a file; parts of it that are never counted take no memory. */
final class ClusterCounts {
  private static final int CHUNK_BITS = 14;

  private final int[][] chunks;
  private final int size;

  ClusterCounts(int size) {
    this.size = size;
    this.chunks = new int[(size >>> CHUNK_BITS) + 1][];
  }

  int size() {
    return size;
  }

  int get(int cluster) {
    int[] chunk = chunks[cluster >>> CHUNK_BITS];
    return chunk == null ? 0 : chunk[cluster & ((1 << CHUNK_BITS) - 1)];
  }

  void add(int cluster, int delta) {
    int index = cluster >>> CHUNK_BITS;
    int[] chunk = chunks[index];
    if (chunk == null) {
      chunk = new int[1 << CHUNK_BITS];
      chunks[index] = chunk;
    }
    chunk[cluster & ((1 << CHUNK_BITS) - 1)] += delta;
  }
}
