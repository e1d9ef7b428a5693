package io.anillo.vmm.device.virtio.block;

/** Counters of one disk since the machine's start. Kept on the board; not part of the state. */
public final class VirtioBlockMetrics {
  long reads;
  long readBytes;
  long writes;
  long writtenBytes;
  long flushes;
  long discards;
  long failures;
  int mostInFlight;

  public long reads() {
    return reads;
  }

  public long readBytes() {
    return readBytes;
  }

  public long writes() {
    return writes;
  }

  public long writtenBytes() {
    return writtenBytes;
  }

  public long flushes() {
    return flushes;
  }

  /** Discards and write-zeroes together. */
  public long discards() {
    return discards;
  }

  /** Requests answered with an error. */
  public long failures() {
    return failures;
  }

  /** Most requests that were under way at once. */
  public int mostInFlight() {
    return mostInFlight;
  }
}
