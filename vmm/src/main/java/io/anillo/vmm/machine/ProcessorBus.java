package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.ExitReason;
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
  private final ExitCounters exits;
  private final ProcessorActivity activity;

  ProcessorBus(
      SystemBus bus,
      BoardLock lock,
      LocalApic apic,
      ExitCounters exits,
      ProcessorActivity activity) {
    this.bus = bus;
    this.lock = lock;
    this.apic = apic;
    this.exits = exits;
    this.activity = activity;
  }

  private boolean inApicPage(long address) {
    return (address & -LocalApic.PAGE_BYTES) == apic.pageAddress();
  }

  private ExitReason reasonOf(long address, boolean own) {
    return own ? ExitClasses.ofApic((int) (address >> 4) & 0xFF) : ExitClasses.ofMemory(address);
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    boolean own = inApicPage(address);
    ExitReason reason = reasonOf(address, own);
    activity.count(own ? Reason.LOCAL_APIC : Reason.MMIO_READ);
    Place before = activity.enter(Place.MONITOR);
    exits.enter(reason);
    try {
      if (!own) {
        return bus.readMmio(address, sizeBytes);
      }
      lock.acquire();
      try {
        return apic.readMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes);
      } finally {
        lock.release();
      }
    } finally {
      exits.leave(reason);
      activity.enter(before);
    }
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    boolean own = inApicPage(address);
    ExitReason reason = reasonOf(address, own);
    activity.count(own ? Reason.LOCAL_APIC : Reason.MMIO_WRITE);
    Place before = activity.enter(Place.MONITOR);
    exits.enter(reason);
    try {
      if (!own) {
        bus.writeMmio(address, sizeBytes, value);
        return;
      }
      lock.acquire();
      try {
        apic.writeMmio(address & LocalApic.PAGE_BYTES - 1, sizeBytes, value);
      } finally {
        lock.release();
      }
    } finally {
      exits.leave(reason);
      activity.enter(before);
    }
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    ExitReason reason = ExitClasses.ofPort(port);
    activity.count(Reason.PORT_READ);
    Place before = activity.enter(Place.MONITOR);
    exits.enter(reason);
    try {
      return bus.readPort(port, sizeBytes);
    } finally {
      exits.leave(reason);
      activity.enter(before);
    }
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    ExitReason reason = ExitClasses.ofPort(port);
    activity.count(Reason.PORT_WRITE);
    Place before = activity.enter(Place.MONITOR);
    exits.enter(reason);
    try {
      bus.writePort(port, sizeBytes, value);
    } finally {
      exits.leave(reason);
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
