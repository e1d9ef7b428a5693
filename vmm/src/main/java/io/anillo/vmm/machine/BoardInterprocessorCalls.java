package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.CpuSignals;
import io.anillo.vmm.device.interrupt.InterruptFabric;
import io.anillo.vmm.hypercall.InterprocessorCalls;
import java.util.List;

/**
 * Hypercalls between the processors of a board; as all that reaches its devices, under its lock.
 */
final class BoardInterprocessorCalls implements InterprocessorCalls {
  private final BoardLock lock;
  private final InterruptFabric fabric;
  private final List<? extends CpuSignals> processors;

  BoardInterprocessorCalls(
      BoardLock lock, InterruptFabric fabric, List<? extends CpuSignals> processors) {
    this.lock = lock;
    this.fabric = fabric;
    this.processors = processors;
  }

  @Override
  public boolean send(int apicId, int command) {
    int mode = command >> 8 & 7;
    if (!fabric.has(apicId) || mode != InterruptFabric.FIXED && mode != InterruptFabric.NMI) {
      return false;
    }
    lock.acquire();
    try {
      fabric.send(apicId, false, mode, command & 0xFF, false);
    } finally {
      lock.release();
    }
    return true;
  }

  @Override
  public void wake(int apicId) {
    if (apicId >= 0 && apicId < processors.size()) {
      processors.get(apicId).wake();
    }
  }
}
