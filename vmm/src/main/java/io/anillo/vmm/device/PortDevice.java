package io.anillo.vmm.device;

/** A device reached by IN and OUT. */
public interface PortDevice {

  /**
   * Reads a port.
   *
   * @param port the absolute port number
   * @param sizeBytes 1, 2 or 4; the bus never splits an access
   * @return the value in the low {@code sizeBytes} bytes; the rest is ignored
   */
  int readPort(int port, int sizeBytes);

  void writePort(int port, int sizeBytes, int value);
}
