package io.anillo.vmm.x86.decode;

/**
 * One operand of a decoded instruction.
 *
 * @param kind where the value is
 * @param register the register's number; for {@link Kind#HIGH_BYTE} the register whose bits 8-15 it
 *     is
 * @param sizeBytes width of the value: 1, 2, 4, 8, 16; 0 where the operation decides
 */
public record Operand(Kind kind, int register, int sizeBytes) {

  /** The kinds of operands. */
  public enum Kind {
    /** General register 0-15. */
    GENERAL,
    /** AH, CH, DH or BH. */
    HIGH_BYTE,
    /** Memory at the instruction's effective address. */
    MEMORY,
    /** {@link Instruction#immediate}. */
    IMMEDIATE,
    /** A branch target, {@link Instruction#immediate} bytes behind the instruction's end. */
    RELATIVE,
    /**
     * A selector in {@link Instruction#immediate2} and an offset in {@link Instruction#immediate}.
     */
    FAR_POINTER,
    SEGMENT,
    CONTROL,
    DEBUG,
    MMX,
    XMM
  }

  public boolean isMemory() {
    return kind == Kind.MEMORY;
  }

  public boolean isImmediate() {
    return kind == Kind.IMMEDIATE;
  }

  /** A whole general register, not one of AH..BH. */
  public boolean isGeneral() {
    return kind == Kind.GENERAL;
  }
}
