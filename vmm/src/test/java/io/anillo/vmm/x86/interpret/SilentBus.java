package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;

/** A board without devices: everything reads as ones. */
final class SilentBus implements Bus {
  @Override
  public void mapPorts(int first, int count, PortDevice device) {
    throw new UnsupportedOperationException("this board has no devices");
  }

  @Override
  public void unmapPorts(int first, int count) {
    throw new UnsupportedOperationException("this board has no devices");
  }

  @Override
  public void mapMmio(long base, long sizeBytes, MmioDevice device) {
    throw new UnsupportedOperationException("this board has no devices");
  }

  @Override
  public void unmapMmio(long base, long sizeBytes) {
    throw new UnsupportedOperationException("this board has no devices");
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return -1;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {}

  @Override
  public long readMmio(long address, int sizeBytes) {
    return -1;
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {}
}
