package io.anillo.storage.pool;

import java.time.Duration;

/**
 * How a pool is run.
 *
 * @param slabBytes size of the pieces that disks are divided into, when a pool is made; 0 chooses
 * @param background whether threads of the pool commit on their own, rebuild onto spares and scrub
 * @param allowMissing opens the pool although disks are missing
 * @param scrubInterval time from one scrub in the background to the next, counted while the pool is
 *     open
 * @param updatesPerCheckpoint changed pointers since the last checkpoint up to which a commit
 *     appends to the journal; bounds the time to recover
 */
public record PoolOptions(
    long slabBytes,
    boolean background,
    boolean allowMissing,
    PoolListener listener,
    Duration scrubInterval,
    int updatesPerCheckpoint) {
  public static final PoolOptions DEFAULT =
      new PoolOptions(0, true, false, event -> {}, Duration.ofDays(7), 32768);

  public PoolOptions withListener(PoolListener newListener) {
    return new PoolOptions(
        slabBytes, background, allowMissing, newListener, scrubInterval, updatesPerCheckpoint);
  }

  public PoolOptions withMissing() {
    return new PoolOptions(
        slabBytes, background, true, listener, scrubInterval, updatesPerCheckpoint);
  }

  public PoolOptions withSlabBytes(long bytes) {
    return new PoolOptions(
        bytes, background, allowMissing, listener, scrubInterval, updatesPerCheckpoint);
  }

  public PoolOptions withoutThreads() {
    return new PoolOptions(
        slabBytes, false, allowMissing, listener, scrubInterval, updatesPerCheckpoint);
  }

  public PoolOptions withScrubInterval(Duration interval) {
    return new PoolOptions(
        slabBytes, background, allowMissing, listener, interval, updatesPerCheckpoint);
  }

  public PoolOptions withUpdatesPerCheckpoint(int updates) {
    return new PoolOptions(slabBytes, background, allowMissing, listener, scrubInterval, updates);
  }
}
