package io.anillo.vmm.x86.execute;

/**
 * Integer arithmetic as pure functions. Values of width {@code size} bytes come in longs; results
 * are sign-extended to 64 bits, which is what {@code CpuState.flagResult} wants. The {@code
 * …Carries} functions give the value of {@code CpuState.flagCarries} (its Javadoc explains the
 * format).
 *
 * <p>Hot class: called by the interpreter and by translated code, inlined by HotSpot.
 */
public final class Alu {
  /** The bits of {@code flagCarries} that an addition or subtraction sets. */
  private static final long TOP_TWO = 0xC000_0000_0000_0000L;

  private static final long CARRY = Long.MIN_VALUE;
  private static final long AUXILIARY = 8;

  private Alu() {}

  // ---- widths

  public static long signExtend(long value, int size) {
    return switch (size) {
      case 1 -> (byte) value;
      case 2 -> (short) value;
      case 4 -> (int) value;
      default -> value;
    };
  }

  public static long zeroExtend(long value, int size) {
    return switch (size) {
      case 1 -> value & 0xFF;
      case 2 -> value & 0xFFFF;
      case 4 -> value & 0xFFFF_FFFFL;
      default -> value;
    };
  }

  // ---- addition and subtraction

  /** Flags of {@code result = a + b (+ carry)}. */
  public static long addCarries(long a, long b, long result, int size) {
    return pack((a & b) | ((a | b) & ~result), size);
  }

  public static long addCarries32(int a, int b, int result) {
    int carries = (a & b) | ((a | b) & ~result);
    return ((long) carries << 32 & TOP_TWO) | carries & 8;
  }

  public static long addCarries64(long a, long b, long result) {
    return ((a & b) | ((a | b) & ~result)) & (TOP_TWO | AUXILIARY);
  }

  /** Flags of {@code result = a - b (- borrow)}. */
  public static long subtractCarries(long a, long b, long result, int size) {
    return pack((~a & b) | ((~a | b) & result), size);
  }

  public static long subtractCarries32(int a, int b, int result) {
    int borrows = (~a & b) | ((~a | b) & result);
    return ((long) borrows << 32 & TOP_TWO) | borrows & 8;
  }

  public static long subtractCarries64(long a, long b, long result) {
    return ((~a & b) | ((~a | b) & result)) & (TOP_TWO | AUXILIARY);
  }

  private static long pack(long carries, int size) {
    return (carries << 64 - size * 8 & TOP_TWO) | carries & AUXILIARY;
  }

  /** The flags of INC and DEC: as of an addition or subtraction of 1, but CF stays what it was. */
  public static long keepCarry(long carries, long oldCarries) {
    long carry = oldCarries & CARRY;
    long overflow = (carries ^ carries << 1) & CARRY;
    return carry | (carry ^ overflow) >>> 1 | carries & AUXILIARY;
  }

  /** {@code flagCarries} from single flags, AF clear. */
  public static long carries(boolean carry, boolean overflow) {
    return (carry ? CARRY : 0) | (carry != overflow ? CARRY >>> 1 : 0);
  }

  /** Replaces CF and OF and leaves SF, ZF, PF and AF as they are. */
  public static long replaceCarryOverflow(long oldCarries, boolean carry, boolean overflow) {
    return oldCarries & ~TOP_TWO | carries(carry, overflow);
  }

  /** The flags of a two- or three-operand IMUL of 64 bits. */
  public static long multiplyCarries64(long a, long b) {
    boolean overflow = Math.multiplyHigh(a, b) != a * b >> 63;
    return carries(overflow, overflow);
  }

  /**
   * The flags of a two- or three-operand IMUL of 2 or 4 bytes; upper bits of the operands are
   * ignored.
   */
  public static long multiplyCarries(int a, int b, int size) {
    long product = signExtend(a, size) * signExtend(b, size);
    boolean overflow = product != signExtend(product, size);
    return carries(overflow, overflow);
  }

