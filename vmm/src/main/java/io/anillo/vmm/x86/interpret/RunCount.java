package io.anillo.vmm.x86.interpret;

import org.jspecify.annotations.Nullable;

/**
 * Tells what compiled code has run, also when the code is gone. The number itself stands in the
 * code, where counting costs no access to memory of its own.
 */
public final class RunCount {
  private @Nullable CompiledCode code;
  private long before;

  RunCount(CompiledCode code) {
    this.code = code;
  }

  /** A count of code that is gone. */
  public RunCount(long instructions) {
    before = instructions;
  }

  /** Guest instructions so far. */
  public synchronized long instructions() {
    return before + (code == null ? 0 : code.retired());
  }

  /** The code goes. */
  synchronized void end() {
    before = instructions();
    code = null;
  }
}
