package io.anillo.vmm.device.pci;

/**
 * The parts of the address spaces that belong to PCI.
 *
 * @param ecamBase guest-physical address of the memory-mapped configuration window of bus 0
 * @param memoryBase start of the window for memory BARs below 4 GiB
 * @param memoryBytes its size
 * @param highBase start of the window for 64-bit BARs above RAM
 * @param highBytes its size
 * @param portBase first port for I/O BARs
 * @param portCount number of ports for them
 */
public record PciWindows(
    long ecamBase,
    long memoryBase,
    long memoryBytes,
    long highBase,
    long highBytes,
    int portBase,
    int portCount) {
  /** One bus: 32 devices of 8 functions of 4 KiB. */
  public static final long ECAM_BYTES = 1 << 20;

  /** The windows of our PC: see {@link io.anillo.vmm.device.firmware.PhysicalMemoryMap}. */
  public static final PciWindows STANDARD =
      new PciWindows(0xE0000000L, 0xC0000000L, 0x20000000L, 1L << 38, 1L << 36, 0xC000, 0x4000);
}
