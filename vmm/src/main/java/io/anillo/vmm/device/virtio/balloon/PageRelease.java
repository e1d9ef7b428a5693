package io.anillo.vmm.device.virtio.balloon;

/** Takes guest memory whose contents the guest has given up, to hand it back to the host. */
@FunctionalInterface
public interface PageRelease {

  /**
   * Releases pages; called on the board. The pages may be accessed again at any time and must then
   * read as the same bytes on every run, which means zeros or what was there before.
   *
   * @param address guest-physical address, a multiple of 4096, in RAM
   * @param lengthBytes a multiple of 4096
   */
  void release(long address, long lengthBytes);

  /** Keeps everything. */
  PageRelease NONE = (address, lengthBytes) -> {};
}
