package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;

/**
 * One instruction on its way to becoming a step, with what its place in a block adds: the mode, and
 * where it stands.
 */
final class Operands {
  private final Instruction instruction;
  private final CodeSize codeSize;
  private final int offset;
  private final int stackBytes;
  private boolean placeUsed;

  /**
   * @param offset bytes from the start of the block to the instruction
   * @param stackBytes width of the stack pointer in this mode: 2, 4 or 8
   */
  Operands(Instruction instruction, CodeSize codeSize, int offset, int stackBytes) {
    this.instruction = instruction;
    this.codeSize = codeSize;
    this.offset = offset;
    this.stackBytes = stackBytes;
  }

  Instruction instruction() {
    return instruction;
  }

  CodeSize codeSize() {
    return codeSize;
  }

  int stackBytes() {
    return stackBytes;
  }

  /** Bytes from the start of the block to the instruction. */
  int offset() {
    placeUsed = true;
    return offset;
  }

  /** Whether the place in the block was asked for since {@link #forgetUse}. */
  boolean placeUsed() {
    return placeUsed;
  }

  void forgetUse() {
    placeUsed = false;
  }

  boolean code64() {
    return codeSize == CodeSize.CODE_64;
  }

  /** Bytes from the start of the block to the next instruction. */
  int nextOffset() {
    return offset() + instruction.length();
  }

  /** What RIP is cut to when this instruction transfers control within its segment. */
  long ripMask() {
    return instruction.operandBytes() == 2 ? 0xFFFFL : code64() ? -1L : 0xFFFF_FFFFL;
  }

  Address address() {
    return code64()
        ? new Address.Flat(instruction, instruction.ripRelative() ? nextOffset() : 0)
        : new Address.Segmented(instruction);
  }

  /** Operand {@code n} as an integer. */
  Place place(int n) {
    Operand operand = instruction.operand(n);
    return switch (operand.kind()) {
      case GENERAL -> new Place.Register(operand.register(), operand.sizeBytes());
      case HIGH_BYTE -> new Place.HighByte(operand.register());
      case IMMEDIATE -> new Place.Constant(instruction.immediate(), operand.sizeBytes());
      case MEMORY -> new Place.Memory(address(), operand.sizeBytes());
      case RELATIVE, FAR_POINTER, SEGMENT, CONTROL, DEBUG, MMX, XMM ->
          throw new IllegalStateException(operand + " is not an integer operand");
    };
  }

  Operand operand(int n) {
    return instruction.operand(n);
  }

  int operandCount() {
    return instruction.operandCount();
  }

  int operandBytes() {
    return instruction.operandBytes();
  }
}
