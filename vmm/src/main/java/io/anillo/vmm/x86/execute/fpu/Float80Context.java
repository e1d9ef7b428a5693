package io.anillo.vmm.x86.execute.fpu;

/**
 * What one x87 operation needs besides its operands and what it returns: the control word it obeys,
 * the number it makes and the exceptions it found. One instance for each processor, reused for
 * every operation, so that nothing is allocated.
 *
 * <p>An operation calls {@link #begin}, then leaves its result in {@link #signExponent} and {@link
 * #significand} and the status word bits it raised in {@link #exceptions}. When {@link #aborted}
 * says so, an unmasked exception forbids the result and both fields mean nothing (Intel SDM vol. 1
 * §8.5 and §8.6).
 *
 * <p>Hot class; the figures of {@code X87Benchmark} watch it.
 */
public final class Float80Context {
  /** Exception flags of the status word, and the mask bits of the control word. */
  public static final int INVALID = 1,
      DENORMAL = 2,
      ZERO_DIVIDE = 4,
      OVERFLOW = 8,
      UNDERFLOW = 16,
      PRECISION = 32;

  /**
   * Status word bit: the invalid operation was a stack overflow (C1 set) or underflow (C1 clear).
   */
  public static final int STACK_FAULT = 64;

  /** Condition code 1: the result was rounded away from zero. */
  public static final int C1 = 0x200;

  static final int ROUND_NEAREST = 0, ROUND_DOWN = 0x400, ROUND_UP = 0x800, ROUND_CHOP = 0xC00;
  static final int ROUNDING = 0xC00, PRECISION_CONTROL = 0x300;

  /** What an unmasked overflow takes from the exponent and an unmasked underflow adds to it. */
  private static final int EXPONENT_WRAP = 24576;

  /** The control word: masks in bits 0-5, precision control in 8-9, rounding control in 10-11. */
  public int control = 0x37F;

  /** The status word bits that the operation raised: exception flags, and {@link #C1}. */
  public int exceptions;

  /** The result's sign (bit 15) and biased exponent. */
  public int signExponent;

  /** The result's significand. */
  public long significand;

  /** The second result of the operations that have two. */
  public int secondSignExponent;

  public long secondSignificand;

  /** Condition codes of the status word, from remainders and from arguments out of range. */
  public int conditions;

  /** Whether a remainder got as far as to have a quotient, so that {@link #conditions} count. */
  public boolean reduced;

  /** Starts an operation. */
  public void begin() {
    exceptions = 0;
    conditions = 0;
    reduced = false;
  }

  /**
   * Whether an unmasked invalid operation, zero divide or denormal operand forbids to store the
   * result.
   */
  public boolean aborted() {
    return (exceptions & ~control & (INVALID | ZERO_DIVIDE | DENORMAL)) != 0;
  }

  /** Whether any unmasked exception forbids to store to memory, where all but precision do. */
  public boolean storeAborted() {
    return (exceptions & ~control & (INVALID | ZERO_DIVIDE | DENORMAL | OVERFLOW | UNDERFLOW)) != 0;
  }

  void set(int resultSignExponent, long resultSignificand) {
    signExponent = resultSignExponent;
    significand = resultSignificand;
  }