  // ---- shifts; the count is already masked to 5 or 6 bits and not zero

  public static long shiftLeft(long a, int count, int size) {
    return signExtend(count > 63 ? 0 : a << count, size);
  }

  public static long shiftLeftCarries(long a, int count, long result, int size) {
    int bits = size * 8;
    boolean carry = count <= bits && (a >>> bits - count & 1) != 0;
    return carries(carry, carry != (result < 0));
  }

  public static long shiftRight(long a, int count, int size) {
    return signExtend(zeroExtend(a, size) >>> count, size);
  }

  public static long shiftRightCarries(long a, int count, int size) {
    long value = zeroExtend(a, size);
    boolean carry = (value >>> count - 1 & 1) != 0;
    return carries(carry, count == 1 && (value >>> size * 8 - 1 & 1) != 0);
  }

  public static long shiftArithmetic(long a, int count, int size) {
    return signExtend(a, size) >> Math.min(count, 63);
  }

  public static long shiftArithmeticCarries(long a, int count, int size) {
    return carries((signExtend(a, size) >> Math.min(count - 1, 63) & 1) != 0, false);
  }

  /** Rotates left; right rotations are left rotations by the complement. */
  public static long rotateLeft(long a, int count, int size) {
    int bits = size * 8;
    int n = count & bits - 1;
    long value = zeroExtend(a, size);
    return n == 0 ? signExtend(value, size) : signExtend(value << n | value >>> bits - n, size);
  }

  /** Flags after ROL gave {@code result}, sign-extended: SF, ZF, PF and AF stay. */
  public static long rotateLeftCarries(long oldCarries, long result, int size) {
    boolean carry = (result & 1) != 0;
    return replaceCarryOverflow(oldCarries, carry, carry != signExtend(result, size) < 0);
  }

  /** Flags after ROR gave {@code result}, sign-extended: SF, ZF, PF and AF stay. */
  public static long rotateRightCarries(long oldCarries, long result, int size) {
    boolean carry = signExtend(result, size) < 0;
    boolean next = (result >>> size * 8 - 2 & 1) != 0;
    return replaceCarryOverflow(oldCarries, carry, next != carry);
  }

  /** CF becomes bit 0 of {@code value}; the other flags stay. */
  public static long bitToCarry(long value, long oldCarries) {
    return replaceCarryOverflow(oldCarries, (value & 1) != 0, overflow(oldCarries));
  }

  /** Rotates left through carry; the count is below {@code bits + 1}. */
  public static long rotateCarryLeft(long a, boolean carry, int count, int size) {
    int bits = size * 8;
    long value = zeroExtend(a, size);
    if (count == 0) {
      return signExtend(value, size);
    }
    long low = (carry ? 1L : 0L) << count - 1;
    long wrapped = count == 1 ? 0 : value >>> bits + 1 - count;
    return signExtend((count == 64 ? 0 : value << count) | low | wrapped, size);
  }

  /** The carry out of {@link #rotateCarryLeft}, for a count of 1 or more. */
  public static boolean rotateCarryLeftOut(long a, int count, int size) {
    return (zeroExtend(a, size) >>> size * 8 - count & 1) != 0;
  }

  /** Rotates right through carry; the count is below {@code bits + 1}. */
  public static long rotateCarryRight(long a, boolean carry, int count, int size) {
    int bits = size * 8;
    return count == 0 ? signExtend(a, size) : rotateCarryLeftFull(a, carry, bits + 1 - count, size);
  }

  private static long rotateCarryLeftFull(long a, boolean carry, int count, int size) {
    int bits = size * 8;
    long value = zeroExtend(a, size);
    long high = count >= 64 ? 0 : value << count;
    long low = (carry ? 1L : 0L) << count - 1;
    int right = bits + 1 - count;
    long wrapped = right >= 64 ? 0 : value >>> right;
    return signExtend(high | low | wrapped, size);
  }

