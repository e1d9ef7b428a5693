package io.anillo.vmm.device.virtio.balloon;

import java.util.OptionalLong;

/**
 * What a guest says about its memory (virtio 1.2 §5.5.6.4): bytes or counts, each only if the guest
 * gave it.
 */
public final class BalloonStatistics {
  /** Number of known tags. */
  static final int TAGS = 10;

  static final int RECORD_BYTES = 10;

  private final long[] values;

  BalloonStatistics(long[] values) {
    this.values = values.clone();
  }

  private OptionalLong value(int tag) {
    return values[tag] == -1 ? OptionalLong.empty() : OptionalLong.of(values[tag]);
  }

  public OptionalLong swappedInBytes() {
    return value(0);
  }

  public OptionalLong swappedOutBytes() {
    return value(1);
  }

  public OptionalLong majorFaults() {
    return value(2);
  }

  public OptionalLong minorFaults() {
    return value(3);
  }

  public OptionalLong freeBytes() {
    return value(4);
  }

  public OptionalLong totalBytes() {
    return value(5);
  }

  /** An estimate of what new programs could use without swapping. */
  public OptionalLong availableBytes() {
    return value(6);
  }

  public OptionalLong diskCacheBytes() {
    return value(7);
  }
}