  /** The masked response to an invalid operation. */
  void invalid() {
    exceptions |= INVALID;
    set(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
  }

  /**
   * Raises the denormal-operand exception; true when it is unmasked and the operation must stop.
   */
  boolean denormal() {
    exceptions |= DENORMAL;
    return (control & DENORMAL) == 0;
  }

  /** Handles an operand that is a NaN or has an unsupported format; true when it was one. */
  boolean propagate(int signExponent, long significand) {
    if (Float80.isUnsupported(signExponent, significand)) {
      invalid();
      return true;
    }
    if (!Float80.isNan(signExponent, significand)) {
      return false;
    }
    if ((significand & Float80.QUIET_BIT) == 0) {
      exceptions |= INVALID;
    }
    set(signExponent, significand | Float80.QUIET_BIT);
    return true;
  }

  /**
   * Handles two operands of which one may be a NaN or of unsupported format; true when one was, and
   * the result is set (Intel SDM vol. 1 table 4-7).
   */
  boolean propagate(int aSignExponent, long aSignificand, int bSignExponent, long bSignificand) {
    if (Float80.isUnsupported(aSignExponent, aSignificand)
        || Float80.isUnsupported(bSignExponent, bSignificand)) {
      invalid();
      return true;
    }
    boolean aNan = Float80.isNan(aSignExponent, aSignificand);
    boolean bNan = Float80.isNan(bSignExponent, bSignificand);
    if (!aNan) {
      return bNan && propagate(bSignExponent, bSignificand);
    }
    if (!bNan) {
      return propagate(aSignExponent, aSignificand);
    }
    boolean aQuiet = (aSignificand & Float80.QUIET_BIT) != 0;
    boolean bQuiet = (bSignificand & Float80.QUIET_BIT) != 0;
    if (!aQuiet || !bQuiet) {
      exceptions |= INVALID;
    }
    boolean takeA;
    if (aQuiet != bQuiet) {
      takeA = aQuiet;
    } else {
      int order = Long.compareUnsigned(aSignificand, bSignificand);
      takeA = order > 0 || (order == 0 && (aSignExponent & Float80.SIGN) == 0);
    }
    if (takeA) {
      set(aSignExponent, aSignificand | Float80.QUIET_BIT);
    } else {
      set(bSignExponent, bSignificand | Float80.QUIET_BIT);
    }
    return true;
  }

  /** The number of significand bits that the precision control asks for. */
  int precision() {
    return switch (control & PRECISION_CONTROL) {
      case 0 -> 24;
      case 0x200 -> 53;
      default -> 64;
    };
  }

  /** {@link #round(int, int, long, long, int)} to the precision that the control word asks for. */
  void round(int sign, int exponent, long high, long low) {
    if ((control & (ROUNDING | PRECISION_CONTROL)) == PRECISION_CONTROL
        && exponent > 0
        && exponent < Float80.EXPONENT - 1) {
      if (low != 0) {
        exceptions |= PRECISION;
        if (low < 0 && (low != Long.MIN_VALUE || (high & 1) != 0)) {
          exceptions |= C1;
          if (++high == 0) {
            high = Float80.INTEGER_BIT;
            exponent++;
          }
        }
      }
      significand = high;
      signExponent = sign | exponent;
      return;
    }
    round(sign, exponent, high, low, precision());
  }

  /**
   * Rounds a number that is not zero to the format and raises overflow, underflow and precision as
   * due.
   *
   * @param sign 0 or {@link Float80#SIGN}
   * @param exponent the biased exponent, of any size
   * @param high the significand's upper half, its top bit set
   * @param low its lower half; the lowest bit stands for all that was cut off below it
   * @param precision significand bits to keep: 24, 53 or 64
   */
  void round(int sign, int exponent, long high, long low, int precision) {
    long unit = 1L << (64 - precision);
    if (exponent <= 0) {
      boolean tiny = exponent < 0 || !carries(sign, high, low, precision);
      if (tiny && (control & UNDERFLOW) == 0) {
        exceptions |= UNDERFLOW;
        exponent += EXPONENT_WRAP;
        if (exponent <= 0) {
          // Out of range even so, as only FSCALE can be.
          exceptions |= PRECISION;
          set(sign, 0);
          return;
        }
      } else {
        roundDenormal(sign, exponent, high, low, precision, tiny);
        return;
      }
    }
    long rest = low;
    if (precision != 64) {
      rest = high << precision | (low != 0 ? 1 : 0);
      high &= -unit;
    }
    if (rest != 0) {
      exceptions |= PRECISION;
      if (roundsUp(sign, high & unit, rest)) {
        exceptions |= C1;
        high += unit;
        if (high == 0) {
          high = Float80.INTEGER_BIT;
          exponent++;
        }
      }
    }
    if (exponent >= Float80.EXPONENT) {
      overflow(sign, exponent, high, unit);
      return;
    }
    significand = high;
    signExponent = sign | exponent;
  }

  private void overflow(int sign, int exponent, long high, long unit) {
    exceptions |= OVERFLOW;
    if ((control & OVERFLOW) == 0) {
      exponent -= EXPONENT_WRAP;
      if (exponent >= Float80.EXPONENT) {
        exceptions |= PRECISION | C1;
        set(sign | Float80.EXPONENT, Float80.INTEGER_BIT);
      } else {
        set(sign | exponent, high);
      }
      return;
    }
    exceptions |= PRECISION;
    if (roundsUp(sign, 1, -1)) {
      exceptions |= C1;
      set(sign | Float80.EXPONENT, Float80.INTEGER_BIT);
    } else {
      exceptions &= ~C1;
      set(sign | Float80.EXPONENT - 1, -unit);
    }
  }

  private void roundDenormal(
      int sign, int exponent, long high, long low, int precision, boolean tiny) {
    int shift = 1 - exponent;
    if (shift < 64) {
      long lost = low << (64 - shift);
      low = low >>> shift | high << (64 - shift) | (lost != 0 ? 1 : 0);
      high >>>= shift;
    } else {
      low = shift == 64 ? high | (low != 0 ? 1 : 0) : shift < 128 ? jam(high, low, shift) : 1;
      high = 0;
    }
    long unit = 1L << (64 - precision);
    long rest = low;
    if (precision != 64) {
      rest = high << precision | (low != 0 ? 1 : 0);
      high &= -unit;
    }
    if (rest != 0) {
      exceptions |= tiny ? PRECISION | UNDERFLOW : PRECISION;
      if (roundsUp(sign, high & unit, rest)) {
        exceptions |= C1;
        high += unit;
      }
    }
    significand = high;
    signExponent = high < 0 ? sign | 1 : sign;
  }

  /** {@code high:low} shifted right by 65 to 127 bits, what falls off kept in the lowest bit. */
  private static long jam(long high, long low, int shift) {
    return high >>> (shift - 64) | ((high << (128 - shift) | low) != 0 ? 1 : 0);
  }

  /** Whether rounding, were exponents unbounded, carries into the next power of two. */
  private boolean carries(int sign, long high, long low, int precision) {
    long unit = 1L << (64 - precision);
    if ((high & -unit) != -unit) {
      return false;
    }
    long rest = precision == 64 ? low : high << precision | (low != 0 ? 1 : 0);
    return roundsUp(sign, 1, rest);
  }

  /**
   * Whether to round away from zero.
   *
   * @param odd not zero when the lowest bit that is kept is set
   * @param rest what is cut off, as a fraction of that bit's unit
   */
  boolean roundsUp(int sign, long odd, long rest) {
    if (rest == 0) {
      return false;
    }
    return switch (control & ROUNDING) {
      case ROUND_NEAREST -> rest < 0 && (rest != Long.MIN_VALUE || odd != 0);
      case ROUND_DOWN -> sign != 0;
      case ROUND_UP -> sign == 0;
      default -> false;
    };
  }
}
