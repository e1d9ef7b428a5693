package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;

/**
 * A step of 64-bit code with a memory operand, whose address is in the step's own fields: one
 * dependent load and one virtual call less than through {@link Address}.
 */
abstract class FlatStep extends Step {
  private final int base;
  private final int index;
  private final int scaleShift;
  private final int segment;
  private final long displacement;

  FlatStep(Operands operands) {
    Instruction instruction = operands.instruction();
    boolean relative = instruction.ripRelative();
    this.base = relative ? CpuState.BLOCK_RIP : instruction.base();
    this.index = instruction.index();
    this.scaleShift = instruction.scaleShift();
    this.displacement = instruction.displacement() + (relative ? operands.nextOffset() : 0);
    this.segment =
        instruction.segment() >= CpuState.FS ? instruction.segment() : CpuState.NO_SEGMENT;
  }

  /** Whether an instruction's memory operand is of this simple kind. */
  static boolean fits(Operands operands) {
    return operands.code64() && operands.instruction().addressMask() == -1L;
  }

  final long linear(InterpretedCpu cpu) {
    long[] general = cpu.general;
    return general[base] + (general[index] << scaleShift) + displacement + cpu.segmentBase[segment];
  }
}
