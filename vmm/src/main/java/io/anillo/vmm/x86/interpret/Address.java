package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;

/** How an instruction finds its memory operand: an effective address, then a linear one. */
abstract class Address {
  final int base;
  final int index;
  final int scaleShift;
  final long displacement;
  final long mask;
  final int segment;

  Address(Instruction instruction, long extraDisplacement, int segment) {
    this.base = instruction.ripRelative() ? CpuState.BLOCK_RIP : instruction.base();
    this.index = instruction.index();
    this.scaleShift = instruction.scaleShift();
    this.displacement = instruction.displacement() + extraDisplacement;
    this.mask = instruction.addressMask();
    this.segment = segment;
  }

  /** The effective address: an offset in the segment. */
  final long offset(InterpretedCpu cpu) {
    long[] general = cpu.general;
    return general[base] + (general[index] << scaleShift) + displacement & mask;
  }

  /** The linear address, checked against the segment for an access of this kind. */
  abstract long linear(InterpretedCpu cpu, int sizeBytes, boolean write);

  /** In 64-bit mode segments have no limits, and only FS and GS a base. */
  static final class Flat extends Address {
    Flat(Instruction instruction, long extraDisplacement) {
      super(
          instruction,
          extraDisplacement,
          instruction.segment() >= CpuState.FS ? instruction.segment() : CpuState.NO_SEGMENT);
    }

    @Override
    long linear(InterpretedCpu cpu, int sizeBytes, boolean write) {
      return offset(cpu) + cpu.segmentBase[segment];
    }
  }

  /** In all other modes the segment decides. */
  static final class Segmented extends Address {
    Segmented(Instruction instruction) {
      super(instruction, 0, instruction.segment());
    }

    @Override
    long linear(InterpretedCpu cpu, int sizeBytes, boolean write) {
      return cpu.linear(segment, offset(cpu), sizeBytes, write);
    }
  }
}
