package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.x86.execute.Processor;

/** Hardware task switches. */
final class TaskSwitch {
  /** What caused a switch. */
  enum Cause {
    JUMP,
    CALL,
    RETURN,
    INTERRUPT
  }

  private TaskSwitch() {}

  static long readAvailable(Processor processor, int selector, int external) {
    throw processor.generalProtection(selector & 0xFFFC | external);
  }

  static long readBusy(Processor processor, int selector) {
    throw processor.invalidTss(selector & 0xFFFC);
  }

  static void perform(
      Processor processor, int selector, long descriptor, Cause cause, long nextRip) {
    int flags = processor.state.rflags();
    perform(processor, selector, descriptor, cause, nextRip, flags, false, 0, 0);
  }

  static void perform(
      Processor processor,
      int selector,
      long descriptor,
      Cause cause,
      long nextRip,
      int flags,
      boolean pushesCode,
      int errorCode,
      int external) {
    throw processor.generalProtection(selector & 0xFFFC | external);
  }
}
