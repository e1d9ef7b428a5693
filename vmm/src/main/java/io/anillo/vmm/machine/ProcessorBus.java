package io.anillo.vmm.machine;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.device.interrupt.LocalApic;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import io.anillo.vmm.machine.ProcessorActivity.Reason;

/**
 * The bus as one processor sees it: the page of its own local APIC, and the board's bus for
 * everything else. Counts the accesses, and the time they take.
 */
final class ProcessorBus implements Bus {
  private final SystemBus bus;
  private final BoardLock lock;
  private final LocalApic apic;
  private final ProcessorActivity activity;

  ProcessorBus(SystemBus bus, BoardLock lock, LocalApic apic, ProcessorActivity activity) {
    this.bus = bus;
    this.lock = lock;
    this.apic = apic;
    this.activity = activity;
  }

  private boolean inApicPage(long address) {
    return (address & -LocalApic.PAGE_BYTES) == apic.pageAddress();
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    Place before = activity.enter(Place.MONITOR);
    try {
      if (!inApicPage(address)) {
        activity.count(Reason.MMIO_READ);
        return bus.readMmio(address, sizeBytes);
      }
      activity.count(Reason.LOCAL_APIC);
      lock.acquire();
      try {
        return apic.readMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes);
      } finally {
        lock.release();
      }
    } finally {
      activity.enter(before);
    }
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    Place before = activity.enter(Place.MONITOR);
    try {
      if (!inApicPage(address)) {
        activity.count(Reason.MMIO_WRITE);
        bus.writeMmio(address, sizeBytes, value);
        return;
      }
      activity.count(Reason.LOCAL_APIC);
      lock.acquire();
      try {
        apic.writeMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes, value);
      } finally {
        lock.release();
      }
    } finally {
      activity.enter(before);
    }
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    activity.count(Reason.PORT_READ);
    Place before = activity.enter(Place.MONITOR);
    try {
      return bus.readPort(port, sizeBytes);
    } finally {
      activity.enter(before);
    }
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    activity.count(Reason.PORT_WRITE);
    Place before = activity.enter(Place.MONITOR);
    try {
      bus.writePort(port, sizeBytes, value);
    } finally {
      activity.enter(before);
    }
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
