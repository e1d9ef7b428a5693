package io.anillo.storage.pool;

/**
 * How a pool is run.
 *
 * @param slabBytes size of the pieces that disks are divided into, when a pool is made; 0 chooses
 * @param background whether threads of the pool commit every few seconds and rebuild onto spares
 * @param allowMissing opens the pool although disks are missing
 */
public record PoolOptions(
    long slabBytes, boolean background, boolean allowMissing, PoolListener listener) {
  public static final PoolOptions DEFAULT = new PoolOptions(0, true, false, event -> {});

  public PoolOptions withListener(PoolListener newListener) {
    return new PoolOptions(slabBytes, background, allowMissing, newListener);
  }

  public PoolOptions withMissing() {
    return new PoolOptions(slabBytes, background, true, listener);
  }

  public PoolOptions withSlabBytes(long bytes) {
    return new PoolOptions(bytes, background, allowMissing, listener);
  }

  public PoolOptions withoutThreads() {
    return new PoolOptions(slabBytes, false, allowMissing, listener);
  }
}
