package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;

/**
 * Tells, after the fact, whether a faulting instruction's memory access was one of the stack
 * segment.
 */
final class StackReference {
  private StackReference() {}

  /**
   * Decodes the instruction again. An instruction that crosses into the next page counts as no
   * stack reference; only the vector of a fault that never happens in working programs depends on
   * it.
   */
  static boolean isStack(GuestMemory memory, long physical, int available, int key) {
    byte[] bytes = new byte[15];
    int length = Math.min(available, bytes.length);
    memory.read(physical, bytes, 0, length);
    try {
      Instruction instruction =
          new Decoder().decode(bytes, 0, length, InterpretedCpu.codeSizeOf(key));
      return switch (instruction.operation()) {
        case PUSH, POP, PUSHF, POPF, CALL, RET, LEAVE, ENTER, PUSH_SEGMENT, POP_SEGMENT -> true;
        default -> instruction.segment() == CpuState.SS;
      };
    } catch (DecodeException e) {
      return false;
    }
  }
}
