package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;

/** Which general registers generated code for an instruction touches, named or implied. */
final class RegisterUse {
  private RegisterUse() {}

  /** A bit for each register. */
  static int of(Instruction instruction) {
    int used = 0;
    for (int i = 0; i < instruction.operandCount(); i++) {
      Operand operand = instruction.operand(i);
      if (operand.kind() == Operand.Kind.GENERAL || operand.kind() == Operand.Kind.HIGH_BYTE) {
        used |= 1 << operand.register();
      }
    }
    if (instruction.base() < 16) {
      used |= 1 << instruction.base();
    }
    if (instruction.index() < 16) {
      used |= 1 << instruction.index();
    }
    return used
        | switch (instruction.operation()) {
          case PUSH, POP, CALL, CALL_INDIRECT, RET -> 1 << CpuState.RSP;
          case LEAVE -> 1 << CpuState.RSP | 1 << CpuState.RBP;
          case CBW, CWD, MUL, IMUL1, DIV, IDIV -> 1 << CpuState.RAX | 1 << CpuState.RDX;
          case CMPXCHG -> 1 << CpuState.RAX;
          default -> 0;
        };
  }
}
