package io.anillo.vmm.x86.vector;

import io.anillo.vmm.cpu.LocalInterrupts;

/** An interrupt controller to which nothing is connected. */
final class NoInterrupts implements LocalInterrupts {
  private int taskPriority;

  @Override
  public boolean pending() {
    return false;
  }

  @Override
  public int acknowledge() {
    return -1;
  }

  @Override
  public int taskPriorityClass() {
    return taskPriority;
  }

  @Override
  public void setTaskPriorityClass(int priorityClass) {
    taskPriority = priorityClass;
  }

  @Override
  public long readMsr(int index) {
    if (index == 0x1B) {
      return 0xFEE0_0900L;
    }
    throw new UnknownMsrException(index);
  }

  @Override
  public void writeMsr(int index, long value) {
    throw new UnknownMsrException(index);
  }

  @Override
  public void initReset() {}
}
