package io.anillo.vmm.device.virtio.network;

/**
 * Counters of a network device since the machine's start. Kept on the board; not part of the state.
 */
public final class VirtioNetworkMetrics {
  long sentFrames;
  long sentBytes;
  long receivedFrames;
  long receivedBytes;
  long filteredFrames;
  long refusedFrames;

  public long sentFrames() {
    return sentFrames;
  }

  public long sentBytes() {
    return sentBytes;
  }

  /** Frames that reached the guest's buffers. */
  public long receivedFrames() {
    return receivedFrames;
  }

  public long receivedBytes() {
    return receivedBytes;
  }

  /** Frames that were not for this card. */
  public long filteredFrames() {
    return filteredFrames;
  }

  /** Frames of the guest that were malformed, and frames for it that fitted into no buffer. */
  public long refusedFrames() {
    return refusedFrames;
  }
}
