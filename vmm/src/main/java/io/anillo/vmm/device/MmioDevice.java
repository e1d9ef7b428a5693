package io.anillo.vmm.device;

/** A device reached by memory accesses. */
public interface MmioDevice {

  /**
   * Reads device memory.
   *
   * @param offset bytes from the start of the mapped range
   * @param sizeBytes 1, 2, 4 or 8; may be misaligned, since guests are
   * @return the value in the low {@code sizeBytes} bytes; the rest is ignored
   */
  long readMmio(long offset, int sizeBytes);

  void writeMmio(long offset, int sizeBytes, long value);
}
