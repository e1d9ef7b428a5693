package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;

/**
 * Tells, after the fact, whether an address that is not canonical was one of the stack segment.
 * Only for faults that working programs do not have.
 */
final class StackReference {
  private final Decoder decoder = new Decoder();
  private final byte[] bytes = new byte[15];

  /** Decodes the faulting instruction, at RIP, again. */
  boolean isStack(InterpretedCpu cpu, int key) {
    int length = cpu.readCode(bytes);
    try {
      Instruction instruction = decoder.decode(bytes, 0, length, InterpretedCpu.codeSizeOf(key));
      return switch (instruction.operation()) {
        case CALL, RET, LEAVE, ENTER, PUSHF, POPF, PUSH_SEGMENT, POP_SEGMENT -> true;
        // The operand in memory is read before the stack is touched.
        case PUSH, CALL_INDIRECT ->
            instruction.segment() == CpuState.SS || canonical(cpu, instruction);
        // The stack is read before the operand in memory is written.
        case POP -> instruction.segment() == CpuState.SS || !canonicalStack(cpu);
        default -> instruction.segment() == CpuState.SS;
      };
    } catch (DecodeException e) {
      return false;
    }
  }

  private static boolean canonicalStack(InterpretedCpu cpu) {
    long pointer = cpu.general[CpuState.RSP];
    return pointer << 16 >> 16 == pointer;
  }

  private static boolean canonical(InterpretedCpu cpu, Instruction instruction) {
    if (!instruction.operand(0).isMemory()) {
      return true;
    }
    long offset =
        cpu.general[instruction.base()]
            + (cpu.general[instruction.index()] << instruction.scaleShift())
            + instruction.displacement();
    if (instruction.ripRelative()) {
      offset += cpu.state.rip + instruction.length();
    }
    int segment =
        instruction.segment() >= CpuState.FS ? instruction.segment() : CpuState.NO_SEGMENT;
    long linear = (offset & instruction.addressMask()) + cpu.segmentBase[segment];
    return linear << 16 >> 16 == linear;
  }
}
