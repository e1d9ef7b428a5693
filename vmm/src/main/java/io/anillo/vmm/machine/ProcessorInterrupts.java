package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.interrupt.LocalApic;
import java.lang.foreign.MemorySegment;

/**
 * A processor's way to its local APIC: takes the board's lock around everything but {@link
 * #pending}.
 */
final class ProcessorInterrupts implements LocalInterrupts {
  private final BoardLock lock;
  private final LocalApic apic;
  private final ExitCounters exits;

  ProcessorInterrupts(BoardLock lock, LocalApic apic, ExitCounters exits) {
    this.exits = exits;
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
      int vector = apic.acknowledge();
      if (vector >= 0) {
        exits.count(ExitReason.INTERRUPT);
      }
      return vector;
    } finally {
      lock.release();
    }
  }

  @Override
  public void retract(int vector) {
    lock.acquire();
    try {
      apic.retract(vector);
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
    if (index == LocalApic.MSR_APIC_BASE) {
      // CPUID asks for it too.
      return readUncounted(index);
    }
    ExitReason reason = ExitClasses.ofLocalMsr(index);
    exits.enter(reason);
    try {
      return readUncounted(index);
    } finally {
      exits.leave(reason);
    }
  }

  private long readUncounted(int index) {
    lock.acquire();
    try {
      return apic.readMsr(index);
    } finally {
      lock.release();
    }
  }

  @Override
  public void writeMsr(int index, long value) {
    ExitReason reason = ExitClasses.ofLocalMsr(index);
    exits.enter(reason);
    lock.acquire();
    try {
      apic.writeMsr(index, value);
    } finally {
      lock.release();
      exits.leave(reason);
    }
  }

  @Override
  public void takeRegisters(MemorySegment page, Besides besides) {
    lock.acquire();
    try {
      apic.takeRegisters(page, besides);
    } finally {
      lock.release();
    }
  }

  @Override
  public long heldDeadlineTsc() {
    lock.acquire();
    try {
      return apic.heldDeadlineTsc();
    } finally {
      lock.release();
    }
  }

  @Override
  public Besides putRegisters(MemorySegment page) {
    lock.acquire();
    try {
      return apic.putRegisters(page);
    } finally {
      lock.release();
    }
  }

  @Override
  public void ended(int vector) {
    exits.enter(ExitReason.INTERRUPT_CONTROLLER);
    lock.acquire();
    try {
      apic.ended(vector);
    } finally {
      lock.release();
      exits.leave(ExitReason.INTERRUPT_CONTROLLER);
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
