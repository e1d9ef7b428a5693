package io.anillo.vmm.device;

/**
 * The board's port and memory-mapped address spaces. Mapping is done on the board; a change that
 * touches pages the processors may have cached is made inside an exclusive section by the caller's
 * machine.
 */
public interface Bus {

  /**
   * Maps ports {@code first .. first + count - 1}. Throws IllegalArgumentException where a device
   * already is.
   */
  void mapPorts(int first, int count, PortDevice device);

  void unmapPorts(int first, int count);

  /**
   * Maps a range of guest-physical addresses to a device.
   *
   * @param base guest-physical address
   * @param sizeBytes length of the range; need not be page-sized
   */
  void mapMmio(long base, long sizeBytes, MmioDevice device);

  void unmapMmio(long base, long sizeBytes);

  /** IN: unmapped ports read as all ones. */
  int readPort(int port, int sizeBytes);

  void writePort(int port, int sizeBytes, int value);

  /** A load from guest-physical address space outside RAM: unmapped addresses read as all ones. */
  long readMmio(long address, int sizeBytes);

  void writeMmio(long address, int sizeBytes, long value);
}
