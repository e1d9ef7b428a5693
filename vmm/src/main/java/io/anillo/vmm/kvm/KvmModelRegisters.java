package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.Processor;

/**
 * What the rules of RDMSR and WRMSR need of a processor, so that they are the same here as on the
 * engines in software. It executes nothing.
 */
final class KvmModelRegisters extends Processor {
  private final CpuModel model;
  private final LocalInterrupts interrupts;

  KvmModelRegisters(GuestMemory memory, Bus bus, CpuModel model, LocalInterrupts interrupts) {
    super(memory, bus);
    this.model = model;
    this.interrupts = interrupts;
  }

  private static UnsupportedOperationException executesNothing() {
    return new UnsupportedOperationException("the hardware executes");
  }

  @Override
  public long load(long linear, int sizeBytes) {
    throw executesNothing();
  }

  @Override
  public void store(long linear, int sizeBytes, long value) {
    throw executesNothing();
  }

  @Override
  public void probeWrite(long linear, int sizeBytes) {
    throw executesNothing();
  }

  @Override
  public long loadSystem(long linear, int sizeBytes) {
    throw executesNothing();
  }

  @Override
  public void storeSystem(long linear, int sizeBytes, long value) {
    throw executesNothing();
  }

  @Override
  public void probeSystemWrite(long linear, int sizeBytes) {
    throw executesNothing();
  }

  @Override
  public long loadPhysical(long physical, int sizeBytes) {
    throw executesNothing();
  }

  @Override
  public long timeStampCounter() {
    throw executesNothing();
  }

  @Override
  public void flushTlb(boolean globalToo) {
    // The hardware's are flushed when its registers are set.
  }

  @Override
  public void modeChanged() {}

  @Override
  public void addressSpaceChanged(boolean keepTranslations) {}

  @Override
  public void invalidatePage(long linear) {}

  @Override
  public void invalidatePcid(int type, int pcid, long linear) {}

  @Override
  public LocalInterrupts localInterrupts() {
    return interrupts;
  }

  @Override
  public CpuModel model() {
    return model;
  }
}
