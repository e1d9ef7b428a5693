package io.anillo.vmm.machine;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.device.interrupt.LocalApic;

/**
 * The bus as one processor sees it: the page of its own local APIC, and the board's bus for
 * everything else.
 */
final class ProcessorBus implements Bus {
  private final SystemBus bus;
  private final BoardLock lock;
  private final LocalApic apic;

  ProcessorBus(SystemBus bus, BoardLock lock, LocalApic apic) {
    this.bus = bus;
    this.lock = lock;
    this.apic = apic;
  }

  private boolean inApicPage(long address) {
    return (address & -LocalApic.PAGE_BYTES) == apic.pageAddress();
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    if (!inApicPage(address)) {
      return bus.readMmio(address, sizeBytes);
    }
    lock.acquire();
    try {
      return apic.readMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes);
    } finally {
      lock.release();
    }
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    if (!inApicPage(address)) {
      bus.writeMmio(address, sizeBytes, value);
      return;
    }
    lock.acquire();
    try {
      apic.writeMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes, value);
    } finally {
      lock.release();
    }
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return bus.readPort(port, sizeBytes);
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    bus.writePort(port, sizeBytes, value);
  }

  @Override
  public void mapPorts(int first, int count, PortDevice device) {
    bus.mapPorts(first, count, device);
  }

  @Override
  public void unmapPorts(int first, int count) {
    bus.unmapPorts(first, count);
  }

  @Override
  public void mapMmio(long base, long sizeBytes, MmioDevice device) {
    bus.mapMmio(base, sizeBytes, device);
  }

  @Override
  public void unmapMmio(long base, long sizeBytes) {
    bus.unmapMmio(base, sizeBytes);
  }
}
