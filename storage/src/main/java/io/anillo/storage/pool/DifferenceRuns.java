package io.anillo.storage.pool;

import java.io.IOException;

/** Joins changed blocks that are neighbours of one kind to runs of bytes. */
final class DifferenceRuns {
  private final int blockBytes;
  private final long sizeBytes;
  private final Pool.Change change;
  private long start;
  private long end;
  private boolean stored;

  /**
   * @param sizeBytes where the later version ends; what lies beyond is not told
   */
  DifferenceRuns(int blockBytes, long sizeBytes, Pool.Change change) {
    this.blockBytes = blockBytes;
    this.sizeBytes = sizeBytes;
    this.change = change;
  }

  /** Adds a block; blocks come in ascending order. */
  void add(long block, boolean isStored) throws IOException {
    long offset = block * blockBytes;
    if (end != offset || isStored != stored) {
      end();
      start = offset;
      stored = isStored;
    }
    end = offset + blockBytes;
  }

  /** Tells the last run. */
  void end() throws IOException {
    long stop = Math.min(end, sizeBytes);
    if (start < stop) {
      change.range(start, stop - start, stored);
    }
    start = end;
  }
}
