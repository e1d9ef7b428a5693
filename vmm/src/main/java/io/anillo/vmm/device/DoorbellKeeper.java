package io.anillo.vmm.device;

/** Who hears doorbells without a guest's having to wait for the board. Called on the board. */
public interface DoorbellKeeper {

  /** A region was mapped. */
  void placed(long base, DoorbellRegion region);

  /** A region was unmapped. */
  void removed(long base, DoorbellRegion region);
}
