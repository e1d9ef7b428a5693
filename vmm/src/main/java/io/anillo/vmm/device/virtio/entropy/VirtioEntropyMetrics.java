package io.anillo.vmm.device.virtio.entropy;

/**
 * Counters of the entropy device since the machine's start. Kept on the board; not part of the
 * state.
 */
public final class VirtioEntropyMetrics {
  long requests;
  long bytes;

  public long requests() {
    return requests;
  }

  /** Random bytes given to the guest. */
  public long bytes() {
    return bytes;
  }
}
