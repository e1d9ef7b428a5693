package io.anillo.vmm.x86.execute.fpu;

/**
 * The double-extended format: a 16-bit word of sign and biased exponent, and a 64-bit significand
 * whose integer bit is explicit (Intel SDM vol. 1 §4.2.2 and §8.2). A number is always passed as
 * these two values, never as an object.
 */
public final class Float80 {
  public static final int SIGN = 0x8000;
  public static final int EXPONENT = 0x7FFF;
  public static final int BIAS = 0x3FFF;
  public static final long INTEGER_BIT = Long.MIN_VALUE;
  public static final long QUIET_BIT = 1L << 62;

  /** The indefinite number: the quiet NaN that a masked invalid operation makes. */
  public static final int INDEFINITE_SIGN_EXPONENT = 0xFFFF;

  public static final long INDEFINITE_SIGNIFICAND = INTEGER_BIT | QUIET_BIT;

  private Float80() {}

  /** Finite, not zero, with its integer bit and a biased exponent of at least 1. */
  public static boolean isNormal(int signExponent, long significand) {
    return significand < 0 && ((signExponent + 1) & EXPONENT) > 1;
  }

  public static boolean isZero(int signExponent, long significand) {
    return significand == 0 && (signExponent & EXPONENT) == 0;
  }

  /** A denormal or a pseudo-denormal: what raises the denormal-operand exception. */
  public static boolean isDenormal(int signExponent, long significand) {
    return significand != 0 && (signExponent & EXPONENT) == 0;
  }

  public static boolean isInfinity(int signExponent, long significand) {
    return significand == INTEGER_BIT && (signExponent & EXPONENT) == EXPONENT;
  }

  /** A quiet or signaling NaN; pseudo-NaNs are unsupported formats instead. */
  public static boolean isNan(int signExponent, long significand) {
    return (signExponent & EXPONENT) == EXPONENT && significand < 0 && significand << 1 != 0;
  }

  public static boolean isSignalingNan(int signExponent, long significand) {
    return isNan(signExponent, significand) && (significand & QUIET_BIT) == 0;
  }

  /** Unnormals, pseudo-NaNs and pseudo-infinities (Intel SDM vol. 1 table 8-3). */
  public static boolean isUnsupported(int signExponent, long significand) {
    return significand >= 0 && (signExponent & EXPONENT) != 0;
  }
}
