package io.anillo.vmm.x86.execute;

import io.anillo.vmm.cpu.CpuState;

/**
 * Arithmetic flags that are not computed until somebody looks: a kind, which says how they come
 * about, and up to three values. Translated code keeps its flags like this, since most are
 * overwritten unseen; {@link #result} and {@link #carries} turn them into the two numbers of {@code
 * CpuState}.
 *
 * <p>A kind is a base, which {@code a} and {@code b} belong to, plus an overlay, which replaces CF
 * and OF by what {@code c} says. Operands of 1, 2 and 4 bytes are sign-extended.
 */
public final class LazyFlags {
  /** {@code a} is {@code CpuState.flagResult}, {@code b} is {@code CpuState.flagCarries}. */
  public static final int RAW = 0;

  /**
   * Bases of four kinds each, for operands of 1, 2, 4 and 8 bytes, in this order.
   *
   * <p>INC and DEC: {@code a} is the result, bit 63 of {@code b} is CF from before. ADD and SUB
   * (also CMP, NEG): the operands. SHL, SHR, SAR: the operand and the count, which is not 0.
   * MULTIPLY: the operands of a two- or three-operand IMUL.
   */
  public static final int INC = 1,
      DEC = 5,
      ADD = 9,
      SUB = 13,
      SHL = 17,
      SHR = 21,
      SAR = 25,
      MULTIPLY = 29;

  /** {@code a} has ZF, PF and CF in their places, as comparisons of floating point set them. */
  public static final int COMPARED = 33;

  /** The highest base of which bit 63 of {@code b} is CF. */
  public static final int LAST_CARRY_IN_B = DEC + 3;

  public static final int BASE_MASK = 0xFF;

  /** Overlay: CF is bit 0 of {@code c}; OF stays. */
  public static final int BIT = 1 << 8;

  /** Overlays of four each: {@code c} is the sign-extended result of a rotation of 1 to 8 bytes. */
  public static final int ROL = 2 << 8, ROR = 6 << 8;

  private LazyFlags() {}

  /** 0 to 3 for 1, 2, 4 and 8 bytes. */
  public static int width(int sizeBytes) {
    return Integer.numberOfTrailingZeros(sizeBytes);
  }

  /** Writes the flags to a processor's state. */
  public static void store(CpuState state, int kind, long a, long b, long c) {
    if (kind == RAW) {
      state.flagResult = a;
      state.flagCarries = b;
    } else {
      state.flagResult = result(kind, a, b);
      state.flagCarries = carries(kind, a, b, c);
    }
  }

  /** {@code CpuState.flagResult}. */
  public static long result(int kind, long a, long b) {
    int base = kind & BASE_MASK;
    int group = base - 1 >> 2;
    int size = 1 << (base - 1 & 3);
    return switch (group) {
      case 2 -> Alu.signExtend(a + b, size);
      case 3 -> Alu.signExtend(a - b, size);
      case 4 -> Alu.shiftLeft(a, (int) b, size);
      case 5 -> Alu.shiftRight(a, (int) b, size);
      case 6 -> Alu.shiftArithmetic(a, (int) b, size);
      case 7 -> Alu.signExtend(a * b, size);
      case 8 -> Alu.comparisonResult((int) a);
      default -> a;
    };
  }

  /** {@code CpuState.flagCarries}. */
  public static long carries(int kind, long a, long b, long c) {
    long carries = baseCarries(kind & BASE_MASK, a, b);
    int overlay = kind & ~BASE_MASK;
    if (overlay == 0) {
      return carries;
    }
    if (overlay == BIT) {
      return Alu.bitToCarry(c, carries);
    }
    return overlay < ROR
        ? Alu.rotateLeftCarries(carries, c, 1 << (overlay - ROL >> 8))
        : Alu.rotateRightCarries(carries, c, 1 << (overlay - ROR >> 8));
  }

  private static long baseCarries(int base, long a, long b) {
    int size = 1 << (base - 1 & 3);
    return switch (base - 1 >> 2) {
      case 0 -> Alu.keepCarry(Alu.addCarries(a - 1, 1, a, size), b);
      case 1 -> Alu.keepCarry(Alu.subtractCarries(a + 1, 1, a, size), b);
      case 2 -> Alu.addCarries(a, b, a + b, size);
      case 3 -> Alu.subtractCarries(a, b, a - b, size);
      case 4 -> Alu.shiftLeftCarries(a, (int) b, Alu.shiftLeft(a, (int) b, size), size);
      case 5 -> Alu.shiftRightCarries(a, (int) b, size);
      case 6 -> Alu.shiftArithmeticCarries(a, (int) b, size);
      case 7 ->
          size == 8 ? Alu.multiplyCarries64(a, b) : Alu.multiplyCarries((int) a, (int) b, size);
      case 8 -> Alu.comparisonCarries((int) a);
      default -> b;
    };
  }

  /** CF in bit 63; other bits are of no meaning. */
  public static long carry(int kind, long a, long b, long c) {
    int overlay = kind & ~BASE_MASK;
    if (overlay == 0) {
      return baseCarries(kind, a, b);
    }
    return overlay == BIT || overlay < ROR ? c << 63 : c;
  }

  /**
   * A condition of Jcc, SETcc, CMOVcc.
   *
   * @param code the low four bits of the opcode
   */
  public static boolean condition(int code, int kind, long a, long b, long c) {
    return switch (code) {
      case 2 -> carry(kind, a, b, c) < 0;
      case 3 -> carry(kind, a, b, c) >= 0;
      case 4 -> result(kind, a, b) == 0;
      case 5 -> result(kind, a, b) != 0;
      default -> Alu.condition(code, result(kind, a, b), carries(kind, a, b, c));
    };
  }
}
