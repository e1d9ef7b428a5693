package io.anillo.vmm.x86.decode;

import io.anillo.vmm.cpu.CpuState;
import java.util.List;

/**
 * One decoded instruction: data only. Made by {@link Decoder}; the interpreter and the translator
 * compile it.
 *
 * <p>The effective address of a memory operand is {@code ((general[base] + (general[index] <<
 * scaleShift) + displacement) & addressMask) + segmentBase[segment]}, where an absent base or index
 * is {@link CpuState#ZERO_REGISTER}. {@link #ripRelative} adds the address of the next instruction.
 */
public final class Instruction {
  public static final int PREFIX_LOCK = 1,
      PREFIX_REPNE = 2,
      PREFIX_REP = 4,
      PREFIX_OPERAND_SIZE = 8;

  private static final Operand NO_OPERAND = new Operand(Operand.Kind.IMMEDIATE, 0, 0);

  Operation operation = Operation.NOP;
  List<Operand> operands = List.of();
  int length;
  int prefixes;
  int operandBytes;
  int addressBytes;
  int opcode;
  int modrm = -1;
  int rex;
  int base = CpuState.ZERO_REGISTER;
  int index = CpuState.ZERO_REGISTER;
  int scaleShift;
  long displacement;
  boolean ripRelative;
  int segment = CpuState.DS;
  boolean segmentOverridden;
  long immediate;
  int immediate2;

  Instruction() {}

  public Operation operation() {
    return operation;
  }

  public int operandCount() {
    return operands.size();
  }

  /** Operand {@code n}, destination first, as in Intel's notation. */
  public Operand operand(int n) {
    return n < operands.size() ? operands.get(n) : NO_OPERAND;
  }

  /** Length in bytes, 1 to 15. */
  public int length() {
    return length;
  }

  public boolean locked() {
    return (prefixes & PREFIX_LOCK) != 0;
  }

  /** F3: REP, REPE. */
  public boolean rep() {
    return (prefixes & PREFIX_REP) != 0;
  }

  /** F2: REPNE. */
  public boolean repne() {
    return (prefixes & PREFIX_REPNE) != 0;
  }

  /**
   * Width of operands whose size follows the mode and prefixes: 1 for the byte forms, else 2, 4 or
   * 8.
   */
  public int operandBytes() {
    return operandBytes;
  }

  /** Width of address computations and of the counters of string instructions: 2, 4 or 8. */
  public int addressBytes() {
    return addressBytes;
  }

  /** What effective addresses are cut to. */
  public long addressMask() {
    return addressBytes == 8 ? -1L : addressBytes == 4 ? 0xFFFF_FFFFL : 0xFFFFL;
  }

  /** The opcode's last byte. */
  public int opcode() {
    return opcode;
  }

  /** The ModRM byte, or -1. */
  public int modrm() {
    return modrm;
  }

  public boolean rexW() {
    return (rex & 8) != 0;
  }

  public int base() {
    return base;
  }

  public int index() {
    return index;
  }

  public int scaleShift() {
    return scaleShift;
  }

  public long displacement() {
    return displacement;
  }

  public boolean ripRelative() {
    return ripRelative;
  }

  /** The segment register of the memory operand; in 64-bit mode only FS and GS have a base. */
  public int segment() {
    return segment;
  }

  public boolean segmentOverridden() {
    return segmentOverridden;
  }

  public long immediate() {
    return immediate;
  }

  /** The second immediate of ENTER, or the selector of a far pointer. */
  public int immediate2() {
    return immediate2;
  }

  @Override
  public String toString() {
    return operation + " " + operands + (modrm >= 0 ? " modrm=" + Integer.toHexString(modrm) : "");
  }
}
