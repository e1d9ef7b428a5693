package io.anillo.vmm.device;

/**
 * A device with ports of one byte, as on the ISA bus: a wider access is split into bytes at
 * ascending ports. Bytes that fall behind the device's last port are to read as 0xFF and to be
 * ignored when written.
 */
public interface BytePortDevice extends PortDevice {

  int readByte(int port);

  /**
   * Writes one byte.
   *
   * @param value 0 to 255
   */
  void writeByte(int port, int value);

  @Override
  default int readPort(int port, int sizeBytes) {
    int value = 0;
    for (int i = 0; i < sizeBytes; i++) {
      value |= (readByte(port + i) & 0xFF) << 8 * i;
    }
    return value;
  }

  @Override
  default void writePort(int port, int sizeBytes, int value) {
    for (int i = 0; i < sizeBytes; i++) {
      writeByte(port + i, value >>> 8 * i & 0xFF);
    }
  }
}
