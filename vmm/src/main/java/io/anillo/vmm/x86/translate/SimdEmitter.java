package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;

/** SSE instructions. */
final class SimdEmitter {
  private SimdEmitter() {}

  static boolean knows(Instruction instruction) {
    return false;
  }

  static boolean emit(Frame frame, Instruction instruction) {
    return false;
  }
}
