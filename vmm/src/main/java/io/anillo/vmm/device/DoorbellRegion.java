package io.anillo.vmm.device;

/**
 * Memory-mapped registers some of which are doorbells: what is written there does not matter, and
 * nothing has to have happened when the write is done.
 */
public interface DoorbellRegion extends MmioDevice {

  /** The offsets of the doorbells. */
  int[] doorbells();

  /** At least one of them rang, or may have. On the board. */
  void rung();
}
