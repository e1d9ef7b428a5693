package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.interrupt.LocalApic;

/**
 * A processor's way to its local APIC: takes the board's lock around everything but {@link
 * #pending}.
 */
final class ProcessorInterrupts implements LocalInterrupts {
  private final BoardLock lock;
  private final LocalApic apic;

  ProcessorInterrupts(BoardLock lock, LocalApic apic) {
    this.lock = lock;
    this.apic = apic;
  }

  @Override
  public boolean pending() {
    return apic.pending();
  }

  @Override
  public int acknowledge() {
    lock.acquire();
    try {
      return apic.acknowledge();
    } finally {
      lock.release();
    }
  }

  /**
   * Only the processor itself changes its task priority, so its own thread may read it without the
   * lock.
   */
  @Override
  public int taskPriorityClass() {
    return apic.taskPriorityClass();
  }

  @Override
  public void setTaskPriorityClass(int priorityClass) {
    lock.acquire();
    try {
      apic.setTaskPriorityClass(priorityClass);
    } finally {
      lock.release();
    }
  }

  @Override
  public long readMsr(int index) {
    lock.acquire();
    try {
      return apic.readMsr(index);
    } finally {
      lock.release();
    }
  }

  @Override
  public void writeMsr(int index, long value) {
    lock.acquire();
    try {
      apic.writeMsr(index, value);
    } finally {
      lock.release();
    }
  }

  @Override
  public void initReset() {
    lock.acquire();
    try {
      apic.initReset();
    } finally {
      lock.release();
    }
  }
}
