package io.anillo.vmm.boot;

import io.anillo.vmm.memory.GuestMemory;
import java.util.OptionalLong;

/**
 * Where the initial RAM disk (or a multiboot module) was put.
 *
 * @param address 0 when there is none
 * @param bytes 0 when there is none
 */
record InitialRamDisk(long address, long bytes) {
  private static final long PAGE = 4096;

  /**
   * Puts it as high as is allowed, page-aligned.
   *
   * @param floor address behind what the kernel itself occupies
   * @param ceiling address behind the highest byte allowed
   */
  static InitialRamDisk load(
      GuestMemory memory, MemoryMap map, BootRequest request, long floor, long ceiling)
      throws BootException {
    ImageReader image = new ImageReader("initial RAM disk", request.initialRamDisk());
    if (image.size() == 0) {
      return new InitialRamDisk(0, 0);
    }
    OptionalLong address =
        map.placeHigh(image.size(), PAGE, Math.max(floor, LowMemory.END), ceiling);
    if (address.isEmpty()) {
      throw new BootException(
          "the initial RAM disk of "
              + (image.size() + (1 << 20) - 1) / (1 << 20)
              + " MiB does not fit beside the kernel into the machine's "
              + map.usableBytes() / (1 << 20)
              + " MiB of memory");
    }
    image.copyTo(memory, address.getAsLong(), 0, image.size());
    return new InitialRamDisk(address.getAsLong(), image.size());
  }
}
