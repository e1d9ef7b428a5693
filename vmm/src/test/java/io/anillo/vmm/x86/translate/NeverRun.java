package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.InterpretedCpu;

/** Code that is only talked about. */
final class NeverRun extends CompiledCode {
  @Override
  public int run(InterpretedCpu cpu, int depth) {
    throw new UnsupportedOperationException();
  }
}
