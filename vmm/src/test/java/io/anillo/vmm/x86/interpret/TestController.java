package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.LocalInterrupts;

/** An interrupt controller with one request line. */
public final class TestController implements LocalInterrupts {
  /** The vector that waits, or -1. */
  public volatile int vector = -1;

  /** Done when one is taken. */
  public Runnable onAcknowledge = () -> {};

  private int priority;

  @Override
  public boolean pending() {
    return vector >= 0;
  }

  @Override
  public int acknowledge() {
    int taken = vector;
    vector = -1;
    onAcknowledge.run();
    return taken;
  }

  @Override
  public int taskPriorityClass() {
    return priority;
  }

  @Override
  public void setTaskPriorityClass(int priorityClass) {
    priority = priorityClass;
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
  public void retract(int taken) {
    vector = taken;
  }

  @Override
  public void initReset() {}
}
