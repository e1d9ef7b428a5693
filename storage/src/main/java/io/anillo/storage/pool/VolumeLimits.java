package io.anillo.storage.pool;

/**
 * What a volume may use at most; 0 is no limit.
 *
 * @param operationsPerSecond reads and writes together
 * @param bytesPerSecond read and written together
 */
public record VolumeLimits(long operationsPerSecond, long bytesPerSecond) {
  public static final VolumeLimits NONE = new VolumeLimits(0, 0);
}
