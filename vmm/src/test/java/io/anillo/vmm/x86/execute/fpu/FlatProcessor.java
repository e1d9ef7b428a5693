package io.anillo.vmm.x86.execute.fpu;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * A processor without paging: a linear address is an offset in RAM; writes from a limit upward are
 * page faults.
 */
final class FlatProcessor extends Processor {
  long writeLimit = Long.MAX_VALUE;
  long readLimit = Long.MAX_VALUE;

  FlatProcessor(GuestMemory memory) {
    super(memory, new NoBus());
  }

  @Override
  public long load(long linear, int sizeBytes) {
    if (linear + sizeBytes > readLimit) {
      throw fault(GuestFault.PAGE_FAULT, 4);
    }
    long value = 0;
    for (int index = sizeBytes - 1; index >= 0; index--) {
      value = value << 8 | (memory.getByte(linear + index) & 0xFF);
    }
    return value;
  }

  @Override
  public void store(long linear, int sizeBytes, long value) {
    probeWrite(linear, sizeBytes);
    for (int index = 0; index < sizeBytes; index++) {
      memory.putByte(linear + index, (byte) (value >>> (8 * index)));
    }
  }

  @Override
  public void probeWrite(long linear, int sizeBytes) {
    if (linear + sizeBytes > writeLimit) {
      throw fault(GuestFault.PAGE_FAULT, 6);
    }
  }

  @Override
  public long loadSystem(long linear, int sizeBytes) {
    return load(linear, sizeBytes);
  }

  @Override
  public void storeSystem(long linear, int sizeBytes, long value) {
    store(linear, sizeBytes, value);
  }

  @Override
  public void probeSystemWrite(long linear, int sizeBytes) {
    probeWrite(linear, sizeBytes);
  }

  @Override
  public void flushTlb(boolean globalToo) {}

  @Override
  public void modeChanged() {}

  @Override
  public void addressSpaceChanged(boolean keepTranslations) {}

  @Override
  public void invalidatePage(long linear) {}

  @Override
  public void invalidatePcid(int type, int pcid, long linear) {}

  @Override
  public long loadPhysical(long physical, int sizeBytes) {
    return load(physical, sizeBytes);
  }

  @Override
  public long timeStampCounter() {
    return state.tscOffset;
  }

  @Override
  public LocalInterrupts localInterrupts() {
    throw new IllegalStateException("a flat processor has no interrupt controller");
  }

  @Override
  public CpuModel model() {
    throw new IllegalStateException("a flat processor has no model");
  }

  /** A board without devices. */
  private static final class NoBus implements Bus {
    @Override
    public void mapPorts(int first, int count, PortDevice device) {}

    @Override
    public void unmapPorts(int first, int count) {}

    @Override
    public void mapMmio(long base, long sizeBytes, MmioDevice device) {}

    @Override
    public void unmapMmio(long base, long sizeBytes) {}

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
}