  /** The carry out of {@link #rotateCarryRight}, for a count of 1 or more. */
  public static boolean rotateCarryRightOut(long a, int count, int size) {
    return (zeroExtend(a, size) >>> count - 1 & 1) != 0;
  }

  /** SHLD: {@code a} shifted left, filled from the top of {@code b}; count 1 .. 63. */
  public static long doubleShiftLeft(long a, long b, int count, int size) {
    int bits = size * 8;
    if (size == 2) {
      // Counts above 16 are undefined; processors shift a:b:a.
      long wide = zeroExtend(a, 2) << 32 | zeroExtend(b, 2) << 16 | zeroExtend(a, 2);
      return (short) (wide << count >>> 32);
    }
    return signExtend(a << count | zeroExtend(b, size) >>> bits - count, size);
  }

  public static boolean doubleShiftLeftCarry(long a, long b, int count, int size) {
    if (size == 2 && count > 16) {
      return (zeroExtend(b, 2) >>> 32 - count & 1) != 0;
    }
    return (zeroExtend(a, size) >>> size * 8 - count & 1) != 0;
  }

  /** SHRD: {@code a} shifted right, filled from the bottom of {@code b}; count 1 .. 63. */
  public static long doubleShiftRight(long a, long b, int count, int size) {
    int bits = size * 8;
    if (size == 2) {
      long wide = zeroExtend(a, 2) << 32 | zeroExtend(b, 2) << 16 | zeroExtend(a, 2);
      return (short) (wide >>> count | zeroExtend(b, 2) << 16 >>> count | zeroShift16(a, count));
    }
    return signExtend(zeroExtend(a, size) >>> count | b << bits - count, size);
  }

  private static long zeroShift16(long a, int count) {
    return zeroExtend(a, 2) >>> count;
  }

  public static boolean doubleShiftRightCarry(long a, long b, int count, int size) {
    if (size == 2 && count > 16) {
      return (zeroExtend(b, 2) >>> count - 17 & 1) != 0;
    }
    return (zeroExtend(a, size) >>> count - 1 & 1) != 0;
  }

  /**
   * {@code flagResult} for the flags of a floating-point comparison: ZF, PF and CF in their places,
   * others clear.
   */
  public static long comparisonResult(int flags) {
    return (flags & 0x40) != 0 ? 0 : 1;
  }

  /** {@code flagCarries} for the flags of a floating-point comparison. */
  public static long comparisonCarries(int flags) {
    // A result of 0 has even parity, one of 1 odd: bit 2 inverts where the flag says otherwise.
    long invertParity = (flags >> 6 ^ flags >> 2) & 1;
    return carries((flags & 1) != 0, false) | invertParity << 2;
  }

  // ---- conditions

  public static boolean parity(long result, long carries) {
    return ((Integer.bitCount((int) result & 0xFF) ^ (int) carries >> 2) & 1) == 0;
  }

  public static boolean overflow(long carries) {
    return (carries ^ carries << 1) < 0;
  }

  public static boolean sign(long result, long carries) {
    return (result ^ carries << 2) < 0;
  }

  public static boolean less(long result, long carries) {
    return (result ^ carries << 2 ^ carries ^ carries << 1) < 0;
  }

  /**
   * A condition of Jcc, SETcc, CMOVcc.
   *
   * @param code the low four bits of the opcode
   */
  public static boolean condition(int code, long result, long carries) {
    boolean value =
        switch (code >> 1 & 7) {
          case 0 -> overflow(carries);
          case 1 -> carries < 0;
          case 2 -> result == 0;
          case 3 -> carries < 0 || result == 0;
          case 4 -> sign(result, carries);
          case 5 -> parity(result, carries);
          case 6 -> less(result, carries);
          default -> result == 0 || less(result, carries);
        };
    return value != ((code & 1) != 0);
  }
}
