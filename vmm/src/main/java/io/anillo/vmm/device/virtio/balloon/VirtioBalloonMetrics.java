package io.anillo.vmm.device.virtio.balloon;

/** Counters of the balloon since the machine's start. Kept on the board; not part of the state. */
public final class VirtioBalloonMetrics {
  long inflatedPages;
  long deflatedPages;
  long reportedBytes;
  long refusedPages;

  /** Pages of 4 KiB that the guest put into the balloon. */
  public long inflatedPages() {
    return inflatedPages;
  }

  /** Pages of 4 KiB that the guest took back. */
  public long deflatedPages() {
    return deflatedPages;
  }

  /** Bytes that free-page reporting released. */
  public long reportedBytes() {
    return reportedBytes;
  }

  /** Pages that the guest named and that are not RAM. */
  public long refusedPages() {
    return refusedPages;
  }
}
