package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;

/**
 * A step of 64-bit code with a memory operand, whose address is in the step's own fields: one
 * dependent load and one virtual call less than through {@link Address}.
 */
abstract class FlatStep extends Step {
  private final byte base;
  private final byte index;
  private final byte scaleShift;
  private final byte segment;
  private final int displacement;

  FlatStep(Operands operands) {
    Instruction instruction = operands.instruction();
    boolean relative = instruction.ripRelative();
    this.base = (byte) (relative ? CpuState.BLOCK_RIP : instruction.base());
    this.index = (byte) instruction.index();
    this.scaleShift = (byte) instruction.scaleShift();
    this.displacement = (int) displacement(operands);
    int named = instruction.segment();
    this.segment = (byte) (named >= CpuState.FS ? named : CpuState.NO_SEGMENT);
  }

  private static long displacement(Operands operands) {
    Instruction instruction = operands.instruction();
    return instruction.displacement() + (instruction.ripRelative() ? operands.nextOffset() : 0);
  }

  /** Whether an instruction's memory operand is of this simple kind. */
  static boolean fits(Operands operands) {
    long displacement = displacement(operands);
    return operands.code64()
        && operands.instruction().addressMask() == -1L
        && (int) displacement == displacement;
  }

  final long linear(InterpretedCpu cpu) {
    long[] general = cpu.general;
    return general[base] + (general[index] << scaleShift) + displacement + cpu.segmentBase[segment];
  }
}
