package io.anillo.vmm.kvm;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import java.util.ArrayList;
import java.util.List;

/** Notes all accesses; a read gives the address, or port, with the number of reads above it. */
final class NotedBus implements Bus {
  final List<String> accesses = new ArrayList<>();
  private int reads;

  @Override
  public int readPort(int port, int sizeBytes) {
    accesses.add("in %x %d".formatted(port, sizeBytes));
    return ++reads << 16 | port;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    accesses.add("out %x %d %x".formatted(port, sizeBytes, value));
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    accesses.add("read %x %d".formatted(address, sizeBytes));
    return (long) ++reads << 32 | address;
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    accesses.add("write %x %d %x".formatted(address, sizeBytes, value));
  }

  @Override
  public void mapPorts(int first, int count, PortDevice device) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void unmapPorts(int first, int count) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void mapMmio(long base, long sizeBytes, MmioDevice device) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void unmapMmio(long base, long sizeBytes) {
    throw new UnsupportedOperationException();
  }
}
